//! Where output goes: results to stdout, everything else to stderr, colours only where they are wanted.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, SystemTime};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use windlass_protocol::{Advice, steers};

use crate::text::guarded;

/// Something is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Something needs a look, or is about to come right by itself.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// Something is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Less important.
pub(crate) const DIM: Style = Style::new().dimmed();
/// A heading.
pub(crate) const HEAD: Style = Style::new().bold();

/// Cells of a line of the smallest terminals in use.
const USUAL_WIDTH: usize = 80;
/// Narrower than this nothing is made to fit.
const LEAST_WIDTH: usize = 20;

/// How to show results.
#[derive(Debug)]
pub(crate) struct Output {
    json: bool,
    terminal: bool,
    /// Cells of a line.
    width: usize,
    /// Where the user is.
    pub(crate) zone: TimeZone,
    stdout: ColorChoice,
    stderr: ColorChoice,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self {
            json,
            terminal: io::stdout().is_terminal(),
            width: width(),
            zone: TimeZone::system(),
            stdout: AutoStream::choice(&io::stdout()),
            stderr: AutoStream::choice(&io::stderr()),
        }
    }

    /// No terminal, for people, of this width.
    #[cfg(test)]
    pub(crate) fn of_width(width: usize) -> Self {
        Self {
            json: false,
            terminal: false,
            width,
            zone: TimeZone::UTC,
            stdout: ColorChoice::Never,
            stderr: ColorChoice::Never,
        }
    }

    /// Whether programs read it.
    pub(crate) const fn json(&self) -> bool {
        self.json
    }

    /// Whether lines can be drawn over.
    pub(crate) const fn redraws(&self) -> bool {
        self.terminal && !self.json
    }

    /// Cells of a line on stdout: COLUMNS, else the width of the terminal. Unlimited if stdout is no terminal, so that a file or
    /// `grep` gets whole lines.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// The same for output that is redrawn, which needs a width.
    pub(crate) fn drawn_width(&self) -> usize {
        if self.width == usize::MAX {
            USUAL_WIDTH
        } else {
            self.width
        }
    }

    /// The time of day where the user is: `14:03:07`.
    pub(crate) fn time_of_day(&self, at: SystemTime) -> String {
        Timestamp::try_from(at).map_or_else(
            |_| "--:--:--".to_owned(),
            |at| at.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string(),
        )
    }

    /// Date and time of day where the user is: `2026-11-25 14:03:07`. Nothing for a time beyond the year 9999.
    pub(crate) fn date_and_time(&self, millis_since_1970: u64) -> Option<String> {
        let at = Timestamp::from_millisecond(i64::try_from(millis_since_1970).ok()?).ok()?;
        Some(at.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string())
    }

    /// Whether the log may be coloured.
    pub(crate) fn colours_the_log(&self) -> bool {
        self.stderr != ColorChoice::Never
    }

    /// One line, or several.
    pub(crate) fn line(&self, text: &str) -> io::Result<()> {
        let mut stdout = AutoStream::new(io::stdout().lock(), self.stdout);
        writeln!(stdout, "{}", guarded(text))?;
        stdout.flush()
    }

    /// Text without a line end.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        let mut stdout = AutoStream::new(io::stdout().lock(), self.stdout);
        write!(stdout, "{}", guarded(text))?;
        stdout.flush()
    }

    /// One line of JSON.
    pub(crate) fn value(&self, value: &impl Serialize) -> io::Result<()> {
        self.line(&json_line(value)?)
    }

    /// Prints an error and its next step to stderr.
    pub(crate) fn error(&self, advice: &Advice) {
        self.aside(&format!("{BAD}error:{BAD:#} {}", advice.summary));
        if !advice.next_step.is_empty() {
            self.aside(&format!("  {DIM}next:{DIM:#} {}", advice.next_step));
        }
    }

    /// Something to know, on stderr.
    pub(crate) fn note(&self, text: &str) {
        self.aside(&format!("{WARN}note:{WARN:#} {text}"));
    }

    /// How far something is, on stderr.
    pub(crate) fn progress(&self, text: &str) {
        self.aside(text);
    }

    fn aside(&self, text: &str) {
        // Without a stderr there is nobody to tell.
        let _ = writeln!(AutoStream::new(io::stderr().lock(), self.stderr), "{}", guarded(text));
    }
}

fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    let width = told.filter(|width| *width > 0).or_else(terminal_width);
    width.map_or(usize::MAX, |width: usize| width.max(LEAST_WIDTH))
}

#[cfg(unix)]
fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

#[cfg(not(unix))]
fn terminal_width() -> Option<usize> {
    io::stdout().is_terminal().then_some(USUAL_WIDTH)
}

/// Draws a block of lines over the one it drew before.
#[derive(Debug, Default)]
pub(crate) struct Redraw {
    lines: usize,
}

impl Redraw {
    pub(crate) fn draw(&mut self, output: &Output, lines: &[String]) -> io::Result<()> {
        // Up by what was drawn, then each line anew, cleared to its end. A line that is too long for the terminal is cut
        // (no wrapping meanwhile): a wrapped one would take two lines, and the next drawing would begin too low.
        let up = if self.lines > 0 {
            format!("\x1b[{}A", self.lines)
        } else {
            String::new()
        };
        let body: Vec<String> = lines.iter().map(|line| format!("\x1b[2K{line}")).collect();
        let below = "\x1b[0J\x1b[?7h";
        self.lines = lines.len();
        output.line(&format!("\x1b[?7l{up}{}{below}", body.join("\n")))
    }
}

