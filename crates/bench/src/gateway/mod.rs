//! A stand-in gateway that is faster than any client, so a measurement with it measures the client.
//!
//! It speaks the parts of protocol 4 that a line needs to come up and stay up: challenge, hello-ok, answers, events, pings. It
//! checks nothing and stores nothing. `windlass-interop` works with real gateways.

mod conversation;
mod hello;
mod pipe;
mod wire;

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

pub use conversation::{Conversation, Ended};
pub use hello::{Hello, HelloSize};
pub use pipe::{Pipe, Traffic};

/// Bytes read at a time, by all connections in turn: a thousand requests of the benchmark.
const SCRATCH: usize = 256 * 1024;

/// Answers one connection may have unsent before it is read from no further.
const UNSENT: usize = 1024 * 1024;

/// Listens on loopback, tells the port by `told`, and serves until the process ends.
///
/// # Errors
/// When the port can't be had, or no connection can be taken any more.
pub async fn serve(port: u16, hello: HelloSize, told: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    told(listener.local_addr()?);
    let shared = Rc::new(Shared {
        hello: Hello::new(hello),
        scratch: RefCell::new(vec![0; SCRATCH]),
    });
    LocalSet::new()
        .run_until(async {
            loop {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let shared = Rc::clone(&shared);
                // A connection that breaks is the client's business.
                spawn_local(async move { drop(converse(stream, &shared).await) });
            }
        })
        .await
}

struct Shared {
    hello: Hello,
    scratch: RefCell<Vec<u8>>,
}

async fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut conversation = Conversation::default();
    let mut out = Vec::new();
    loop {
        stream.readable().await?;
        let ended = {
            let mut scratch = shared.scratch.borrow_mut();
            match stream.try_read(&mut scratch) {
                Ok(0) => return Ok(()),
                Ok(read) => conversation.receive(&mut scratch[..read], &shared.hello, &mut out),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            }
        };
        stream.write_all(&out).await?;
        out.clear();
        while conversation.write_events(&mut out) {
            stream.write_all(&out).await?;
            out.clear();
        }
        if out.capacity() > UNSENT {
            out = Vec::new();
        }
        if let Err(ended) = ended {
            tracing::debug!(%ended, "a connection ended");
            return Ok(());
        }
    }
}
