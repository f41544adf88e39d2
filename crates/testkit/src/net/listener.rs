//! The TCP port: it can be shut and opened again without changing its number.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

use super::tasks::Tasks;

/// Connections that the system queues; more than any test opens at once.
const BACKLOG: u32 = 1024;
/// Between attempts to bind a port that something else holds for the moment.
const REBIND: Duration = Duration::from_millis(10);

/// A port that stays reserved while no socket listens on it.
#[derive(Debug)]
pub(crate) struct Port {
    pub(crate) address: SocketAddr,
    /// Bound but not listening: a client is refused, and the system gives the number to no other process.
    reserved: Option<TcpSocket>,
}

impl Port {
    /// A free port of 127.0.0.1.
    pub(crate) fn bind() -> io::Result<Self> {
        Self::bind_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// A port of this address; a free one where its number is 0.
    pub(crate) fn bind_at(address: SocketAddr) -> io::Result<Self> {
        let socket = socket(address)?;
        let address = socket.local_addr()?;
        // Where two sockets may not share a number, the reservation is given up.
        let reserved = self::socket(address).is_ok().then_some(socket);
        Ok(Self { address, reserved })
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Shuts and opens a port.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) address: SocketAddr,
    wanted: watch::Sender<bool>,
    listening: watch::Receiver<bool>,
}

impl Acceptor {
    /// Starts the task that keeps the port and hands out accepted connections.
    pub(crate) fn new(tasks: &Tasks, port: Port, accepted: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let (wanted, wants) = watch::channel(true);
        let (tells, listening) = watch::channel(false);
        let address = port.address;
        tasks.spawn(run(port, wants, tells, accepted));
        Self {
            address,
            wanted,
            listening,
        }
    }

    /// Asks for the port to be open or shut.
    pub(crate) fn want(&self, open: bool) {
        self.wanted.send_replace(open);
    }

    /// Waits until the port is open or shut.
    pub(crate) async fn is(&self, open: bool) {
        // An error means that the owner was shut down, and then the port does not listen.
        let _ = self.listening.clone().wait_for(|now| *now == open).await;
    }
}

async fn run(
    port: Port,
    mut wants: watch::Receiver<bool>,
    tells: watch::Sender<bool>,
    accepted: impl Fn(TcpStream) + Send + Sync,
) {
    let _reserved = port.reserved;
    while wants.wait_for(|wanted| *wanted).await.is_ok() {
        let Ok(listener) = socket(port.address).and_then(|socket| socket.listen(BACKLOG)) else {
            tracing::warn!(address = %port.address, "the port is taken, trying again");
            tokio::time::sleep(REBIND).await;
            continue;
        };
        tells.send_replace(true);
        tokio::select! {
            _ = wants.wait_for(|wanted| !*wanted) => {}
            () = accept(&listener, &accepted) => {}
        }
        drop(listener);
        tells.send_replace(false);
    }
}

async fn accept(listener: &TcpListener, accepted: &(impl Fn(TcpStream) + Sync)) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Frames are small and tests are impatient; a failure only makes it slower.
                let _ = stream.set_nodelay(true);
                accepted(stream);
            }
            // A client that went away before it was accepted, or no free descriptor for the moment.
            Err(_) => tokio::time::sleep(REBIND).await,
        }
    }
}
