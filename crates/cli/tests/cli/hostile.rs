//! Gateways that mean harm: the program ends in order, takes no more memory than it must, and shows nothing raw.

use std::future::Future;
use std::net::SocketAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::harness::{Finished, Harness, TOKEN};

type Socket = WebSocketStream<TcpStream>;

/// What could steer a terminal, or be taken for a line of our own.
const POISON: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\r\nerror: \u{9b}31m\u{202e}\u{61c}\u{ad}\u{200d}\u{2028}\u{e0041}";

/// Megabytes that a program may take at its peak whatever a gateway sends: one message of 50 MiB, its buffer while it grows,
/// and the program itself.
#[cfg(target_os = "linux")]
const PEAK_MB: u64 = 200;
/// The same where every message is small: the program alone takes 23, and 25 bytes kept of each of a million more than that.
#[cfg(target_os = "linux")]
const SMALL_PEAK_MB: u64 = 48;
/// Frames of 25 MiB that are shown before the memory is measured: more than it may be.
#[cfg(target_os = "linux")]
const FRAMES: usize = 9;

/// Something that listens, and ends with the test.
struct Impostor {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Impostor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Impostor {
    /// Does this to every connection, one after the other.
    async fn raw<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream).await;
            }
        });
        Self { address, task }
    }

    /// Does this after the upgrade.
    async fn upgraded<F>(serve: impl Fn(Socket) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send,
    {
        Self::raw(move |stream| {
            let serve = serve.clone();
            async move {
                if let Ok(socket) = tokio_tungstenite::accept_async(stream).await {
                    // The client ends it when it has had enough.
                    let _ = serve(socket).await;
                }
            }
        })
        .await
    }

    /// Does this after hello-ok.
    async fn let_in<F>(serve: impl Fn(Socket) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Error>> + Send,
    {
        Self::upgraded(move |socket| {
            let serve = serve.clone();
            async move { serve(shake_hands(socket, greeting()).await?).await }
        })
        .await
    }

    fn harness(&self) -> Harness {
        Harness::new()
            .with("WINDLASS_URL", &format!("ws://{}", self.address))
            .with("WINDLASS_TOKEN", TOKEN)
    }
}

/// A hello-ok without anything that is not needed.
fn greeting() -> Value {
    json!({
        "type": "hello-ok", "protocol": 4, "server": {"version": "2026.9.6", "connId": "c", "bootId": "b"},
        "features": {"methods": ["health"], "events": ["tick"]}, "snapshot": {"uptimeMs": 1},
        "policy": {"maxPayload": 26_214_400, "maxBufferedBytes": 52_428_800, "tickIntervalMs": 30_000},
        "auth": {"method": "token", "role": "operator", "scopes": ["operator.read"]},
    })
}

async fn shake_hands(mut socket: Socket, hello: Value) -> Result<Socket, Error> {
    let challenge = json!({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 1}});
    socket.send(Message::text(challenge.to_string())).await?;
    let id = loop {
        if let Message::Text(text) = socket.next().await.ok_or(Error::ConnectionClosed)?? {
            let frame: Value = serde_json::from_str(&text).unwrap();
            break frame["id"].clone();
        }
    };
    let answer = json!({"type": "res", "id": id, "ok": true, "payload": hello});
    socket.send(Message::text(answer.to_string())).await?;
    Ok(socket)
}

fn event(name: &str, payload: &Value, seq: u64) -> Message {
    Message::text(json!({"type": "event", "event": name, "payload": payload, "seq": seq}).to_string())
}

