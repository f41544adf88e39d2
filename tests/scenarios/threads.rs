//! The real thing: threads of its own, TCP, real time, and hosts on other runtimes.

use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use windlass::{EventFilter, Gateway, LineEvent, Subscription, Windlass, WindlassBuilder, transport};
use windlass_testkit::{Generation as Protocol, SimGateway};

use crate::bench::{chat, sim, spec};

const fn assert_handle<T: Send + Sync + Clone + 'static>() {}
const _: () = assert_handle::<Windlass>();
const _: () = assert_handle::<Gateway>();
const fn assert_send<T: Send + 'static>() {}
const _: () = assert_send::<Subscription>();
const _: () = assert_send::<windlass::Call>();
const _: () = assert_send::<WindlassBuilder>();

async fn exercise(windlass: &Windlass, sim: &SimGateway, name: &str) {
    let mut spec = spec(name);
    spec.endpoint = sim.url().parse().unwrap();
    let gateway = windlass.add(spec).await.unwrap();
    gateway.wait_until_up(Duration::from_secs(30)).await.unwrap();
    let events = gateway.events(EventFilter::all().name("chat"));
    gateway.call("chat.send", chat("over threads")).await.unwrap();
    let is_final = |item: LineEvent| async move {
        let LineEvent::Event(event) = item else { return None };
        let chat: windlass::protocol::ChatEvent = event.decode().unwrap();
        (chat.state == windlass::protocol::ChatState::Final).then_some(chat)
    };
    let mut finals = std::pin::pin!(events.filter_map(is_final));
    let last = tokio::time::timeout(Duration::from_secs(30), finals.next())
        .await
        .unwrap();
    assert!(last.is_some());
}

async fn whole_life() {
    let windlass = Windlass::builder().shards(2).start().unwrap();
    for (name, protocol) in [("three", Protocol::V3), ("four", Protocol::V4)] {
        let sim = sim(protocol).start_tcp().await.unwrap();
        exercise(&windlass, &sim, name).await;
    }
    assert_eq!(windlass.gateways().len(), 2);
    windlass.shutdown(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_works_in_a_host_with_many_threads() {
    whole_life().await;
}

#[tokio::test]
async fn it_works_in_a_host_with_one_thread() {
    whole_life().await;
}

#[test]
fn it_works_inside_an_actix_system() {
    actix_rt::System::new().block_on(whole_life());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_calls_from_other_threads_are_answered_to_the_right_caller() {
    let sim = sim(Protocol::V4).start_tcp().await.unwrap();
    let windlass = Windlass::start().unwrap();
    let mut spec = spec("gw");
    spec.endpoint = sim.url().parse().unwrap();
    let gateway = windlass.add(spec).await.unwrap();
    let callers: Vec<_> = (0..16)
        .map(|caller| {
            let gateway = gateway.clone();
            tokio::spawn(async move {
                for n in 0..63 {
                    let key = format!("agent:main:caller-{caller}-{n}");
                    let reply = gateway.call("sessions.patch", json!({ "key": key })).await.unwrap();
                    assert_eq!(reply.decode::<serde_json::Value>().unwrap()["key"], key);
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    windlass.shutdown(Duration::from_secs(5)).await;
    sim.wait_for(|journal| journal.open_connections() == 0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_blocks_a_thread_is_named_until_it_goes_on() {
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    // A host's own code that waits where it must not.
    let connector = transport::dial_with(move |_| {
        let _ = wait.lock().unwrap().recv();
        async { Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into()) }
    });
    let windlass = Windlass::builder().connector(connector).start().unwrap();
    let mut status = windlass.blocked();
    // Its answer may have to wait for the thread, too.
    let adding = tokio::spawn({
        let windlass = windlass.clone();
        async move { windlass.add(spec("gw")).await }
    });
    let limit = Duration::from_secs(60);
    let seen = tokio::time::timeout(limit, status.wait_for(|blocked| !blocked.is_empty())).await;
    let blocked = seen.expect("it is seen").unwrap().clone();
    assert_eq!(blocked.len(), 1, "{blocked:?}");
    assert_eq!(
        blocked[0].to_string(),
        "connection blocks the thread windlass-0 (gateway gw)"
    );
    drop(go_on);
    let over = tokio::time::timeout(limit, status.wait_for(Vec::is_empty)).await;
    over.expect("it is over").unwrap();
    adding.await.unwrap().unwrap();
    // Waits for its threads, of which the watch is one.
    let ended = tokio::time::timeout(limit, windlass.shutdown(Duration::from_secs(5))).await;
    ended.expect("all threads end");
}
