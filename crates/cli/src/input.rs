//! Texts that are given to a command: as an argument, in a file, or on stdin.

use std::fmt::Display;
use std::io;
use std::path::Path;

use windlass_line::threads;

use crate::exit::Failure;

/// The line end that editors append. It is removed, and does not count for a limit.
const LINE_END: usize = 2;

/// The words of an argument; `-` stands for stdin. Line ends behind them are dropped.
///
/// # Errors
/// When there are none, or more than `limit` bytes.
pub(crate) async fn words(name: &str, given: &str, limit: usize) -> Result<String, Failure> {
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
pub(crate) async fn file(flag: &str, path: &Path, limit: usize) -> Result<String, Failure> {
    let text = if path == Path::new("-") {
        stdin(flag, limit).await?
    } else {
        windlass_files::read_text(path, limit + LINE_END)
            .map_err(|error| unreadable(flag, path.display(), &error, limit, "Name a text file, or - for stdin."))?
    };
    checked(flag, &text, limit)
}

/// All of stdin, as text of at most `limit` bytes and a line end.
///
/// # Errors
/// When it can't be read, or has more.
pub(crate) async fn stdin(name: &str, limit: usize) -> Result<String, Failure> {
    // On a thread of its own: a read can't be interrupted, and Ctrl-C has to work meanwhile.
    let read = move || windlass_files::read_text_from(io::stdin().lock(), limit + LINE_END);
    let read = threads::detached("stdin", read)?.await;
    let read = read.unwrap_or_else(|stopped| Err(io::Error::other(stopped)));
    read.map_err(|error| unreadable(name, "stdin", &error, limit, "Pipe UTF-8 text into the program."))
}

fn unreadable(name: &str, place: impl Display, error: &io::Error, limit: usize, next_step: &'static str) -> Failure {
    match error.kind() {
        io::ErrorKind::FileTooLarge => too_much(name, limit),
        _ => Failure::usage(format!("{name}: {place} can't be read: {error}"), next_step),
    }
}

fn too_much(name: &str, limit: usize) -> Failure {
    Failure::usage(
        format!("{name}: it has over {limit} bytes"),
        "Say less, or put it where the agent can read it.",
    )
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
        return Err(too_much(name, limit));
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

    #[tokio::test]
    async fn a_file_of_words_is_a_regular_one_and_its_last_line_end_counts_for_no_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("words");
        std::fs::write(&path, "abc\r\n").unwrap();
        assert_eq!(file("--set", &path, 3).await.unwrap(), "abc");
        assert!(told(file("--set", &path, 2).await).contains("--set: it has over 2 bytes"));
        std::fs::write(&path, "x".repeat(99)).unwrap();
        assert!(told(file("--set", &path, 2).await).contains("--set: it has over 2 bytes"));
        let device = if cfg!(unix) {
            Path::new("/dev/zero")
        } else {
            folder.path()
        };
        assert!(told(file("--set", device, 2).await).contains("not a regular file"));
    }
}
