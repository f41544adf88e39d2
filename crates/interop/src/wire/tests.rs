//! The raw client against a scripted WebSocket server.

use tokio::net::TcpListener;

use super::*;
use crate::device::{Device, SignatureForm};

const LONG: Duration = Duration::from_secs(30);

/// Plays the gateway's part on one accepted connection.
type Server = WebSocketStream<TcpStream>;

/// Starts a server that hands its first connection to `play`, and opens a wire to it.
async fn with_server<F>(play: impl FnOnce(Server) -> F + Send + 'static) -> Wire
where
    F: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
    let url = format!("ws://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let socket = tokio_tungstenite::accept_async(stream).await.expect("an upgrade");
        play(socket).await;
    });
    Wire::open(&url, LONG).await.expect("it opens")
}

async fn tell(server: &mut Server, frame: Value) {
    server
        .send(Message::text(frame.to_string()))
        .await
        .expect("the client reads");
}

async fn hear(server: &mut Server) -> Value {
    let message = server.next().await.expect("a message").expect("a whole one");
    serde_json::from_str(message.to_text().expect("text")).expect("JSON")
}

#[tokio::test]
async fn a_connect_answers_the_challenge_and_returns_the_hello() {
    let mut wire = with_server(|mut server| async move {
        let challenge = json!({"nonce": "n-1", "ts": 17});
        tell(
            &mut server,
            json!({"type": "event", "event": "connect.challenge", "payload": challenge}),
        )
        .await;
        let asked = hear(&mut server).await;
        let answer = json!({"type": "res", "id": asked["id"], "ok": true, "payload": asked["params"]});
        tell(&mut server, answer).await;
    })
    .await;
    let device = Device::from_seed([7; 32]);
    let who = ConnectAs::backend()
        .token("t")
        .device(&device, SignatureForm::V2)
        .cap("tool-events");
    let echoed = wire.connect(&who, LONG).await.expect("a wire").expect("a hello");
    assert_eq!(echoed["device"]["nonce"], "n-1");
    assert_eq!(echoed["device"]["signedAt"], 17);
    assert_eq!(echoed["auth"], json!({"token": "t"}));
    assert_eq!(echoed["caps"], json!(["tool-events"]));
    assert_eq!((&echoed["minProtocol"], &echoed["maxProtocol"]), (&json!(3), &json!(4)));
}

#[tokio::test]
async fn frames_that_nobody_waits_for_are_kept_in_order() {
    let mut wire = with_server(|mut server| async move {
        let asked = hear(&mut server).await;
        for n in 1..=2 {
            tell(&mut server, json!({"type": "event", "event": "chat", "seq": n})).await;
        }
        let error = json!({"code": "INVALID_REQUEST", "message": "no", "details": {"code": "X"}});
        tell(
            &mut server,
            json!({"type": "res", "id": asked["id"], "ok": false, "error": error}),
        )
        .await;
    })
    .await;
    let refusal = wire
        .call("nope", Value::Null, LONG)
        .await
        .expect("a wire")
        .expect_err("refused");
    assert_eq!((refusal.code(), refusal.detail_code()), ("INVALID_REQUEST", Some("X")));
    assert_eq!(refusal.to_string(), "INVALID_REQUEST `no`");
    assert_eq!(wire.event("chat", LONG).await.expect("kept")["seq"], 1);
    assert_eq!(wire.take_kept(), [json!({"type": "event", "event": "chat", "seq": 2})]);
}

#[tokio::test]
async fn a_close_frame_tells_its_code_and_reason() {
    let mut wire = with_server(|mut server| async move {
        let frame = CloseFrame {
            code: CloseCode::Restart,
            reason: "service restart".into(),
        };
        server.close(Some(frame)).await.expect("the client reads");
    })
    .await;
    let close = wire.closed(LONG).await.expect("a close");
    assert_eq!(
        close,
        Close {
            code: 1012,
            reason: "service restart".to_owned()
        }
    );
    let late = wire.event("chat", LONG).await.expect_err("it is closed");
    assert!(matches!(late, WireError::Closed { .. }), "{late}");
}

#[tokio::test]
async fn an_end_without_a_close_frame_is_1006() {
    let mut wire = with_server(|server| async move { drop(server) }).await;
    assert_eq!(wire.closed(LONG).await.expect("an end").code, 1006);
}

#[tokio::test]
async fn a_wait_names_what_did_not_come() {
    let mut wire = with_server(|mut server| async move {
        // Stays until the client goes.
        drop(server.next().await);
    })
    .await;
    let error = wire
        .event("chat", Duration::from_millis(20))
        .await
        .expect_err("nothing comes");
    assert_eq!(error.to_string(), "nothing came within 20 ms while waiting for chat");
}
