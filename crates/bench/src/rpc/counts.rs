//! Counts instead of times: system calls, instructions, allocations. A busy machine disturbs them little.

use std::ffi::OsString;
use std::path::Path;

use super::process::{Process, ProcessError, counting_program};
use crate::load::{Order, Until, Window};

/// Requests of a run that is counted under strace: connecting costs some ten calls, which are lost among them.
const TRACED: u64 = 40_000;

/// The same of a client that connects for each request: there are 28,232 ports, and each is held for a minute.
const TRACED_CONNECTIONS: u64 = 2_000;

/// Requests of the two runs under valgrind. The difference of the runs is the cost of the requests.
const VALGRIND: (u64, u64) = (4_000, 12_000);

/// Requests of the run that counts allocations.
const COUNTED: u64 = 40_000;

/// Calls into the kernel per request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct SystemCalls {
    /// Writes to the socket.
    pub sends: f64,
    /// Reads from it.
    pub receives: f64,
}

/// Whether a program is there.
pub(super) fn is_there(program: &str) -> bool {
    let Some(path) = std::env::var_os("PATH") else {
        return false;
    };
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs a client under strace, one that connects for each request or one that does not.
///
/// # Errors
/// When a process fails.
pub(super) async fn system_calls(
    command: &[OsString],
    depth: usize,
    folder: &Path,
    connects: bool,
) -> Result<SystemCalls, ProcessError> {
    let file = folder.join("strace.txt");
    let mut traced: Vec<OsString> = ["strace", "-f", "-c", "-o"].map(Into::into).into();
    traced.push(file.clone().into());
    traced.extend_from_slice(command);
    let requests = if connects { TRACED_CONNECTIONS } else { TRACED };
    let window = one_window(&traced, depth, requests).await?;
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let of = |names: &[&str]| per_request(calls(&text, names), window.requests);
    Ok(SystemCalls {
        // Node's libuv writes and reads sockets as files.
        sends: of(&["sendto", "sendmsg", "write", "writev"]),
        receives: of(&["recvfrom", "recvmsg", "read", "readv"]),
    })
}

/// Instructions per request, by callgrind: the difference of two runs.
///
/// # Errors
/// When a process fails.
pub(super) async fn instructions(command: &[OsString], depth: usize) -> Result<Option<f64>, ProcessError> {
    let (few, many) = (
        collected(command, depth, VALGRIND.0).await?,
        collected(command, depth, VALGRIND.1).await?,
    );
    let difference = few.zip(many).map(|(few, many)| many.saturating_sub(few));
    Ok(difference.map(|instructions| per_request(instructions, VALGRIND.1 - VALGRIND.0)))
}

async fn collected(command: &[OsString], depth: usize, requests: u64) -> Result<Option<u64>, ProcessError> {
    let folder = std::env::temp_dir().join(format!("windlass-bench-{}", std::process::id()));
    let _ = std::fs::create_dir_all(&folder);
    let file = folder.join("callgrind.out");
    let mut option = OsString::from("--callgrind-out-file=");
    option.push(&file);
    let mut watched: Vec<OsString> = vec!["valgrind".into(), "--tool=callgrind".into(), "-q".into(), option];
    watched.extend_from_slice(command);
    one_window(&watched, depth, requests).await?;
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let _ = std::fs::remove_dir_all(&folder);
    Ok(total(&text))
}

/// Allocations per request.
///
/// # Errors
/// When a process fails.
pub(super) async fn allocations(args: &[&str], depth: usize) -> Result<Option<f64>, ProcessError> {
    let Some(command) = counting_program(args) else {
        return Ok(None);
    };
    let window = one_window(&command, depth, COUNTED).await?;
    Ok(window.allocations.map(|count| per_request(count, window.requests)))
}

async fn one_window(command: &[OsString], depth: usize, requests: u64) -> Result<Window, ProcessError> {
    let (mut client, _) = Process::start("a client that is counted", command).await?;
    let until = Until::Requests(requests);
    let window = client.window(Order { depth, until }).await?;
    client.finish().await;
    Ok(window)
}

/// Calls of these names in a summary of strace: `% time, seconds, usecs/call, calls, errors?, name`.
fn calls(summary: &str, names: &[&str]) -> u64 {
    let of_line = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let name = words.last()?;
        names
            .contains(name)
            .then(|| words.get(3)?.parse::<u64>().ok())
            .flatten()
    };
    summary.lines().filter_map(of_line).sum()
}

/// The sum in a file of callgrind: `totals: 123` or `summary: 123`.
fn total(file: &str) -> Option<u64> {
    let line = file
        .lines()
        .rfind(|line| line.starts_with("totals:") || line.starts_with("summary:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a short run are far from the end of f64"
)]
fn per_request(count: u64, requests: u64) -> f64 {
    count as f64 / requests.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calls_of_a_summary_are_found_with_and_without_errors() {
        let summary = "% time     seconds  usecs/call     calls    errors syscall\n\
                       ------ ----------- ----------- --------- --------- ----------------\n \
                       52.17    0.000012           0       640           sendto\n \
                       47.83    0.000011           0      1300       660 recvfrom\n\
                       ------ ----------- ----------- --------- --------- ----------------\n\
                       100.00    0.000023           0      1940       660 total\n";
        assert_eq!(calls(summary, &["sendto", "write"]), 640);
        assert_eq!(calls(summary, &["recvfrom"]), 1300);
    }

    #[test]
    fn the_sum_of_a_callgrind_file_is_found() {
        assert_eq!(total("events: Ir\nfn=(1) main\n1 2\n\ntotals: 1234\n"), Some(1234));
        assert_eq!(total("events: Ir\n"), None);
    }
}
