//! The stand-in without a kernel: a byte stream that answers by itself, on the thread of its writer.
//!
//! Counts over it are the same in every run, because they depend on no clock, no scheduler and no socket.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Conversation, Hello};

/// The operations of a client on its streams. With a socket as the stream, each would be a system call.
#[derive(Debug, Default)]
pub struct Traffic {
    writes: AtomicU64,
    reads: AtomicU64,
}

impl Traffic {
    /// Writes so far.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// Reads so far, those that found nothing included.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
}

/// A client's end of a connection. It contains the other end.
#[derive(Debug)]
pub struct Pipe {
    conversation: Conversation,
    hello: Arc<Hello>,
    traffic: Arc<Traffic>,
    /// The written bytes, in a buffer in which the conversation may remove the masks.
    written: Vec<u8>,
    /// The bytes to read, from `read` on.
    answers: Vec<u8>,
    read: usize,
    ended: bool,
    reader: Option<Waker>,
}

impl Pipe {
    /// A fresh connection.
    pub fn new(hello: Arc<Hello>, traffic: Arc<Traffic>) -> Self {
        Self {
            conversation: Conversation::default(),
            hello,
            traffic,
            written: Vec::new(),
            answers: Vec::new(),
            read: 0,
            ended: false,
            reader: None,
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.traffic.writes.fetch_add(1, Ordering::Relaxed);
        this.written.clear();
        this.written.extend_from_slice(bytes);
        let taken = this
            .conversation
            .receive(&mut this.written, &this.hello, &mut this.answers);
        this.ended |= taken.is_err();
        if let Some(reader) = this.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().ended = true;
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.traffic.reads.fetch_add(1, Ordering::Relaxed);
        if this.read == this.answers.len() {
            this.answers.clear();
            this.read = 0;
            this.conversation.write_events(&mut this.answers);
        }
        if this.answers.is_empty() && !this.ended {
            this.answers = Vec::new();
            this.written = Vec::new();
            this.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let part = (this.answers.len() - this.read).min(buf.remaining());
        buf.put_slice(&this.answers[this.read..this.read + part]);
        this.read += part;
        Poll::Ready(Ok(()))
    }
}
