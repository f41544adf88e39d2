//! Texts that are given to a command: as an argument, in a file, or on stdin.

use std::fmt::Display;
use std::io::{self, Read};
use std::path::Path;

use tokio::task::spawn_blocking;

use super::exit::Failure;

/// The words of an argument; `-` stands for stdin. Line ends behind them are dropped.
///
/// # Errors
/// When there are none, or more than `limit` bytes.
pub(super) async fn words(name: &str, given: &str, limit: usize) -> Result<String, Failure> {
    let text = if given == "-" {
        stdin(name, limit).await?
    } else {
        given.to_owned()
    };
    checked(name, &text, limit)
}

/// The words of a file; `-` stands for stdin.
///
/// # Errors
/// When it can't be read, holds nothing, or more than `limit` bytes.
pub(super) async fn file(flag: &str, path: &Path, limit: usize) -> Result<String, Failure> {
    let text = if path == Path::new("-") {
        stdin(flag, limit).await?
    } else {
        let opened = std::fs::File::open(path);
        let read = opened.and_then(|file| bounded(file, limit));
        read.map_err(|error| unreadable(flag, path.display(), &error, "Name a text file, or - for stdin."))?
    };
    checked(flag, &text, limit)
}

/// On a thread of its own: a read can't be interrupted, and Ctrl-C has to work meanwhile.
async fn stdin(name: &str, limit: usize) -> Result<String, Failure> {
    let read = spawn_blocking(move || bounded(io::stdin().lock(), limit)).await;
    let read = read.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
    read.map_err(|error| unreadable(name, "stdin", &error, "Pipe UTF-8 text into the program."))
}

/// One byte more than is allowed tells that there is too much.
fn bounded(from: impl Read, limit: usize) -> io::Result<String> {
    let mut text = String::new();
    from.take(limit as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

fn unreadable(name: &str, place: impl Display, error: &io::Error, next_step: &'static str) -> Failure {
    Failure::usage(format!("{name}: {place} can't be read: {error}"), next_step)
}

fn checked(name: &str, text: &str, limit: usize) -> Result<String, Failure> {
    let text = text.trim_end_matches(['\r', '\n']);
    if text.trim().is_empty() {
        return Err(Failure::usage(
            format!("{name}: there are no words in it"),
            "Give some, in quotes, or - to read them from stdin.",
        ));
    }
    if text.len() > limit {
        return Err(Failure::usage(
            format!("{name}: it has over {limit} bytes"),
            "Say less, or put it where the agent can read it.",
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ended: Result<String, Failure>) -> String {
        match ended {
            Err(Failure::Told(_, advice)) => advice.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn words_keep_their_lines_and_lose_the_last_line_end() {
        assert_eq!(checked("TEXT", "a\n\nb\r\n", 99).unwrap(), "a\n\nb");
        assert!(told(checked("TEXT", " \n", 99)).contains("TEXT"));
        assert!(told(checked("--set", "abcd", 3)).contains("--set: it has over 3 bytes"));
    }

    #[test]
    fn no_more_is_read_than_tells_that_it_is_too_much() {
        assert_eq!(bounded(io::repeat(b'x'), 5).unwrap().len(), 6);
        assert!(bounded(&b"\xff"[..], 5).is_err());
    }
}
