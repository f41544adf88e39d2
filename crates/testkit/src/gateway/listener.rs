//! The TCP port: it can be shut and opened again without changing its number.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;

use super::connection;
use super::link::Raw;
use super::server::Server;

/// Connections that the system queues; more than any test opens at once.
const BACKLOG: u32 = 1024;
/// Between attempts to bind a port that something else holds for the moment.
const REBIND: Duration = Duration::from_millis(10);

/// A port that stays ours while nobody listens on it.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    /// Bound but not listening: a client is refused, and the system gives the number to nobody else.
    reserved: Option<TcpSocket>,
}

impl Port {
    pub(crate) fn bind() -> io::Result<Self> {
        let socket = socket(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?;
        // Where two sockets may not share a number, the reservation is given up.
        let reserved = self::socket(address).is_ok().then_some(socket);
        Ok(Self { address, reserved })
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Whether the port should listen, and whether it does.
#[derive(Debug)]
pub(crate) struct Doorkeeper {
    pub(crate) address: SocketAddr,
    pub(crate) wanted: watch::Sender<bool>,
    pub(crate) listening: watch::Receiver<bool>,
}

/// Starts the task that keeps the port.
pub(crate) fn keep(server: &Arc<Server>, port: Port) -> Doorkeeper {
    let (wanted, wants) = watch::channel(true);
    let (tells, listening) = watch::channel(false);
    let address = port.address;
    server.spawn(run(Arc::clone(server), port, wants, tells));
    Doorkeeper {
        address,
        wanted,
        listening,
    }
}

async fn run(server: Arc<Server>, port: Port, mut wants: watch::Receiver<bool>, tells: watch::Sender<bool>) {
    let _reserved = port.reserved;
    while wants.wait_for(|wanted| *wanted).await.is_ok() {
        let Ok(listener) = socket(port.address).and_then(|socket| socket.listen(BACKLOG)) else {
            tracing::warn!(address = %port.address, "port of the simulated gateway is taken, trying again");
            tokio::time::sleep(REBIND).await;
            continue;
        };
        tells.send_replace(true);
        tokio::select! {
            _ = wants.wait_for(|wanted| !*wanted) => {}
            () = accept(&server, &listener) => {}
        }
        drop(listener);
        tells.send_replace(false);
    }
}

async fn accept(server: &Arc<Server>, listener: &TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Frames are small and tests are impatient; a failure only makes it slower.
                let _ = stream.set_nodelay(true);
                connection::accept(server, Raw::Tcp(stream));
            }
            // A client that went away before it was accepted, or no free descriptor for the moment.
            Err(_) => tokio::time::sleep(REBIND).await,
        }
    }
}
