//! Texts of agents as lines: they arrive in pieces of a few words, and from several agents at the same time.

use std::collections::VecDeque;

use unicode_width::UnicodeWidthChar as _;
use windlass::sessions::RunProgress;

use crate::columns::cells_of;
use crate::text::harmless;
use crate::turn::{Piece, ShownAnswer};

/// The most runs whose texts are collected at a time. Beyond that the run that was silent for the longest is forgotten, and its
/// next text begins anew.
const MOST_RUNS: usize = 64;
/// Longest text of a run that is followed, in bytes: with all the runs some 4 MiB, and some 30 MiB of a gateway that sends nothing but
/// characters that are written out.
const MOST_TEXT: usize = 64 * 1024;
/// Longest line where the output has no width, in cells.
const LONGEST_LINE: usize = 4_096;

/// The runs that speak.
#[derive(Debug, Default)]
pub(crate) struct SpeechLines {
    /// The one that spoke last is the last.
    runs: VecDeque<SpeechRun>,
}

#[derive(Debug)]
struct SpeechRun {
    /// Gateway and run.
    key: (String, String),
    spoken: ShownAnswer,
    /// The text as it came, so far.
    raw: String,
    /// Said, and not yet a whole line.
    held: String,
    /// More than [`MOST_TEXT`] was said.
    is_cut: bool,
}

/// The part that an event adds to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Words<'a> {
    /// The whole text so far.
    Whole(&'a str),
    /// The text that follows on the text so far.
    More(&'a str),
}

impl SpeechLines {
    /// Takes words of a run and gives the lines that are whole now, none wider than `width` cells: up to the end of a line, or up to
    /// the last space where a line is full.
    pub(crate) fn hear(&mut self, gateway: &str, run: &str, words: Words<'_>, width: usize) -> Vec<String> {
        let mut run = self.run(gateway, run);
        match words {
            Words::Whole(text) => run.take(text),
            Words::More(text) => {
                let whole = format!("{}{text}", run.raw);
                run.take(&whole);
            }
        }
        let lines = run.whole_lines(width.min(LONGEST_LINE));
        self.runs.push_back(run);
        lines
    }

    /// Ends a run and returns the rest of its text.
    pub(crate) fn end(&mut self, gateway: &str, run: &str, width: usize) -> Vec<String> {
        let mut run = self.run(gateway, run);
        let width = width.min(LONGEST_LINE);
        let mut lines = run.whole_lines(width);
        let rest = std::mem::take(&mut run.held);
        if !rest.trim().is_empty() {
            lines.push(rest.trim_end().to_owned());
        }
        if run.is_cut {
            lines.push("… (more than is shown here: windlass sessions history has it)".to_owned());
        }
        lines
    }

    /// The run, taken out.
    fn run(&mut self, gateway: &str, run: &str) -> SpeechRun {
        let at = self
            .runs
            .iter()
            .position(|known| known.key.0 == gateway && known.key.1 == run);
        if let Some(known) = at.and_then(|at| self.runs.remove(at)) {
            return known;
        }
        if self.runs.len() == MOST_RUNS {
            self.runs.pop_front();
        }
        SpeechRun {
            key: (gateway.to_owned(), run.to_owned()),
            spoken: ShownAnswer::default(),
            raw: String::new(),
            held: String::new(),
            is_cut: false,
        }
    }
}

impl SpeechRun {
    fn take(&mut self, whole: &str) {
        // Half of a character is completed by the next event.
        let whole = whole.trim_end_matches('\u{fffd}');
        let end = (0..=MOST_TEXT.min(whole.len()))
            .rev()
            .find(|at| whole.is_char_boundary(*at));
        let kept = &whole[..end.unwrap_or_default()];
        self.is_cut = kept.len() < whole.len();
        kept.clone_into(&mut self.raw);
        // Made harmless before its cells are counted.
        let kept = harmless(kept).replace('\t', " ");
        match self.spoken.take(&RunProgress::Replaced(kept)) {
            Piece::More(text) => self.held.push_str(&text),
            // Late or doubled: a beginning of what was said.
            Piece::Anew(text) if self.held.starts_with(&text) => {}
            Piece::Anew(text) => {
                if !self.held.is_empty() && !self.held.ends_with('\n') {
                    self.held.push('\n');
                }
                self.held.push_str(&text);
            }
            Piece::Hole | Piece::Nothing => {}
        }
    }

    fn whole_lines(&mut self, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some((line, rest)) = first_line(&self.held, width) {
            let (line, rest) = (line.trim_end().to_owned(), rest.to_owned());
            if !line.is_empty() {
                lines.push(line);
            }
            self.held = rest;
        }
        lines
    }
}

/// The first line of a text and the rest, if the line is complete: it has a line end, or fills all cells.
fn first_line(text: &str, width: usize) -> Option<(&str, &str)> {
    let mut used = 0;
    let mut space = None;
    for (at, character) in text.char_indices() {
        if character == '\n' {
            return Some((&text[..at], &text[at + 1..]));
        }
        if character == ' ' {
            space = Some(at);
        }
        used += character.width().unwrap_or(0);
        if used > width {
            // A word that has a line of its own is cut where the line is full.
            return Some(match space.filter(|space| *space > 0) {
                Some(space) => (&text[..space], &text[space + 1..]),
                None if at == 0 => text.split_at(character.len_utf8()),
                None => text.split_at(at),
            });
        }
    }
    None
}

/// A text as lines of at most `width` cells, broken at spaces.
pub(crate) fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some((line, more)) = first_line(rest, width) {
        lines.push(line.to_owned());
        rest = more;
    }
    lines.push(rest.to_owned());
    lines
}

