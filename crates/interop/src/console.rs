//! Progress lines on standard error and results on standard output.
//!
//! Colours appear only when the stream is a terminal and `NO_COLOR` is unset, so that a log file
//! or a pipe stays plain. A closed pipe is not an error of the run: failed writes are ignored.

use std::io::{self, IsTerminal, Write};

/// How a word is painted on a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Something held.
    Good,
    /// Something broke.
    Bad,
    /// Something did not run, or cannot be done on this release.
    Pale,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Pale => "33",
        }
    }
}

/// Where the runner talks to a person.
#[derive(Clone, Copy, Debug)]
pub struct Console {
    color: bool,
}

impl Console {
    /// A console on this process's standard streams, coloured when standard error is a terminal.
    pub fn new() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            color: wanted && io::stderr().is_terminal(),
        }
    }

    /// A console that never paints.
    pub fn plain() -> Self {
        Self { color: false }
    }

    /// Writes `[tag] text` as one line to standard error.
    pub fn progress(&self, tag: &str, text: &str) {
        drop(writeln!(io::stderr().lock(), "[{tag}] {text}"));
    }

    /// Writes one line to standard error.
    pub fn say(&self, text: &str) {
        drop(writeln!(io::stderr().lock(), "{text}"));
    }

    /// Writes one line to standard output.
    pub fn result(&self, text: &str) {
        let mut out = io::stdout().lock();
        drop(writeln!(out, "{text}").and_then(|()| out.flush()));
    }

    /// `word`, painted if this console paints.
    pub fn paint(&self, paint: Paint, word: &str) -> String {
        if self.color {
            format!("\u{1b}[{}m{word}\u{1b}[0m", paint.code())
        } else {
            word.to_owned()
        }
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_console_leaves_words_alone() {
        assert_eq!(Console::plain().paint(Paint::Bad, "failed"), "failed");
    }

    #[test]
    fn a_coloured_console_resets_after_the_word() {
        let console = Console { color: true };
        assert_eq!(console.paint(Paint::Good, "ok"), "\u{1b}[32mok\u{1b}[0m");
    }
}
