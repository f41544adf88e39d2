//! A WebSocket over a byte stream, with a bound on all that it keeps by itself.

use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Error, Message, Utf8Bytes};

use crate::transport::BoxedIo;
use crate::transport::buffers::ReadBuffer;

/// Largest message taken from a gateway. Gateways send up to 25 MiB and a bit (an error that repeats a 25 MiB request
/// had 26 MB on 2026.9.6); twice that leaves room for later releases and still bounds a hostile one.
pub(crate) const MAX_MESSAGE: usize = 50 * 1024 * 1024;

/// Frames are gathered to this many bytes before they are written without a flush: as the WebSocket library has it.
const WRITE_BUFFER: usize = 128 * 1024;

/// An open WebSocket to a gateway.
///
/// The memory that it keeps by itself is bounded, against any gateway:
///
/// * one message of 50 MiB (`MAX_MESSAGE`) that is being read, twice while its buffer grows;
/// * bytes that were written and not taken by the gateway: 128 KiB and one frame. While some wait there, a pong waits outside of
///   it, in place of the one before it (RFC 6455, 5.5.3, asks for the latest one only);
/// * a message that it gave away holds on to at most four times its own length, and to 32 KiB where it is small: a small message
///   that lies in a buffer which has grown for a large one is copied.
pub struct Socket {
    io: BoxedIo,
    context: WebSocketContext,
    intake: ReadCounters,
    outgoing: WriteState,
    buffer: ReadBuffer,
    /// Length of the longest message in the present read buffer, where it has grown for one.
    grown_for: usize,
    /// It has ended, and was told so.
    over: bool,
}

/// How the last attempt to write went.
#[derive(Debug, Clone, Copy, Default)]
struct WriteState {
    /// Not all was taken: bytes wait for the gateway to read.
    blocked: bool,
    /// Some was taken since the last look.
    moved: bool,
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("intake", &self.intake)
            .field("outgoing", &self.outgoing)
            .field("buffer", &self.buffer)
            .finish_non_exhaustive()
    }
}

impl Socket {
    /// Begins behind the answer to the upgrade; `frames` came together with it.
    pub(crate) fn begin(io: BoxedIo, frames: Vec<u8>) -> Self {
        let buffer = ReadBuffer::Opening;
        let intake = ReadCounters::after(frames.len());
        Self {
            io,
            context: WebSocketContext::from_partially_read(frames, Role::Client, Some(config(buffer, false))),
            intake,
            outgoing: WriteState::default(),
            buffer,
            grown_for: 0,
            over: false,
        }
    }

    /// The next message; `None` when the connection has ended.
    ///
    /// ## Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Writes a message, all of it.
    ///
    /// # Errors
    /// When the connection breaks. It waits for as long as the gateway does not read: give it a deadline.
    pub async fn send(&mut self, message: Message) -> Result<(), Error> {
        let mut message = Some(message);
        poll_fn(|cx| {
            ready!(self.poll_ready(cx))?;
            if let Some(message) = message.take() {
                self.start_send(cx, message)?;
            }
            self.poll_flush(cx)
        })
        .await
    }

    /// Says goodbye; that the gateway hears it is not waited for.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn close(&mut self, frame: Option<CloseFrame>) -> Result<(), Error> {
        self.send(Message::Close(frame)).await
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Message, Error>>> {
        if self.over {
            return Poll::Ready(None);
        }
        let read = self.with_stream(cx, |context, stream| context.read(stream));
        match ready!(poll_of(read)) {
            Ok(message) => Poll::Ready(Some(Ok(self.take(message)))),
            Err(error) => {
                self.over = true;
                let closed = matches!(error, Error::AlreadyClosed | Error::ConnectionClosed);
                Poll::Ready(Some(Err(error)).filter(|_| !closed))
            }
        }
    }

