//! The text of a run as it was told so far.
//!
//! Every delta of every release holds the whole text so far, so that a lost, doubled or late one costs nothing; the increment
//! beside it (generation 4) is used only where the whole text is missing, which its schema allows.

use super::end::Progress;
use crate::releases::runs::{TEXT_LIMIT, without_half_character};

/// The reported text.
#[derive(Debug, Default)]
pub(super) struct Spoken {
    told: String,
    /// Number of the last delta of this run on this connection.
    seq: Option<u64>,
    /// Deltas may be missing since the last one.
    gap: bool,
    /// [`Progress::Hole`] was told.
    hole: bool,
}

impl Spoken {
    /// The whole text so far, of a `chat` delta. `replaces` is the gateway's word that it corrects itself.
    pub(super) fn whole(&mut self, text: &str, seq: Option<u64>, replaces: bool) -> Option<Progress> {
        if self.is_late(seq) {
            return None;
        }
        let text = cut(without_half_character(text));
        if !replaces && self.told.starts_with(text) {
            return None;
        }
        self.become_text(text)
    }

    /// The whole text of one step, of an `agent` event: a run with tools has several steps, so it only ever adds.
    pub(super) fn step(&mut self, text: &str) -> Option<Progress> {
        let text = cut(without_half_character(text));
        if text.len() > self.told.len() && text.starts_with(&self.told) {
            self.become_text(text)
        } else {
            None
        }
    }

    /// An increment without the text so far.
    pub(super) fn piece(&mut self, text: &str, seq: Option<u64>) -> Option<Progress> {
        if seq.is_some() && seq == self.seq || self.is_late(seq) || text.is_empty() {
            return None;
        }
        if self.hole {
            return None;
        }
        if self.gap {
            self.hole = true;
            return Some(Progress::Hole);
        }
        if self.told.len() + text.len() > TEXT_LIMIT {
            self.gap = true;
            return None;
        }
        self.told.push_str(text);
        Some(Progress::Increment(text.to_owned()))
    }

    /// The final text. Gives it as it is kept, and whether it was cut.
    pub(super) fn finish(&mut self, text: &str) -> (String, bool, Option<Progress>) {
        let kept = cut(text);
        let progress = self.become_text(kept);
        (kept.to_owned(), kept.len() < text.len(), progress)
    }

    /// Deltas may have been lost.
    pub(super) fn gap(&mut self) {
        self.gap = true;
    }

    /// Numbers begin again: another connection, or another attempt.
    pub(super) fn renumber(&mut self) {
        self.seq = None;
    }

    /// The reported text.
    pub(super) fn text(&self) -> &str {
        &self.told
    }

    fn is_late(&mut self, seq: Option<u64>) -> bool {
        let late = matches!((seq, self.seq), (Some(seq), Some(last)) if seq < last);
        if !late && seq.is_some() {
            self.seq = seq;
        }
        late
    }

    fn become_text(&mut self, text: &str) -> Option<Progress> {
        self.gap = false;
        self.hole = false;
        if text == self.told {
            return None;
        }
        if let Some(more) = text.strip_prefix(self.told.as_str()) {
            let more = more.to_owned();
            self.told.push_str(&more);
            return Some(Progress::Increment(more));
        }
        text.clone_into(&mut self.told);
        Some(Progress::Replaced(text.to_owned()))
    }
}

/// At most [`TEXT_LIMIT`] bytes, whole characters.
fn cut(text: &str) -> &str {
    if text.len() <= TEXT_LIMIT {
        return text;
    }
    let end = (0..=TEXT_LIMIT).rev().find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "compared with what may be nothing")]
    fn more(text: &str) -> Option<Progress> {
        Some(Progress::Increment(text.to_owned()))
    }

    #[test]
    fn texts_so_far_come_out_as_what_each_adds() {
        let mut spoken = Spoken::default();
        assert_eq!(spoken.whole("echo:", Some(2), false), more("echo:"));
        assert_eq!(spoken.whole("echo:", Some(2), false), None, "doubled");
        assert_eq!(
            spoken.whole("echo: 日本", Some(5), false),
            more(" 日本"),
            "two were lost"
        );
        assert_eq!(spoken.whole("echo: 日", Some(4), false), None, "late");
        assert_eq!(spoken.finish("echo: 日本語").2, more("語"));
    }

    #[test]
    fn steps_of_a_run_only_ever_add() {
        let mut spoken = Spoken::default();
        assert_eq!(spoken.step("I look."), more("I look."));
        assert_eq!(spoken.step("Found"), None, "the second step begins anew");
        assert_eq!(spoken.whole("I look.\n\nFound", Some(3), false), more("\n\nFound"));
    }

    #[test]
    fn half_a_character_is_held_back_until_it_is_whole() {
        let mut spoken = Spoken::default();
        assert_eq!(spoken.whole("ok \u{fffd}", None, false), more("ok "));
        assert_eq!(spoken.whole("ok 🦞", None, false), more("🦞"));
    }

    #[test]
    fn pieces_after_a_gap_are_a_hole_until_the_whole_text_comes() {
        let mut spoken = Spoken::default();
        assert_eq!(spoken.piece("a", Some(1)), more("a"));
        assert_eq!(spoken.piece("a", Some(1)), None, "doubled");
        spoken.gap();
        assert_eq!(spoken.piece("c", Some(3)), Some(Progress::Hole));
        assert_eq!(spoken.piece("d", Some(4)), None);
        assert_eq!(spoken.whole("abcde", Some(5), false), more("bcde"));
        assert_eq!(spoken.piece("f", Some(6)), more("f"));
    }

    #[test]
    fn a_release_that_corrects_itself_replaces_what_was_told() {
        let mut spoken = Spoken::default();
        spoken.whole("a lie", Some(1), false);
        assert_eq!(
            spoken.whole("a", Some(2), true),
            Some(Progress::Replaced("a".to_owned()))
        );
        assert_eq!(spoken.finish("b").2, Some(Progress::Replaced("b".to_owned())));
    }

    #[test]
    fn a_text_over_the_limit_is_cut_between_characters() {
        let text = "é".repeat(TEXT_LIMIT / 2 + 1);
        let (kept, was_cut, _) = Spoken::default().finish(&text);
        assert!(was_cut && kept.len() <= TEXT_LIMIT && kept.chars().all(|c| c == 'é'));
    }
}
