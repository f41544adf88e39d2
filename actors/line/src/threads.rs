//! Threads and runtimes: all of them are made here, and each can be refused by the system.
//!
//! A refusal of the system is reported with the limit that was met. Nothing here panics, waits for a free thread, or makes half of
//! the wanted threads.

use std::fmt;
use std::future::Future;
use std::io;
use std::thread::JoinHandle;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use windlass_protocol::{Advice, Advise};

/// Descriptors that a runtime may take: `epoll`, its waker, a copy of either, and for signals a pair of sockets and a copy.
const RUNTIME_DESCRIPTORS: usize = 8;

/// The system refused something that is bounded.
#[derive(Debug, thiserror::Error)]
#[error("{wanted} can't be had ({source}): {limit}")]
pub struct ResourceError {
    /// The wanted resource.
    wanted: &'static str,
    limit: Limit,
    source: io::Error,
}

/// A limit of the system, as an error names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Open files and sockets of this process (`RLIMIT_NOFILE`), so many where that is known.
    OpenFiles(Option<u64>),
    /// Open files of the whole system.
    SystemFiles,
    /// Processes and threads of this user (`RLIMIT_NPROC`) or of the container, or memory for a thread.
    Threads,
    /// Another one.
    Other,
}

impl Limit {
    /// The limit that an error of opening a file or a socket stands for.
    pub fn of_opening(error: &io::Error) -> Option<Self> {
        let code = error.raw_os_error()?;
        errno::limit(code)
    }

    /// The next step.
    pub const fn next_step(self) -> &'static str {
        match self {
            Self::OpenFiles(_) => {
                "Raise the limit of open files: ulimit -n 1024, or LimitNOFILE= in the service's unit; a line takes one, a \
                 process without lines some 30."
            }
            Self::SystemFiles => "Raise the system's limit of open files: sysctl fs.file-max.",
            Self::Threads => {
                "Raise the limit of processes and threads: ulimit -u, TasksMax= in the service's unit, or the container's \
                 limit of processes; and look whether memory is left (ulimit -v)."
            }
            Self::Other => "Look what the system's log says about it.",
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OpenFiles(Some(most)) => write!(f, "this process may have {most} open files (RLIMIT_NOFILE)"),
            Self::OpenFiles(None) => f.write_str("this process has as many open files as it may (RLIMIT_NOFILE)"),
            Self::SystemFiles => f.write_str("the system has as many open files as it may"),
            Self::Threads => f.write_str(
                "this user or container has as many processes and threads as it may (RLIMIT_NPROC), or no memory is left",
            ),
            Self::Other => f.write_str("the system refused it"),
        }
    }
}

impl ResourceError {
    /// The limit that was met.
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    fn thread(source: io::Error) -> Self {
        Self {
            wanted: "a thread",
            limit: Limit::Threads,
            source,
        }
    }

    fn runtime(source: io::Error) -> Self {
        let limit = Limit::of_opening(&source).unwrap_or(Limit::Other);
        Self {
            wanted: "a thread's runtime",
            limit,
            source,
        }
    }

    /// An error of opening a socket, where it stands for a limit; back as it is where not.
    pub(crate) fn of_socket(source: io::Error) -> Result<Self, io::Error> {
        match Limit::of_opening(&source) {
            Some(limit) => Ok(Self {
                wanted: "a socket",
                limit,
                source,
            }),
            None => Err(source),
        }
    }
}

impl Advise for ResourceError {
    fn advice(&self) -> Advice {
        let text = self.to_string();
        let mut letters = text.chars();
        let first = letters.next().map(|first| first.to_uppercase().to_string());
        let summary = format!("{}{}.", first.unwrap_or_default(), letters.as_str());
        Advice::new(summary, self.limit.next_step())
    }
}