    /// Whether a frame may be written: everything before it was taken.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if self.outgoing.blocked {
            self.poll_flush(cx)
        } else {
            Poll::Ready(Ok(()))
        }
    }

    /// Puts a frame behind those that are to be written. Only when [`poll_ready`](Self::poll_ready) said so.
    pub(crate) fn start_send(&mut self, cx: &mut Context<'_>, message: Message) -> Result<(), Error> {
        match poll_of(self.with_stream(cx, |context, stream| context.write(stream, message))) {
            Poll::Ready(done) => done,
            // It has its place, and is written by the next flush.
            Poll::Pending => Ok(()),
        }
    }

    /// Writes all that is to be written, the pong that waits among it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            let was_blocked = self.outgoing.blocked;
            let flushed = self.with_stream(cx, |context, stream| context.flush(stream));
            match ready!(poll_of(flushed)) {
                // What waited outside of the buffer goes now.
                Ok(()) if was_blocked => {}
                Ok(()) | Err(Error::ConnectionClosed) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Whether bytes came in since the last call.
    pub(crate) const fn take_heard(&mut self) -> bool {
        self.intake.take_heard()
    }

    /// Whether bytes wait that the gateway does not take.
    pub(crate) const fn is_blocked(&self) -> bool {
        self.outgoing.blocked
    }

    /// Whether the gateway took bytes since the last call.
    pub(crate) const fn take_moved(&mut self) -> bool {
        std::mem::replace(&mut self.outgoing.moved, false)
    }

    /// Whether all that came in was made messages of.
    pub(crate) const fn is_all_read(&self) -> bool {
        self.intake.is_all_read()
    }

    /// Takes a fresh read buffer of this size, while the present one holds nothing ([`is_all_read`](Self::is_all_read)) and all
    /// that was written is flushed.
    pub(crate) fn set_read_buffer(&mut self, buffer: ReadBuffer) {
        self.context = WebSocketContext::new(Role::Client, Some(config(buffer, self.outgoing.blocked)));
        self.buffer = buffer;
        self.grown_for = 0;
    }

    fn take(&mut self, message: Message) -> Message {
        self.intake.record_message(&message);
        let length = message.len();
        if ReadBuffer::is_outgrown_by(length) {
            self.grown_for = self.grown_for.max(length);
        }
        // The buffer is at most twice as long as what it has grown for.
        if length < self.grown_for / 2 {
            copy_of(message)
        } else {
            message
        }
    }

    fn with_stream<R>(
        &mut self,
        cx: &mut Context<'_>,
        act: impl FnOnce(&mut WebSocketContext, &mut Stream<'_, '_>) -> R,
    ) -> R {
        let was_blocked = self.outgoing.blocked;
        let mut stream = Stream {
            io: &mut self.io,
            cx,
            intake: &mut self.intake,
            outgoing: &mut self.outgoing,
        };
        let result = act(&mut self.context, &mut stream);
        let blocked = self.outgoing.blocked;
        if blocked != was_blocked {
            self.context.set_config(|config| bound_writes(config, blocked));
        }
        result
    }
}

fn config(buffer: ReadBuffer, blocked: bool) -> WebSocketConfig {
    let mut config = WebSocketConfig::default()
        .read_buffer_size(buffer.bytes())
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    bound_writes(&mut config, blocked);
    config
}

/// Nothing is put behind bytes that the gateway does not take: no frame, since the driver offers none then, and no pong, which the
/// library keeps in place of the one before it when the buffer is full.
const fn bound_writes(config: &mut WebSocketConfig, blocked: bool) {
    (config.write_buffer_size, config.max_write_buffer_size) =
        if blocked { (0, 1) } else { (WRITE_BUFFER, usize::MAX) };
}

/// The same message in memory of its own.
fn copy_of(message: Message) -> Message {
    match message {
        Message::Text(text) => Message::Text(Utf8Bytes::from(text.as_str())),
        Message::Binary(bytes) => Message::Binary(Bytes::copy_from_slice(&bytes)),
        other => other,
    }
}

fn poll_of<T>(result: Result<T, Error>) -> Poll<Result<T, Error>> {
    match result {
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        other => Poll::Ready(other),
    }
}

