//! A connector that lets every frame between a line and its gateway pass by a function.

use std::{io, sync::Arc};

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    io::{DuplexStream, duplex},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config, client_async_with_config,
    tungstenite::{self, Message, protocol::WebSocketConfig},
};
use windlass::{Connector, Endpoint, transport};

/// Bytes of the pipe between the line and the tap.
const PIPE: usize = 64 * 1024;
/// Largest message that passes: above the 25 MiB that gateways allow.
const MAX_MESSAGE: usize = 64 * 1024 * 1024;

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Way {
    /// From the line to the gateway.
    ToGateway,
    /// From the gateway to the line.
    ToLine,
}

/// The action of the tap on a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Verdict {
    /// It passes.
    Pass,
    /// It is dropped, and both connections are cut without a close frame.
    Cut,
}

/// Sees the text of every frame and decides about it.
type Watch = dyn Fn(Way, &str) -> Verdict + Send + Sync;

/// Dials gateways through a tap.
pub(in super::super) fn tapped(watch: impl Fn(Way, &str) -> Verdict + Send + Sync + 'static) -> impl Connector {
    let watch: Arc<Watch> = Arc::new(watch);
    transport::dial_with(move |endpoint: Endpoint| {
        let watch = Arc::clone(&watch);
        async move {
            let far = TcpStream::connect((endpoint.host(), endpoint.port())).await?;
            let (line, near) = duplex(PIPE);
            // Ends with either connection; both are gone then.
            tokio::spawn(async move { drop(relay(near, far, &endpoint, &*watch).await) });
            Ok::<_, io::Error>(line)
        }
    })
}

async fn relay(
    near: DuplexStream,
    far: TcpStream,
    endpoint: &Endpoint,
    watch: &Watch,
) -> Result<(), tungstenite::Error> {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    // The gateway first: when it refuses the upgrade, the line must not see an accepted one.
    let (mut far, _) = client_async_with_config(endpoint.address(), far, Some(config)).await?;
    let mut near = accept_async_with_config(near, Some(config)).await?;
    loop {
        let open = tokio::select! {
            message = near.next() => pass(message, Way::ToGateway, watch, &mut far).await?,
            message = far.next() => pass(message, Way::ToLine, watch, &mut near).await?,
        };
        if !open {
            return Ok(());
        }
    }
}

/// Passes a message on; false when that was the last one.
async fn pass<S>(
    message: Option<Result<Message, tungstenite::Error>>,
    way: Way,
    watch: &Watch,
    to: &mut WebSocketStream<S>,
) -> Result<bool, tungstenite::Error>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let Some(message) = message.transpose()? else {
        return Ok(false);
    };
    match &message {
        // Each side answers its own pings.
        Message::Ping(_) | Message::Pong(_) => return Ok(true),
        Message::Text(text) if watch(way, text) == Verdict::Cut => return Ok(false),
        _ => {}
    }
    let last = message.is_close();
    to.send(message).await?;
    Ok(!last)
}
