//! A WebSocket after its handshake, as a client by hand has it.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::PeerError;

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The read buffer of the clients that are tuned: the library's default of 128 KiB is cleared before each read.
pub(super) const TUNED_BUFFER: usize = 16 * 1024;

/// Connects and shakes hands, with the library's default buffers or tuned ones.
pub(super) async fn open(port: u16, read_buffer: Option<usize>) -> Result<Socket, PeerError> {
    let failed = |why: String| PeerError::Connect(why);
    let config = read_buffer.map(|size| WebSocketConfig::default().read_buffer_size(size));
    let url = format!("ws://127.0.0.1:{port}/");
    let (mut socket, _) = connect_async_with_config(url, config, true)
        .await
        .map_err(|error| failed(error.to_string()))?;
    let _challenge = socket.next().await;
    let connect = json!({"type": "req", "id": "hello", "method": "connect", "params": {
        "minProtocol": 3, "maxProtocol": 4, "role": "operator", "scopes": ["operator.read"], "auth": {"token": "bench"},
        "client": {"id": "gateway-client", "version": "1", "platform": "linux", "mode": "backend"},
    }});
    let sent = socket.send(Message::text(connect.to_string())).await;
    sent.map_err(|error| failed(error.to_string()))?;
    let Some(Ok(Message::Text(text))) = socket.next().await else {
        return Err(failed("no answer to connect".into()));
    };
    let answer: Value = serde_json::from_str(&text)?;
    if answer["ok"] == true {
        Ok(socket)
    } else {
        Err(failed("connect was refused".into()))
    }
}

/// Connects with tuned buffers.
pub(crate) async fn open_tuned(port: u16) -> Result<Socket, PeerError> {
    open(port, Some(TUNED_BUFFER)).await
}
