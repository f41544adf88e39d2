//! Text as it comes, put together.

use windlass::sessions::RunProgress;

/// What was shown of an answer so far.
#[derive(Debug, Default)]
pub(crate) struct Spoken {
    pub(crate) text: String,
    /// Something in it is missing until the end.
    pub(crate) has_hole: bool,
}

/// What is to be shown next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This, behind what is there.
    More(String),
    /// This, in place of what is there.
    Anew(String),
    /// A word that something is missing.
    Hole,
    Nothing,
}

impl Spoken {
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

    /// What is left to be shown when the whole is known.
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
        let mut spoken = Spoken::default();
        assert!(spoken.is_empty());
        assert_eq!(spoken.take(&RunProgress::Increment("one".into())), more("one"));
        assert_eq!(spoken.take(&RunProgress::Replaced("one two".into())), more(" two"));
        assert_eq!(spoken.become_whole("one two three"), more(" three"));
        assert_eq!(spoken.become_whole("one two three"), Piece::Nothing);
    }

    #[test]
    fn a_text_that_was_something_else_is_shown_anew() {
        let mut spoken = Spoken::default();
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
        let mut spoken = Spoken::default();
        spoken.take(&RunProgress::Increment("a".into()));
        assert_eq!(spoken.take(&RunProgress::Hole), Piece::Hole);
        assert_eq!(spoken.take(&RunProgress::Hole), Piece::Nothing);
        spoken.take(&RunProgress::Increment("c".into()));
        assert_eq!(spoken.become_whole("abc"), Piece::Anew("abc".into()));
    }
}
