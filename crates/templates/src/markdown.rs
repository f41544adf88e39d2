//! Markdown of workspace files: headings, fences and sections; and the `KEY=value` lines of the tools.

use std::collections::BTreeMap;
use std::fmt;

use crate::content::MAX_FILE;
use crate::context::{MAX_VALUE, breaks_lines};

/// Follows fenced code through lines.
#[derive(Default)]
pub(crate) struct Fences(Option<(char, usize)>);

impl Fences {
    /// Takes the next line; true when it lies in fenced code or borders it.
    pub(crate) fn covers(&mut self, line: &str) -> bool {
        let marker = marker(line);
        match (self.0, marker) {
            (None, None) => false,
            (None, Some((sign, length, rest))) => {
                // An opening line of backticks has no more of them behind.
                let opens = sign != '`' || !rest.contains('`');
                if opens {
                    self.0 = Some((sign, length));
                }
                opens
            }
            (Some((open, least)), Some((sign, length, rest))) if sign == open && length >= least => {
                if rest.trim().is_empty() {
                    self.0 = None;
                }
                true
            }
            (Some(_), _) => true,
        }
    }

    /// The sign and the count that close the open fence.
    fn closing(&self) -> Option<String> {
        self.0.map(|(sign, length)| sign.to_string().repeat(length))
    }
}

/// The sign, its count and the rest of the line, if the line may border fenced code.
fn marker(line: &str) -> Option<(char, usize, &str)> {
    let text = unindented(line)?;
    let sign = text.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
    let rest = text.trim_start_matches(sign);
    let length = text.len() - rest.len();
    (length >= 3).then_some((sign, length, rest))
}

/// The line without its indent; none when that makes it code.
fn unindented(line: &str) -> Option<&str> {
    let text = line.trim_start_matches(' ');
    (line.len() - text.len() <= 3).then_some(text)
}

/// Level and title of a `#` heading.
pub(crate) fn heading(line: &str) -> Option<(usize, &str)> {
    let text = unindented(line)?;
    let title = text.trim_start_matches('#');
    let level = text.len() - title.len();
    let separate = title.is_empty() || title.starts_with([' ', '\t', '\r']);
    ((1..=6).contains(&level) && separate).then(|| (level, title.trim().trim_end_matches('#').trim_end()))
}

/// A text of its own as a section of another: its title gives way to `## <title>`, its headings go one level down.
pub(crate) fn section(title: &str, text: &str) -> String {
    let mut out = format!("## {title}\n");
    let mut fences = Fences::default();
    let mut lines = text.trim_start_matches(['\n', '\r']).lines().peekable();
    if lines
        .peek()
        .and_then(|line| heading(line))
        .is_some_and(|(level, _)| level == 1)
    {
        lines.next();
    }
    if lines.peek().is_some_and(|line| !line.trim().is_empty()) {
        out.push('\n');
    }
    for line in lines {
        let in_code = fences.covers(line);
        if !in_code && heading(line).is_some_and(|(level, _)| level < 6) {
            out.push('#');
            out.push_str(line.trim_start());
        } else {
            out.push_str(line);
        }
        out.push('\n');
    }
    closed(&out)
}

/// The text with its last fence closed, so that a text after it is not code; it ends with a line break.
pub(crate) fn closed(text: &str) -> String {
    let mut fences = Fences::default();
    for line in text.lines() {
        fences.covers(line);
    }
    let mut out = text.trim_end().to_owned();
    if let Some(closing) = fences.closing() {
        out.push('\n');
        out.push_str(&closing);
    }
    out.push('\n');
    out
}

/// The texts of every section of level 2 with this title, in order.
pub(crate) fn sections<'a>(text: &'a str, title: &str) -> Vec<Vec<&'a str>> {
    let mut found: Vec<Vec<&str>> = Vec::new();
    let mut inside = false;
    let mut fences = Fences::default();
    for line in text.lines() {
        let in_code = fences.covers(line);
        match heading(line).filter(|_| !in_code) {
            Some((level, name)) if level <= 2 => {
                inside = level == 2 && name.eq_ignore_ascii_case(title);
                if inside {
                    found.push(Vec::new());
                }
            }
            _ if inside => found.last_mut().into_iter().for_each(|section| section.push(line)),
            _ => {}
        }
    }
    found
}

/// How many keys are read from one text: ours has seven.
pub const MAX_TOOL_VALUES: usize = 64;

/// How much of a text is read, in bytes: four for each unit that a file may hold.
const MAX_TEXT: usize = 4 * MAX_FILE;

/// The longest key, in bytes.
const MAX_KEY: usize = 64;

/// The title of the section of AGENTS.md that holds them in merged layouts.
pub(crate) const SECTION: &str = "Tools";

/// The values of `KEY=value` lines. `Debug` shows keys only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ToolValues(BTreeMap<String, String>);

impl ToolValues {
    /// One value, never an empty one: `AUTH_TOKEN=` counts as none.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// The keys that have a value.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether a line can hold this value so that it is read back as it is: not empty, on one line, without backticks
    /// and blanks around it, bounded.
    pub fn can_hold(value: &str) -> bool {
        let plain = !value.chars().any(|c| breaks_lines(c) || c == '`');
        !value.is_empty() && plain && value.trim() == value && value.len() <= MAX_VALUE
    }

    /// Takes each line's value, where no earlier line gave one.
    fn take<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        for (key, value) in lines.filter_map(pair) {
            if self.0.len() >= MAX_TOOL_VALUES {
                return;
            }
            self.0.entry(key.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
}

impl fmt::Debug for ToolValues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Reads the `KEY=value` lines of a TOOLS.md, or of the `## Tools` section of an AGENTS.md: the first line of each key
/// within the section where there is one. Of several such sections the last goes first: the section written here
/// ends the file, so a text before it cannot pass for it. A key that no section has is looked for in the whole text.
///
/// List bullets, backticks and blanks around key and value are tolerated. Bounded: [`MAX_TOOL_VALUES`] keys, and only
/// the first megabyte is read.
pub fn tool_values(text: &str) -> ToolValues {
    let text = start(text, MAX_TEXT);
    let mut values = ToolValues::default();
    for section in sections(text, SECTION).into_iter().rev() {
        values.take(section.into_iter());
    }
    values.take(text.lines());
    values
}

/// The first `limit` bytes, or up to three fewer.
fn start(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len()))
        .rev()
        .find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}

/// Key and value of a line that has them.
fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = unbulleted(line.trim()).split_once('=')?;
    let key = key.trim_matches([' ', '\t', '`', '*']);
    let value = value.trim().trim_start_matches('`');
    // A backtick ends the value: what follows is a remark.
    let value = value.split('`').next().unwrap_or_default().trim();
    (is_key(key) && !value.is_empty() && value.len() <= MAX_VALUE).then_some((key, value))
}

/// The line without its list bullet: `-`, `*`, `+`, `1.` or `1)`.
fn unbulleted(line: &str) -> &str {
    let digits = line.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest = if digits.len() < line.len() {
        digits.strip_prefix(['.', ')'])
    } else {
        line.strip_prefix(['-', '*', '+'])
    };
    match rest {
        Some(rest) if rest.starts_with([' ', '\t']) => rest.trim_start(),
        _ => line,
    }
}

fn is_key(key: &str) -> bool {
    key.len() <= MAX_KEY
        && key.starts_with(|c: char| c.is_ascii_uppercase())
        && key
            .bytes()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
}
