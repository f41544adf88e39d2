//! Runs a program to its end and keeps the end of its output.

use std::{collections::VecDeque, io, process::Stdio, time::Duration};

use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    process::Command,
};

use crate::group::{GroupChild, describe_exit};

/// How much of a program's output is kept: enough for an error and its surroundings.
const TAIL_BYTES: usize = 8 * 1024;

/// How a program failed.
#[derive(Debug, Error)]
pub enum RunError {
    /// It could not be started or waited for.
    #[error("the program could not be run")]
    Io(#[from] io::Error),
    /// It ran too long and was killed.
    #[error("no end after {} s; its last words:\n{tail}", after.as_secs())]
    TooLong {
        /// How long it was allowed to run.
        after: Duration,
        /// The end of what it printed.
        tail: String,
    },
    /// It ended with a failure.
    #[error("{exit}; its last words:\n{tail}")]
    Failed {
        /// How it ended.
        exit: String,
        /// The end of what it printed.
        tail: String,
    },
}

/// Runs `command` to its end and returns the end of its output.
///
/// The program is killed with everything it started when it runs longer than `within`, and also
/// when the returned future is dropped.
pub async fn run_to_end(command: &mut Command, within: Duration) -> Result<String, RunError> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut group = GroupChild::spawn(command)?;
    let out = group.child_mut().stdout.take();
    let err = group.child_mut().stderr.take();
    let mut tail = Tail::default();
    let mut err_tail = Tail::default();
    let run = async {
        let (read_out, read_err) = tokio::join!(tail.read(out), err_tail.read(err));
        read_out.and(read_err)?;
        group.wait().await
    };
    let ended = tokio::time::timeout(within, run).await;
    let text = || format!("{}{}", tail.text(), err_tail.text());
    match ended {
        Err(_) => Err(RunError::TooLong {
            after: within,
            tail: text(),
        }),
        Ok(Err(error)) => Err(error.into()),
        Ok(Ok(status)) if status.success() => Ok(text()),
        Ok(Ok(status)) => Err(RunError::Failed {
            exit: describe_exit(status),
            tail: text(),
        }),
    }
}

/// The last [`TAIL_BYTES`] of a stream.
#[derive(Debug, Default)]
struct Tail {
    bytes: VecDeque<u8>,
}

impl Tail {
    async fn read(&mut self, source: Option<impl AsyncRead + Unpin>) -> io::Result<()> {
        let Some(mut source) = source else {
            return Ok(());
        };
        let mut piece = vec![0; TAIL_BYTES];
        loop {
            let count = source.read(&mut piece).await?;
            if count == 0 {
                return Ok(());
            }
            self.push(&piece[..count]);
        }
    }

    fn push(&mut self, piece: &[u8]) {
        self.bytes.extend(piece);
        let surplus = self.bytes.len().saturating_sub(TAIL_BYTES);
        self.bytes.drain(..surplus);
    }

    fn text(&self) -> String {
        let (front, back) = self.bytes.as_slices();
        String::from_utf8_lossy(&[front, back].concat()).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn what_was_printed_comes_back() {
        let text = run_to_end(&mut shell("echo one; echo two >&2"), LONG).await;
        assert_eq!(text.expect("it succeeds"), "one\ntwo\n");
    }

    #[tokio::test]
    async fn a_failure_tells_its_code_and_last_words() {
        let error = run_to_end(&mut shell("echo why >&2; exit 3"), LONG)
            .await
            .expect_err("it fails");
        assert_eq!(error.to_string(), "exit 3; its last words:\nwhy\n");
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_killed() {
        let error = run_to_end(&mut shell("sleep 600 & wait"), Duration::from_millis(50))
            .await
            .expect_err("it takes too long");
        assert!(matches!(error, RunError::TooLong { .. }), "{error}");
    }

    #[test]
    fn only_the_end_is_kept() {
        let mut tail = Tail::default();
        tail.push(&[b'a'; TAIL_BYTES]);
        tail.push(b"end");
        assert_eq!(tail.bytes.len(), TAIL_BYTES);
        assert!(tail.text().ends_with("aaend"));
    }
}