/// The byte stream as the WebSocket library wants it, for the time of one poll.
struct Stream<'a, 'b> {
    io: &'a mut BoxedIo,
    cx: &'a mut Context<'b>,
    intake: &'a mut ReadCounters,
    outgoing: &'a mut WriteState,
}

impl Read for Stream<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut into = ReadBuf::new(into);
        without_waiting(Pin::new(&mut *self.io).poll_read(self.cx, &mut into))?;
        let bytes = into.filled().len();
        self.intake.record_bytes(bytes);
        Ok(bytes)
    }
}

impl Write for Stream<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = Pin::new(&mut *self.io).poll_write(self.cx, bytes);
        self.outgoing.blocked = written.is_pending();
        let written = without_waiting(written)?;
        self.outgoing.moved |= written > 0;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = Pin::new(&mut *self.io).poll_flush(self.cx);
        self.outgoing.blocked = flushed.is_pending();
        without_waiting(flushed)
    }
}

fn without_waiting<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(done) => done,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// The input behind the answer to the upgrade, where frames begin.
///
/// Bytes are signs of life, and not frames only: an answer of 20 MB over a slow line takes minutes to become a frame.
#[derive(Debug, Default)]
struct ReadCounters {
    /// Bytes came in since the last look.
    heard: bool,
    /// Bytes of frames that came in and of which no message was made yet.
    unread: u64,
}

impl ReadCounters {
    /// With so many bytes of frames that came together with the answer to the upgrade.
    const fn after(bytes: usize) -> Self {
        Self {
            heard: true,
            unread: bytes as u64,
        }
    }

    const fn record_bytes(&mut self, bytes: usize) {
        self.heard |= bytes > 0;
        self.unread = self.unread.saturating_add(bytes as u64);
    }

    /// Whether bytes came in since the last call.
    const fn take_heard(&mut self) -> bool {
        std::mem::replace(&mut self.heard, false)
    }

    /// The WebSocket made a message of the input.
    fn record_message(&mut self, message: &Message) {
        // A frame has never fewer bytes than are taken off here; a message in several frames has more.
        self.unread = self.unread.checked_sub(least_size(message.len())).unwrap_or(u64::MAX);
    }

    /// Whether the WebSocket holds no byte that it made no message of. Where a gateway sends a message in several frames (none of
    /// the nine releases does), it is not known any more, and this says no.
    const fn is_all_read(&self) -> bool {
        self.unread == 0
    }
}

