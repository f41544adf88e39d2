//! Where a turn is shown: on a terminal as it comes, in a pipe when it is whole, as JSON lines for programs.
//!
//! A pipe gets the whole answer at once, because a release may correct its text and written output can't be taken back.

use std::io;

use serde_json::json;
use windlass::sessions::{RunEnd, RunProgress};
use windlass_protocol::SessionKey;

use crate::output::{DIM, Output, Spinner};
use crate::text::harmless;
use crate::turn::end;

/// One turn on the screen.
pub(crate) struct TurnScreen<'a> {
    output: &'a Output,
    spoken: ShownAnswer,
    /// The cursor stands behind text.
    in_line: bool,
    waiting: Option<Spinner>,
}

impl<'a> TurnScreen<'a> {
    pub(crate) const fn new(output: &'a Output) -> Self {
        Self {
            output,
            spoken: ShownAnswer {
                text: String::new(),
                has_hole: false,
            },
            in_line: false,
            waiting: None,
        }
    }

    /// The message is on its way, under this key.
    pub(crate) fn sent(&self, session: &SessionKey, key: &str) -> io::Result<()> {
        if self.output.json() {
            self.output
                .value(&json!({"type": "sent", "session": session, "key": key}))?;
        }
        Ok(())
    }

    /// Nothing to show yet.
    pub(crate) fn wait(&mut self) {
        if self.spoken.is_empty() && self.waiting.is_none() {
            self.waiting = Some(Spinner::new(self.output, "waiting for the answer"));
        }
    }

    pub(crate) fn progress(&mut self, progress: &RunProgress) -> io::Result<()> {
        let piece = self.spoken.take(progress);
        if self.output.json() {
            return self.output.value(&as_json(progress));
        }
        if self.output.redraws() {
            self.show(piece)?;
        }
        Ok(())
    }

    /// A word between the text, on stderr.
    pub(crate) fn notice(&mut self, words: &str) {
        self.notice_last(words);
        self.wait();
    }

    /// A word after which nothing comes.
    pub(crate) fn notice_last(&mut self, words: &str) {
        self.break_off();
        self.output.progress(&format!("{DIM}-- {words}{DIM:#}"));
    }

    /// The turn is left.
    pub(crate) fn break_off(&mut self) {
        self.waiting = None;
        self.end_line();
    }

    /// The rest of the answer.
    pub(crate) fn end(&mut self, end: &RunEnd) -> io::Result<()> {
        self.waiting = None;
        if self.output.json() {
            return self.output.value(&end::as_json(end));
        }
        if let RunEnd::Final(answer) = end {
            if self.output.redraws() {
                let piece = self.spoken.become_whole(&answer.text);
                self.show(piece)?;
            } else if !answer.text.is_empty() {
                self.output.line(&harmless(answer.text.trim_end()))?;
            }
        }
        self.end_line();
        Ok(())
    }

    fn show(&mut self, piece: Piece) -> io::Result<()> {
        match piece {
            Piece::More(text) => self.write(&text),
            Piece::Anew(text) => {
                self.notice("what stands above was not the answer; this is");
                self.write(&text)
            }
            Piece::Hole => {
                self.notice("some of the text was lost; the end will have all of it");
                Ok(())
            }
            Piece::Nothing => Ok(()),
        }
    }

    fn write(&mut self, text: &str) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        self.waiting = None;
        self.in_line = !text.ends_with('\n');
        self.output.write(&harmless(text))
    }

    fn end_line(&mut self) {
        if std::mem::take(&mut self.in_line) {
            // A terminal that is gone shows at the next line.
            let _ = self.output.write("\n");
        }
    }
}

fn as_json(progress: &RunProgress) -> serde_json::Value {
    match progress {
        RunProgress::Started { run_id } => json!({"type": "started", "runId": run_id}),
        RunProgress::Increment(text) => json!({"type": "increment", "text": text}),
        RunProgress::Replaced(text) => json!({"type": "replaced", "text": text}),
        RunProgress::Hole => json!({"type": "hole"}),
        RunProgress::HandedOn { to } => json!({"type": "handed-on", "runId": to}),
    }
}

/// The part of an answer that was shown so far.
#[derive(Debug, Default)]
pub(crate) struct ShownAnswer {
    pub(crate) text: String,
    /// Something in it is missing until the end.
    pub(crate) has_hole: bool,
}

/// The next output.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Append this text.
    More(String),
    /// Replace the shown text by this one.
    Anew(String),
    /// A word that something is missing.
    Hole,
    Nothing,
}

impl ShownAnswer {
    pub(crate) fn take(&mut self, progress: &RunProgress) -> Piece {
        match progress {
            RunProgress::Increment(more) => {
                self.text.push_str(more);
                Piece::More(more.clone())
            }
            RunProgress::Replaced(whole) => self.become_whole(whole),
            RunProgress::Hole if !self.has_hole => {
                self.has_hole = true;
                Piece::Hole
            }
            _ => Piece::Nothing,
        }
    }

    /// Whether nothing was shown.
    pub(crate) const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The output that is left when the whole text is known.
    pub(crate) fn become_whole(&mut self, whole: &str) -> Piece {
        let piece = match whole.strip_prefix(self.text.as_str()) {
            Some("") => Piece::Nothing,
            Some(rest) => Piece::More(rest.to_owned()),
            None => Piece::Anew(whole.to_owned()),
        };
        self.has_hole = false;
        whole.clone_into(&mut self.text);
        piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn more(text: &str) -> Piece {
        Piece::More(text.to_owned())
    }

    #[test]
    fn increments_are_shown_once_and_the_end_shows_only_what_is_missing() {
        let mut spoken = ShownAnswer::default();
        assert!(spoken.is_empty());
        assert_eq!(spoken.take(&RunProgress::Increment("one".into())), more("one"));
        assert_eq!(spoken.take(&RunProgress::Replaced("one two".into())), more(" two"));
        assert_eq!(spoken.become_whole("one two three"), more(" three"));
        assert_eq!(spoken.become_whole("one two three"), Piece::Nothing);
    }

    #[test]
    fn a_text_that_was_something_else_is_shown_anew() {
        let mut spoken = ShownAnswer::default();
        spoken.take(&RunProgress::Increment("draft".into()));
        assert_eq!(
            spoken.take(&RunProgress::Replaced("final".into())),
            Piece::Anew("final".into())
        );
        assert_eq!(spoken.take(&RunProgress::Increment("!".into())), more("!"));
        assert_eq!(spoken.become_whole("final!"), Piece::Nothing);
    }

    #[test]
    fn a_hole_is_told_once_and_filled_at_the_end() {
        let mut spoken = ShownAnswer::default();
        spoken.take(&RunProgress::Increment("a".into()));
        assert_eq!(spoken.take(&RunProgress::Hole), Piece::Hole);
        assert_eq!(spoken.take(&RunProgress::Hole), Piece::Nothing);
        spoken.take(&RunProgress::Increment("c".into()));
        assert_eq!(spoken.become_whole("abc"), Piece::Anew("abc".into()));
    }
}
