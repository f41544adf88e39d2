//! The real thing: threads of its own, TCP, real time, and hosts on other runtimes.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use serde_json::json;
use windlass::{EventFilter, Gateway, LineEvent, Subscription, TcpConnector, Windlass, WindlassBuilder, transport};
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

/// How long a shutdown with a drain of a second takes while somebody does something that can't be interrupted. `start` gives what
/// connects, given something that waits until it is let go.
async fn shutdown_beside(connects: impl FnOnce(Arc<dyn Fn() + Send + Sync>) -> WindlassBuilder) {
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let (begun, mut begins) = tokio::sync::mpsc::channel(16);
    let wait = std::sync::Mutex::new(wait);
    let windlass = connects(Arc::new(move || {
        let _ = begun.try_send(());
        let _ = wait.lock().unwrap().recv();
    }))
    .start()
    .unwrap();
    let mut spec = spec("gw");
    spec.endpoint = "ws://a-name-that-is-looked-up".parse().unwrap();
    let gateway = windlass.add(spec).await.unwrap();
    begins.recv().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(30), windlass.shutdown(Duration::from_secs(1))).await;
    ended.expect("the shutdown does not wait for it");
    assert!(matches!(gateway.status().borrow().state, windlass::LineState::Closed));
    drop(go_on);
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_name_look_up_that_hangs() {
    shutdown_beside(|hang| {
        let connector = TcpConnector::resolving(move |_, _| {
            hang();
            Err(std::io::ErrorKind::TimedOut.into())
        });
        Windlass::builder().connector(connector)
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_what_a_connector_does_on_a_blocking_thread() {
    shutdown_beside(|hang| {
        let connector = transport::dial_with(move |_| {
            let hang = Arc::clone(&hang);
            async move {
                let _ = tokio::task::spawn_blocking(move || hang()).await;
                Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::TimedOut.into())
            }
        });
        Windlass::builder().connector(connector)
    })
    .await;
}

/// Every thread and runtime of the program and the library is made in one place, which tells when it can't be.
#[test]
fn threads_are_made_in_one_place() {
    const MADE: [&str; 7] = [
        "thread::spawn(",
        "thread::Builder",
        "spawn_blocking(",
        "block_in_place(",
        "Builder::new_current_thread",
        "runtime::Runtime::new",
        "System::new",
    ];
    let mut others = Vec::new();
    let mut folders = vec![
        std::path::PathBuf::from("src"),
        "actors".into(),
        "crates/store/src".into(),
    ];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs")
                && !path.ends_with("actors/line/src/threads.rs")
                && !path.ends_with("loom_tests.rs")
            {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
                // Threads of loom are none of the system's.
                let code = code
                    .split("#[cfg(all(test, windlass_loom))]")
                    .next()
                    .unwrap_or_default();
                let lines = code.lines().filter(|line| MADE.iter().any(|made| line.contains(made)));
                others.extend(lines.map(|line| format!("{}: {line}", path.display())));
            }
        }
    }
    assert!(others.is_empty(), "{others:#?}");
}