/// The size of a frame with this much in it, as RFC 6455 has servers write it: unmasked, its length in as few bytes as may be.
const fn least_size(payload: usize) -> u64 {
    let head = match payload {
        0..126 => 2,
        126..65_536 => 4,
        _ => 10,
    };
    payload as u64 + head
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    use super::*;

    /// The unread bytes that the far end of the pipe holds.
    const PIPE: usize = 1024;
    /// A pong with four bytes in it, masked.
    const PONG: usize = 10;

    fn open(pipe: usize) -> (Socket, DuplexStream) {
        let (near, far) = duplex(pipe);
        (Socket::begin(Box::new(near), Vec::new()), far)
    }

    fn ping(number: u32) -> Vec<u8> {
        [&[0x89, 4][..], &number.to_be_bytes()].concat()
    }

    fn text(length: usize) -> Vec<u8> {
        let mut frame = match u8::try_from(length) {
            Ok(short) if short < 126 => vec![0x81, short],
            _ => [&[0x81, 127][..], &(length as u64).to_be_bytes()].concat(),
        };
        frame.resize(frame.len() + length, b'x');
        frame
    }

    async fn next_text(socket: &mut Socket) -> Bytes {
        match socket.next().await {
            Some(Ok(Message::Text(text))) => text.into(),
            other => panic!("no text: {other:?}"),
        }
    }

    /// Pings the socket and reads none of its answers.
    async fn pinged(socket: &mut Socket, far: &mut DuplexStream, pings: u32) {
        for number in 0..pings {
            far.write_all(&ping(number)).await.unwrap();
            let came = socket.next().await;
            assert!(matches!(came, Some(Ok(Message::Ping(_)))), "{came:?}");
        }
    }

    /// The numbers in the pongs, unmasked.
    fn pongs(bytes: &[u8]) -> Vec<u32> {
        let number = |pong: &[u8]| {
            let unmasked: Vec<_> = (0..4).map(|at| pong[6 + at] ^ pong[2 + at]).collect();
            u32::from_be_bytes(unmasked.try_into().unwrap())
        };
        bytes.chunks_exact(PONG).map(number).collect()
    }

    #[tokio::test]
    async fn of_pings_that_come_while_nothing_is_read_the_last_one_is_answered() {
        let (mut socket, mut far) = open(PIPE);
        pinged(&mut socket, &mut far, 100_000).await;
        assert!(socket.is_blocked());
        let reads = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        });
        poll_fn(|cx| socket.poll_flush(cx)).await.unwrap();
        assert!(!socket.is_blocked() && socket.take_moved());
        drop(socket);
        let answered = pongs(&reads.await.unwrap());
        // Those that found room in the pipe, one in the buffer, and the one that waited.
        assert!(answered.len() <= PIPE / PONG + 3, "{} pongs", answered.len());
        assert_eq!(answered.last(), Some(&99_999));
    }

    #[tokio::test]
    async fn a_frame_waits_until_what_was_written_before_it_is_taken() {
        let (mut socket, mut far) = open(PIPE);
        pinged(&mut socket, &mut far, 1000).await;
        let mut send = Box::pin(socket.send(Message::text("after")));
        assert!(send.as_mut().now_or_never().is_none());
        let reads = tokio::spawn(async move {
            let mut all = Vec::new();
            far.read_to_end(&mut all).await.unwrap();
            all
        });
        send.await.unwrap();
        drop(socket);
        let all = reads.await.unwrap();
        let (before, frame) = all.split_at(all.len() - (6 + "after".len()));
        assert_eq!((frame[0], before.len() % PONG), (0x81, 0));
    }

    #[tokio::test]
    async fn a_small_message_does_not_hold_on_to_the_buffer_of_a_large_one() {
        let (mut socket, mut far) = open(1 << 20);
        let lengths = [100, 200_000, 100, 150_000, 90_000, 100];
        for length in lengths {
            far.write_all(&text(length)).await.unwrap();
        }
        let mut alone = Vec::new();
        for length in lengths {
            let message = next_text(&mut socket).await;
            assert_eq!(message.len(), length);
            alone.push(message.is_unique());
        }
        // Copied is what is less than half as long as the longest one before it.
        assert_eq!(alone, [false, false, true, false, true, true]);
        assert!(socket.is_all_read());
        socket.set_read_buffer(ReadBuffer::Quiet);
        far.write_all(&text(100)).await.unwrap();
        assert!(!next_text(&mut socket).await.is_unique());
    }
}

#[cfg(test)]
mod read_counters_tests {
    use super::*;

    #[test]
    fn what_was_read_is_counted_however_it_is_cut() {
        let frame = b"\x81\x05hello";
        for cut in 0..frame.len() {
            let mut intake = ReadCounters::after(cut);
            intake.record_bytes(frame.len() - cut);
            assert!(intake.take_heard() && !intake.is_all_read(), "cut at {cut}");
            intake.record_message(&Message::text("hello"));
            assert!(intake.is_all_read() && !intake.take_heard(), "cut at {cut}");
        }
    }

    #[test]
    fn a_message_of_several_frames_leaves_a_doubt_for_good() {
        let mut intake = ReadCounters::default();
        intake.record_bytes(b"\x01\x02he\x80\x03llo".len());
        intake.record_message(&Message::text("hello"));
        assert!(!intake.is_all_read());
    }

    #[test]
    fn a_frame_has_the_size_that_its_length_needs() {
        for (payload, size) in [(0, 2), (125, 127), (126, 130), (65_535, 65_539), (65_536, 65_546)] {
            assert_eq!(least_size(payload), size);
        }
    }
}