/// Nothing that steers a terminal was written, to either side.
#[track_caller]
fn is_harmless(ran: &Finished) {
    for text in [&ran.stdout, &ran.stderr] {
        let steering = |c: char| windlass::protocol::steers(c) && c != '\n';
        assert!(!text.contains(steering), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("error: \u{9b}")), "{text:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn frames_of_25_mib_for_ever_take_no_more_memory_than_one() {
    let impostor = Impostor::let_in(|mut socket| async move {
        let filler = json!({"x": "x".repeat(25 * 1024 * 1024)});
        for seq in 1.. {
            socket.send(event("big", &filler, seq)).await?;
        }
        Ok(())
    })
    .await;
    let mut running = impostor.harness().start(&["watch"]);
    for _ in 0..FRAMES {
        running.text().await;
    }
    let peak = running.peak_memory_mb();
    assert!(peak < PEAK_MB, "{peak} MB");
    running.interrupt();
    running.end().await.ends_with(130);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_message_without_end_is_given_up() {
    let impostor = Impostor::let_in(|mut socket| async move {
        let chunk = vec![b' '; 1024 * 1024];
        let mut opcode = OpCode::Data(Data::Text);
        loop {
            let fragment = Frame::message(chunk.clone(), opcode, false);
            socket.send(Message::Frame(fragment)).await?;
            opcode = OpCode::Data(Data::Continue);
        }
    })
    .await;
    let mut running = impostor.harness().start(&["watch", "--json"]);
    let mut disconnected = 0;
    while disconnected < 2 {
        disconnected += usize::from(running.line().await["marker"] == "disconnected");
    }
    let peak = running.peak_memory_mb();
    assert!(peak < PEAK_MB, "{peak} MB");
    running.interrupt();
    running.end().await.ends_with(130);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_million_answers_to_nobody_are_read_over() {
    // From a million on, where no line's own ids are.
    const IDS: std::ops::Range<u32> = 1_000_000..2_000_000;
    let impostor = Impostor::let_in(|mut socket| async move {
        for id in IDS {
            let stray = format!(r#"{{"type":"res","id":"{id}","ok":true,"payload":{{}}}}"#);
            socket.feed(Message::text(stray)).await?;
        }
        socket.send(event("done", &json!({}), 1)).await?;
        while socket.next().await.is_some() {}
        Ok(())
    })
    .await;
    let mut running = impostor.harness().start(&["watch", "--event", "done", "--json"]);
    assert_eq!(running.line().await["marker"], "reconnected");
    assert_eq!(running.line().await["event"], "done");
    let peak = running.peak_memory_mb();
    assert!(peak < SMALL_PEAK_MB, "{peak} MB");
    running.interrupt();
    let ran = running.end().await.ends_with(130);
    is_harmless(&ran);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_million_pings_of_a_gateway_that_reads_nothing_leave_one_pong_to_be_sent() {
    const PINGS: usize = 1_000_000;
    let impostor = Impostor::let_in(|mut socket| async move {
        let ping = [&[0x89, 125][..], &[b'p'; 125]].concat().repeat(1000);
        let raw = socket.get_mut();
        for _ in 0..PINGS / 1000 {
            raw.write_all(&ping).await?;
        }
        socket.send(event("done", &json!({}), 1)).await?;
        std::future::pending().await
    })
    .await;
    let mut running = impostor.harness().start(&["watch", "--event", "done", "--json"]);
    assert_eq!(running.line().await["marker"], "reconnected");
    assert_eq!(running.line().await["event"], "done");
    let peak = running.peak_memory_mb();
    assert!(peak < SMALL_PEAK_MB, "{peak} MB");
    running.interrupt();
    let ran = running.end().await.ends_with(130);
    is_harmless(&ran);
}

#[tokio::test]
async fn a_flood_before_the_challenge_does_not_keep_doctor_past_its_deadline() {
    let impostor = Impostor::upgraded(|mut socket| async move {
        let tick = event("tick", &json!({"x": "x".repeat(10_000)}), 1);
        loop {
            socket.send(tick.clone()).await?;
        }
    })
    .await;
    let ran = impostor.harness().run(&["doctor"]).await.ends_with(3);
    assert!(ran.stdout.contains("connect.challenge came within 15 s"), "{ran:#?}");
}

/// An event of this name that says little, in a frame of five megabytes.
#[cfg(target_os = "linux")]
fn padded(name: &str, seq: u64) -> Message {
    let (text, junk) = ("t".repeat(4000), "x".repeat(5_000_000));
    Message::text(format!(
        r#"{{"type":"event","event":"{name}","payload":{{"text":"{text}"}},"seq":{seq},"junk":"{junk}"}}"#
    ))
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn events_that_wait_for_a_slow_reader_hold_on_to_nothing_else() {
    /// The program, a frame of five megabytes and its buffer while it grows.
    const PEAK_MB: u64 = 70;
    /// Sixteen of them fill the pipe that nobody reads.
    const WAITING: u64 = 40;
    let all_read = std::sync::Arc::new(tokio::sync::Notify::new());
    let told = std::sync::Arc::clone(&all_read);
    let impostor = Impostor::let_in(move |mut socket| {
        let told = std::sync::Arc::clone(&told);
        async move {
            for turn in 0..WAITING {
                // What is small stands in a large frame, or behind one in the same buffer.
                socket.send(padded("small", 3 * turn + 1)).await?;
                socket.send(padded("other", 3 * turn + 2)).await?;
                let text = json!({"text": "t".repeat(4000)});
                socket.send(event("small", &text, 3 * turn + 3)).await?;
            }
            socket.send(Message::Ping("all read".into())).await?;
            while !matches!(socket.next().await, Some(Ok(Message::Pong(pong))) if pong == "all read") {}
            told.notify_one();
            std::future::pending().await
        }
    })
    .await;
    let mut running = impostor.harness().start(&["watch", "--event", "small", "--json"]);
    assert_eq!(running.line().await["marker"], "reconnected");
    all_read.notified().await;
    let peak = running.peak_memory_mb();
    assert!(peak < PEAK_MB, "{peak} MB");
    running.interrupt();
    running.end().await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hello_of_forty_eight_megabytes_is_read_and_not_kept() {
    let greeted = Impostor::upgraded(|socket| async move {
        let mut hello = greeting();
        // As a tree each of these would take twenty times its text.
        hello["snapshot"]["presence"] = json!(vec![json!({"a": 0}); 2_000_000]);
        hello["snapshot"]["newer"] = json!("x".repeat(10_000_000));
        hello["newer"] = json!("x".repeat(10_000_000));
        hello["auth"]["deviceToken"] = json!("t".repeat(5_000_000));
        let mut socket = shake_hands(socket, hello).await?;
        socket.send(event("done", &json!({}), 1)).await?;
        std::future::pending().await
    })
    .await;
    let mut running = greeted.harness().start(&["watch", "--event", "done", "--json"]);
    assert_eq!(running.line().await["marker"], "reconnected");
    assert_eq!(running.line().await["event"], "done");
    let peak = running.peak_memory_mb();
    assert!(peak < PEAK_MB, "{peak} MB");
    running.interrupt();
    running.end().await.ends_with(130);
}

#[tokio::test]
async fn json_of_any_depth_is_no_crash() {
    let impostor = Impostor::let_in(|mut socket| async move {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let text = format!("{{\"type\":\"event\",\"event\":\"deep\",\"seq\":1,\"payload\":{deep}}}");
        socket.send(Message::text(text)).await?;
        socket.send(Message::text(deep)).await?;
        socket.send(event("done", &json!({}), 2)).await?;
        while socket.next().await.is_some() {}
        Ok(())
    })
    .await;
    for args in [
        &["watch", "--event", "done", "--limit", "1"][..],
        &["watch", "--session", "agent:main:main", "--event", "done", "--json"],
        &["watch", "--event", "done", "--limit", "1", "--json"],
    ] {
        let mut running = impostor.harness().start(args);
        let mut shown = running.text().await;
        while !shown.contains("unreadable") && !shown.contains("can't be read") {
            shown = running.text().await;
        }
        running.interrupt();
        let ran = running.end().await;
        assert!([0, 130].contains(&ran.code), "{ran:#?}");
    }
}

/// JSON that no tree of values holds.
fn untold() -> [String; 3] {
    let deep = format!("{}{}", "[".repeat(2_000), "]".repeat(2_000));
    [r#"{"cut":"lab\ud83d"}"#.to_owned(), "[1e999]".to_owned(), deep]
}

#[tokio::test]
async fn a_payload_that_no_value_holds_is_written_as_it_came_live_and_from_the_journal() {
    let impostor = Impostor::let_in(|mut socket| async move {
        for payload in untold() {
            let text = format!(r#"{{"type":"event","event":"odd","payload":{payload}}}"#);
            socket.send(Message::text(text)).await?;
        }
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let request: Value = serde_json::from_str(&text).unwrap();
            let [payload, ..] = untold();
            let answer = format!(
                r#"{{"type":"res","id":{},"ok":true,"payload":{payload}}}"#,
                request["id"]
            );
            socket.send(Message::text(answer)).await?;
        }
        Ok(())
    })
    .await;
    for args in [&["call", "health", "--json"][..], &["call", "health"]] {
        let ran = impostor.harness().run(args).await.ends_with(0);
        assert!(ran.stdout.contains(r"lab\ud83d"), "{}", ran.stdout);
    }
    let live = ["watch", "--event", "odd", "--limit", "3"];
    let recorded = ["watch", "--event", "odd", "--limit", "3", "--journal"];
    let again = [
        "watch",
        "--event",
        "odd",
        "--limit",
        "3",
        "--from",
        "start",
        "--no-follow",
    ];
    let harness = impostor.harness();
    let store = harness.path("store.db").to_str().unwrap().to_owned();
    let harness = harness.with("WINDLASS_STORE", &store);
    for args in [&live[..], &recorded, &again] {
        let json = [args, &["--json"]].concat();
        let ran = harness.run(&json).await.ends_with(0);
        for payload in untold() {
            assert!(
                ran.stdout.contains(&format!("\"payload\":{payload}")),
                "{args:?}: {}",
                ran.stdout
            );
        }
        harness.run(args).await.ends_with(0);
    }
}

#[tokio::test]
async fn names_texts_and_reasons_are_shown_harmless() {
    let impostor = Impostor::let_in(|mut socket| async move {
        socket
            .send(event(POISON, &json!({"sessionKey": POISON, "text": POISON}), 1))
            .await?;
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let request: Value = serde_json::from_str(&text).unwrap();
            let error = json!({"code": POISON, "message": POISON, "details": {"code": POISON, "reason": POISON}});
            let answer = json!({"type": "res", "id": request["id"], "ok": false, "error": error});
            socket.send(Message::text(answer.to_string())).await?;
        }
        Ok(())
    })
    .await;
    let ran = impostor.harness().run(&["watch", "--limit", "1"]).await.ends_with(0);
    is_harmless(&ran);
    let ran = impostor
        .harness()
        .run(&["watch", "--limit", "1", "--json"])
        .await
        .ends_with(0);
    is_harmless(&ran);
    let ran = impostor.harness().run(&["call", "health"]).await.ends_with(1);
    is_harmless(&ran);
    let ran = impostor.harness().run(&["call", "health", "--json"]).await.ends_with(1);
    is_harmless(&ran);
    is_harmless(&impostor.harness().run(&["doctor"]).await);
    is_harmless(&impostor.harness().run(&["status"]).await);
}

#[tokio::test]
async fn a_refusal_and_a_close_are_shown_harmless() {
    let refusing = Impostor::upgraded(|mut socket| async move {
        let challenge = json!({"type": "event", "event": "connect.challenge", "payload": {"nonce": POISON, "ts": 1}});
        socket.send(Message::text(challenge.to_string())).await?;
        socket.next().await;
        let error = json!({"code": POISON, "message": POISON, "details": {"code": POISON, "requestId": POISON}});
        let refusal = json!({"type": "res", "id": "invalid", "ok": false, "error": error});
        socket.send(Message::text(refusal.to_string())).await?;
        Ok(())
    })
    .await;
    let closing = Impostor::upgraded(|mut socket| async move {
        let frame = tokio_tungstenite::tungstenite::protocol::CloseFrame {
            code: 4321.into(),
            reason: POISON.into(),
        };
        socket.close(Some(frame)).await
    })
    .await;
    for impostor in [&refusing, &closing] {
        for command in ["status", "doctor"] {
            let ran = impostor.harness().run(&[command]).await;
            assert!([3, 4].contains(&ran.code), "{ran:#?}");
            is_harmless(&ran);
        }
    }
}

/// Answers the upgrade with these bytes.
async fn answering(answer: impl Into<String>) -> Impostor {
    let answer = answer.into();
    Impostor::raw(move |mut stream| {
        let answer = answer.clone();
        async move {
            let mut request = vec![0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    })
    .await
}

#[tokio::test]
async fn a_redirect_on_the_upgrade_is_not_followed_and_told() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = elsewhere.local_addr().unwrap();
    let impostor = answering(format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{location}/\r\nContent-Length: 0\r\n\r\n"
    ))
    .await;
    let ran = impostor
        .harness()
        .run(&["call", "health", "--no-wait"])
        .await
        .ends_with(3)
        .tells(&["302"]);
    is_harmless(&ran);
    let nobody = tokio::time::timeout(std::time::Duration::from_millis(100), elsewhere.accept()).await;
    assert!(nobody.is_err(), "the token went elsewhere");
}

#[tokio::test]
async fn heads_without_end_and_poisoned_heads_are_given_up() {
    for answer in [
        format!("HTTP/1.1 101 {}\r\n", "x".repeat(5_000_000)),
        format!("HTTP/1.1 101 ok\r\n{}", "a: b\r\n".repeat(500_000)),
        format!("HTTP/1.1 503 {POISON}\r\nretry-after: {POISON}\r\n\r\n{POISON}"),
        POISON.repeat(1000),
    ] {
        let impostor = answering(answer).await;
        let ran = impostor
            .harness()
            .run(&["call", "health", "--no-wait"])
            .await
            .ends_with(3);
        is_harmless(&ran);
    }
}