/// Starts a thread.
///
/// # Errors
/// When the system gives none.
pub fn spawn(name: impl Into<String>, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, ResourceError> {
    let thread = std::thread::Builder::new().name(name.into());
    thread.spawn(run).map_err(ResourceError::thread)
}

/// Runs blocking work on a thread of its own, which nothing waits for: neither the end of a runtime nor that of the process. The
/// answer's place is dropped when the work panics.
///
/// # Errors
/// When the system gives no thread.
pub fn detached<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, ResourceError> {
    let (answer, answered) = oneshot::channel();
    spawn(name, move || drop(answer.send(work())))?;
    Ok(answered)
}

/// Runs blocking work on a thread of the present runtime. A virtual clock of the runtime stands meanwhile. A
/// [`ThreadRuntime`] does not wait for it at its end.
///
/// # Errors
/// When the system gives no thread.
pub fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<tokio::task::JoinHandle<T>, ResourceError> {
    // tokio panics where it gets none.
    see_threads(1)?;
    let begun = tracing::guard(|| tokio::task::spawn_blocking(work));
    begun.ok_or_else(|| ResourceError::thread(io::ErrorKind::WouldBlock.into()))
}

/// A runtime of one thread. When it is dropped, nothing is waited for: not for work on it that can't be interrupted, such as
/// a name look-up of the host's own.
#[derive(Debug)]
pub struct ThreadRuntime(Option<Runtime>);

impl ThreadRuntime {
    /// With time and IO.
    ///
    /// # Errors
    /// When the system gives no descriptors for it.
    pub fn new() -> Result<Self, ResourceError> {
        let runtime = build(Builder::new_current_thread().enable_all(), 0)?;
        Ok(Self(Some(runtime)))
    }

    /// Runs something to its end, and tasks that can't leave the thread beside it.
    pub fn block_on<F: Future>(&self, future: F) -> Option<F::Output> {
        let runtime = self.0.as_ref()?;
        Some(LocalSet::new().block_on(runtime, future))
    }
}

impl Drop for ThreadRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Sees whether some descriptors are left, to explain why something could not be opened.
///
/// # Errors
/// When there are none.
pub fn see_descriptors() -> Result<(), ResourceError> {
    errno::see_descriptors(RUNTIME_DESCRIPTORS).map_err(|source| ResourceError {
        wanted: "files",
        limit: Limit::of_opening(&source).unwrap_or(Limit::Other),
        source,
    })
}

/// Builds a runtime that starts so many threads of its own.
///
/// tokio panics where it gets no sockets for signals, or no thread for a worker: so it is asked only where there are such. Should
/// another process take them in between, the panic ends here.
///
/// # Errors
/// When the system gives no descriptors or no threads for it.
pub fn build(builder: &mut Builder, threads: usize) -> Result<Runtime, ResourceError> {
    errno::see_descriptors(RUNTIME_DESCRIPTORS).map_err(ResourceError::runtime)?;
    see_threads(threads)?;
    let panicked = || io::Error::other("the runtime could not be built");
    let built = tracing::guard(|| builder.build()).ok_or_else(panicked);
    built.and_then(|built| built).map_err(ResourceError::runtime)
}

/// Sees whether so many threads are to be had at once.
fn see_threads(threads: usize) -> Result<(), ResourceError> {
    let mut probes = Vec::new();
    for _ in 0..threads {
        let (let_go, wait) = std::sync::mpsc::channel::<()>();
        let thread = spawn("windlass-probe", move || {
            let _ = wait.recv();
        })?;
        probes.push((let_go, thread));
    }
    for (let_go, thread) in probes {
        drop(let_go);
        // It only waits, and can't panic.
        let _ = thread.join();
    }
    Ok(())
}

#[cfg(unix)]
mod errno {
    use std::io;
    use std::os::unix::net::UnixStream;

    use rustix::io::Errno;
    use rustix::process::{Resource, getrlimit};

    use super::Limit;

    pub(super) fn limit(code: i32) -> Option<Limit> {
        match Errno::from_raw_os_error(code) {
            Errno::MFILE => Some(Limit::OpenFiles(getrlimit(Resource::Nofile).current)),
            Errno::NFILE => Some(Limit::SystemFiles),
            _ => None,
        }
    }

    /// Sees whether so many descriptors are to be had at once.
    pub(super) fn see_descriptors(wanted: usize) -> io::Result<()> {
        let pairs: io::Result<Vec<_>> = (0..wanted.div_ceil(2)).map(|_| UnixStream::pair()).collect();
        pairs.map(drop)
    }
}

#[cfg(not(unix))]
mod errno {
    use std::io;

    use super::Limit;

    pub(super) const fn limit(_code: i32) -> Option<Limit> {
        None
    }

    #[expect(clippy::unnecessary_wraps, reason = "the interface of the other one")]
    pub(super) const fn see_descriptors(_wanted: usize) -> io::Result<()> {
        Ok(())
    }
}