/// An advice on one line: its summary and the next step.
pub(crate) fn advice_line(advice: &Advice) -> String {
    format!(
        "{} {}",
        advice.summary.trim_end_matches('.').to_owned() + ".",
        advice.next_step
    )
}

/// An advice as two indented lines, to stand below the row that it explains.
pub(crate) fn advice_lines(advice: &Advice) -> Vec<String> {
    let mut lines = vec![format!("  {BAD}why:{BAD:#}  {}", advice.summary)];
    if !advice.next_step.is_empty() {
        lines.push(format!("  {DIM}next:{DIM:#} {}", advice.next_step));
    }
    lines
}

/// Between two turns of the sign.
const TURN: Duration = Duration::from_millis(120);

/// A spinner with a message and the elapsed time. Cleared on drop; does nothing without a terminal.
#[derive(Debug)]
pub(crate) struct Spinner(Option<ProgressBar>);

impl Spinner {
    pub(crate) fn new(output: &Output, words: &str) -> Self {
        let draws = !output.json() && io::stderr().is_terminal();
        Self(draws.then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}");
            let bar = ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
                .with_message(words.to_owned());
            bar.enable_steady_tick(TURN);
            bar
        }))
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}

/// Levels that are set in on a line of their own; deeper ones stand below the last: a megabyte of brackets would be a terabyte of
/// blanks.
const INDENTED: usize = 64;

/// One line of JSON in which nothing can steer a terminal.
pub(crate) fn json_line(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(compact(&serde_json::to_string(value)?))
}

/// A text of JSON on one line, with everything that could steer a terminal escaped; it reads as the same value.
pub(crate) fn compact(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut place = JsonPlace::Outside;
    for character in text.chars() {
        if place.outside() && character.is_ascii_whitespace() {
            continue;
        }
        place.pass(character);
        push(&mut shown, character);
    }
    shown
}

/// A text of JSON on lines that are set in, with everything that could steer a terminal escaped; it reads as the same value.
pub(crate) fn pretty(text: &str) -> String {
    let mut shown = String::with_capacity(text.len() * 2);
    let mut place = JsonPlace::Outside;
    let (mut depth, mut is_empty) = (0_usize, false);
    for character in text.chars() {
        let outside = place.outside();
        if outside && character.is_ascii_whitespace() {
            continue;
        }
        place.pass(character);
        let closes = outside && matches!(character, '}' | ']');
        if closes {
            depth = depth.saturating_sub(1);
        }
        if closes != is_empty {
            new_line(&mut shown, depth);
        }
        is_empty = false;
        push(&mut shown, character);
        match character {
            '{' | '[' if outside => {
                depth += 1;
                is_empty = true;
            }
            ',' if outside => new_line(&mut shown, depth),
            ':' if outside => shown.push(' '),
            _ => {}
        }
    }
    shown
}

fn new_line(shown: &mut String, depth: usize) {
    shown.push('\n');
    shown.extend(std::iter::repeat_n("  ", depth.min(INDENTED)));
}

/// JSON escapes C0 controls by itself, and leaves the rest alone.
fn push(shown: &mut String, character: char) {
    if !steers(character) {
        return shown.push(character);
    }
    for unit in character.encode_utf16(&mut [0; 2]) {
        let _ = write!(shown, "\\u{unit:04x}");
    }
}

/// Where in a text of JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
enum JsonPlace {
    Outside,
    String,
    /// Behind a backslash.
    Escape,
}

impl JsonPlace {
    fn outside(self) -> bool {
        self == Self::Outside
    }

    fn pass(&mut self, character: char) {
        *self = match (*self, character) {
            (Self::Outside, '"') | (Self::Escape, _) => Self::String,
            (Self::String, '"') => Self::Outside,
            (Self::String, '\\') => Self::Escape,
            (place, _) => place,
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_shown_reads_as_the_same_value() {
        let value = json!({"t": ["\u{1b}\u{7f}\u{9b}\u{202e}\u{2028}\nä\u{feff}\u{61c}\u{e0041}\"\\", {}, [], [{}], 1.5, null], "{": ":,"});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let (line, lines) = (compact(&text), pretty(&text));
            assert_eq!(line.parse::<Value>().unwrap(), value);
            assert_eq!(lines.parse::<Value>().unwrap(), value);
            assert!(!line.chars().any(steers), "{line:?}");
            assert!(!lines.replace('\n', "").chars().any(steers), "{lines:?}");
        }
    }

    #[test]
    fn lines_are_set_in_as_people_are_used_to() {
        let value = json!({"a": [1, {"b": null}], "c": {}, "d": [], "e": "x, y: {"});
        assert_eq!(
            pretty(&value.to_string()),
            serde_json::to_string_pretty(&value).unwrap()
        );
        assert_eq!(pretty("3"), "3");
    }

    #[test]
    fn what_no_value_holds_stays_as_it_came() {
        let text = r#"{"cut":"\ud83d","big":1e999}"#;
        assert_eq!(compact(text), text);
        assert_eq!(pretty(text), "{\n  \"cut\": \"\\ud83d\",\n  \"big\": 1e999\n}");
        let deep = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
        assert_eq!(compact(&deep), deep);
        assert!(pretty(&deep).len() < 50_000 * 2 * (INDENTED + 2) * 2);
    }
}
