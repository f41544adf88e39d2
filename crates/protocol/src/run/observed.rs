//! The events of one run as far as they were seen: its text so far, and the other runs of its session.
//!
//! Every delta of every release holds the whole text so far, so that a lost, doubled or late one costs nothing; the increment
//! beside it (generation 4) is used only where the whole text is missing, which its schema allows.
//!
//! Another run in the same session may bring our answer.

use std::time::Instant;

use super::end::RunProgress;
use crate::releases::runs::{TEXT_LIMIT, without_half_character};

/// The reported text.
#[derive(Debug, Default)]
pub(crate) struct RunText {
    told: String,
    /// Number of the last delta of this run on this connection.
    seq: Option<u64>,
    /// Deltas may be missing since the last one.
    gap: bool,
    /// [`RunProgress::Hole`] was told.
    hole: bool,
}

impl RunText {
    /// The whole text so far, of a `chat` delta. `replaces` is the gateway's word that it corrects itself.
    pub(crate) fn whole(&mut self, text: &str, seq: Option<u64>, replaces: bool) -> Option<RunProgress> {
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
    pub(crate) fn step(&mut self, text: &str) -> Option<RunProgress> {
        let text = cut(without_half_character(text));
        if text.len() > self.told.len() && text.starts_with(&self.told) {
            self.become_text(text)
        } else {
            None
        }
    }

    /// An increment without the text so far.
    pub(crate) fn piece(&mut self, text: &str, seq: Option<u64>) -> Option<RunProgress> {
        if seq.is_some() && seq == self.seq || self.is_late(seq) || text.is_empty() {
            return None;
        }
        if self.hole {
            return None;
        }
        if self.gap {
            self.hole = true;
            return Some(RunProgress::Hole);
        }
        if self.told.len() + text.len() > TEXT_LIMIT {
            self.gap = true;
            return None;
        }
        self.told.push_str(text);
        Some(RunProgress::Increment(text.to_owned()))
    }

    /// The final text. Gives it as it is kept, and whether it was cut.
    pub(crate) fn finish(&mut self, text: &str) -> (String, bool, Option<RunProgress>) {
        let kept = cut(text);
        let progress = self.become_text(kept);
        (kept.to_owned(), kept.len() < text.len(), progress)
    }

    /// Deltas may have been lost.
    pub(crate) fn gap(&mut self) {
        self.gap = true;
    }

    /// Numbers begin again: another connection, or another attempt.
    pub(crate) fn renumber(&mut self) {
        self.seq = None;
    }

    /// The reported text.
    pub(crate) fn text(&self) -> &str {
        &self.told
    }

    fn is_late(&mut self, seq: Option<u64>) -> bool {
        let late = matches!((seq, self.seq), (Some(seq), Some(last)) if seq < last);
        if !late && seq.is_some() {
            self.seq = seq;
        }
        late
    }

    fn become_text(&mut self, text: &str) -> Option<RunProgress> {
        self.gap = false;
        self.hole = false;
        if text == self.told {
            return None;
        }
        if let Some(more) = text.strip_prefix(self.told.as_str()) {
            let more = more.to_owned();
            self.told.push_str(&more);
            return Some(RunProgress::Increment(more));
        }
        text.clone_into(&mut self.told);
        Some(RunProgress::Replaced(text.to_owned()))
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

/// Most other runs noted; a session runs one at a time.
pub(crate) const OTHERS_KEPT: usize = 8;
/// Most runs that are noted as foreign.
pub(crate) const FOREIGN_KEPT: usize = 64;

/// One other run.
#[derive(Debug)]
pub(crate) struct Other {
    pub(crate) id: String,
    /// It was there before we began to look for the run that goes on with our message.
    pub(crate) old: bool,
    /// Something of it came, no end, and no event may have been lost since.
    pub(crate) active: bool,
    /// When it ended, and with which text.
    pub(crate) ended: Option<(Instant, Option<String>)>,
    /// Events may have been lost since it ended.
    pub(crate) missed: bool,
}

/// The other runs of the session, those seen last at the end.
#[derive(Debug, Default)]
pub(crate) struct Others {
    runs: Vec<Other>,
    foreign: Vec<String>,
}

impl Others {
    /// Something of a run came.
    pub(crate) fn heard(&mut self, id: &str) {
        let run = self.entry(id);
        run.active = run.ended.is_none();
    }

    /// A run ended. One that only hands on has no text.
    pub(crate) fn ended(&mut self, id: &str, text: Option<String>, now: Instant) {
        // One text is enough: a session runs one at a time.
        for run in &mut self.runs {
            if let Some((_, text)) = &mut run.ended {
                *text = None;
            }
        }
        let run = self.entry(id);
        run.active = false;
        run.ended = Some((now, text));
    }

    /// Events may have been lost: no run is known to be active until it is heard again, and the last known end may not be the last.
    pub(crate) fn forget_activity(&mut self) {
        for run in &mut self.runs {
            run.active = false;
            run.missed = run.ended.is_some();
        }
    }

    /// The run is foreign, or turned out not to be ours.
    pub(crate) fn foreign(&mut self, id: &str) {
        if self.is_foreign(id) {
            return;
        }
        if self.foreign.len() == FOREIGN_KEPT {
            self.foreign.remove(0);
        }
        self.foreign.push(id.to_owned());
    }

    pub(crate) fn is_foreign(&self, id: &str) -> bool {
        self.foreign.iter().any(|known| known == id)
    }

    pub(crate) fn foreign_ids(&self) -> &[String] {
        &self.foreign
    }

    pub(crate) fn any_active(&self) -> bool {
        self.runs.iter().any(|run| run.active)
    }

    /// The text with which a run ended, once it has.
    pub(crate) fn text_of(&self, id: &str) -> Option<&str> {
        let run = self.runs.iter().find(|run| run.id == id)?;
        run.ended.as_ref()?.1.as_deref()
    }

    /// The run that ended with a text at or after `from`, if it is the last one: a run that began after it may be the one that
    /// goes on with our message.
    pub(crate) fn answered_last(&self, from: Instant) -> Option<(&str, &str)> {
        let run = self.runs.last().filter(|run| !run.missed)?;
        let (at, text) = run.ended.as_ref()?;
        (*at >= from).then_some((&run.id, text.as_deref()?))
    }

    /// From here on we look for a run that goes on with our message: one that is there already is none. By order and not by
    /// time, since many events may be read at once.
    pub(crate) fn look_from_here(&mut self) {
        for run in &mut self.runs {
            run.old = true;
        }
    }

    /// A run that began since, goes on, and is not known as foreign.
    pub(crate) fn begun(&self) -> Option<&str> {
        let fits = |run: &&Other| run.active && !run.old && !self.is_foreign(&run.id);
        self.runs.iter().find(fits).map(|run| run.id.as_str())
    }

    fn entry(&mut self, id: &str) -> &mut Other {
        let at = self.runs.iter().position(|run| run.id == id).unwrap_or_else(|| {
            if self.runs.len() == OTHERS_KEPT {
                let idle = self.runs.iter().position(|run| !run.active).unwrap_or_default();
                self.runs.remove(idle);
            }
            self.runs.push(Other {
                id: id.to_owned(),
                old: false,
                active: true,
                ended: None,
                missed: false,
            });
            self.runs.len() - 1
        });
        &mut self.runs[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::unnecessary_wraps, reason = "compared with what may be nothing")]
    fn more(text: &str) -> Option<RunProgress> {
        Some(RunProgress::Increment(text.to_owned()))
    }

    #[test]
    fn texts_so_far_come_out_as_what_each_adds() {
        let mut spoken = RunText::default();
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
        let mut spoken = RunText::default();
        assert_eq!(spoken.step("I look."), more("I look."));
        assert_eq!(spoken.step("Found"), None, "the second step begins anew");
        assert_eq!(spoken.whole("I look.\n\nFound", Some(3), false), more("\n\nFound"));
    }

    #[test]
    fn half_a_character_is_held_back_until_it_is_whole() {
        let mut spoken = RunText::default();
        assert_eq!(spoken.whole("ok \u{fffd}", None, false), more("ok "));
        assert_eq!(spoken.whole("ok 🦞", None, false), more("🦞"));
    }

    #[test]
    fn pieces_after_a_gap_are_a_hole_until_the_whole_text_comes() {
        let mut spoken = RunText::default();
        assert_eq!(spoken.piece("a", Some(1)), more("a"));
        assert_eq!(spoken.piece("a", Some(1)), None, "doubled");
        spoken.gap();
        assert_eq!(spoken.piece("c", Some(3)), Some(RunProgress::Hole));
        assert_eq!(spoken.piece("d", Some(4)), None);
        assert_eq!(spoken.whole("abcde", Some(5), false), more("bcde"));
        assert_eq!(spoken.piece("f", Some(6)), more("f"));
    }

    #[test]
    fn a_release_that_corrects_itself_replaces_what_was_told() {
        let mut spoken = RunText::default();
        spoken.whole("a lie", Some(1), false);
        assert_eq!(
            spoken.whole("a", Some(2), true),
            Some(RunProgress::Replaced("a".to_owned()))
        );
        assert_eq!(spoken.finish("b").2, Some(RunProgress::Replaced("b".to_owned())));
    }

    #[test]
    fn a_text_over_the_limit_is_cut_between_characters() {
        let text = "é".repeat(TEXT_LIMIT / 2 + 1);
        let (kept, was_cut, _) = RunText::default().finish(&text);
        assert!(was_cut && kept.len() <= TEXT_LIMIT && kept.chars().all(|c| c == 'é'));
    }
}