/// A text in at most `width` cells, with a sign where it was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if cells_of(text) <= width {
        return text.to_owned();
    }
    let mut used = 0;
    let fits = |character: &char| {
        used += character.width().unwrap_or(0);
        used < width
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    shown.push('…');
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_lines_and_nothing_is_said_twice() {
        let mut speech = SpeechLines::default();
        let mut hear = |text: &str| speech.hear("a", "r", Words::Whole(text), 80);
        assert!(hear("Look").is_empty());
        assert_eq!(hear("Look here.\nThe"), ["Look here."]);
        assert!(hear("Look here.\nThe").is_empty(), "doubled");
        assert_eq!(hear("Look here.\nThe end.\n\nBy"), ["The end."]);
        assert_eq!(speech.hear("a", "r", Words::More("e."), 80), [""; 0]);
        assert_eq!(speech.end("a", "r", 80), ["Bye."]);
        assert!(speech.runs.is_empty());
    }

    #[test]
    fn a_full_line_ends_at_its_last_space() {
        let mut speech = SpeechLines::default();
        let heard = speech.hear("a", "r", Words::Whole("one two three four"), 9);
        assert_eq!(heard, ["one two", "three"]);
        assert_eq!(speech.end("a", "r", 9), ["four"]);
        assert_eq!(folded("漢字漢字 unbreakable", 6), ["漢字漢", "字", "unbrea", "kable"]);
        assert_eq!((cut("漢字漢字", 6), cut("abc", 3)), ("漢字…".into(), "abc".into()));
    }

    #[test]
    fn two_who_speak_at_the_same_time_do_not_mix() {
        let mut speech = SpeechLines::default();
        speech.hear("a", "1", Words::Whole("from one"), 80);
        speech.hear("b", "1", Words::Whole("from two"), 80);
        assert_eq!(speech.end("a", "1", 80), ["from one"]);
        assert_eq!(speech.end("b", "1", 80), ["from two"]);
    }

    #[test]
    fn what_is_held_has_a_bound() {
        let mut speech = SpeechLines::default();
        for run in 0..MOST_RUNS + 5 {
            speech.hear("a", &run.to_string(), Words::Whole("held"), 80);
        }
        assert_eq!(speech.runs.len(), MOST_RUNS);
        let long = "é".repeat(MOST_TEXT);
        speech.hear("a", "long", Words::Whole(&long), 80);
        let run = speech.runs.back().unwrap();
        assert!(
            run.raw.len() <= MOST_TEXT && run.held.len() <= 200,
            "{}",
            run.held.len()
        );
        assert!(speech.end("a", "long", 80).last().unwrap().contains("sessions history"));
    }

    #[test]
    fn a_text_that_is_corrected_is_shown_anew() {
        let mut speech = SpeechLines::default();
        speech.hear("a", "r", Words::Whole("a draft"), 80);
        assert_eq!(speech.hear("a", "r", Words::Whole("The answer."), 80), ["a draft"]);
        assert_eq!(speech.end("a", "r", 80), ["The answer."]);
    }
}
