//! Reading the `KEY=value` lines back.

use std::collections::BTreeMap;
use std::fmt;

use crate::context::{MAX_VALUE, breaks_lines};
use crate::markdown;

/// How many keys are read from one text: ours has seven.
pub const MAX_TOOL_VALUES: usize = 64;

/// How much of a text is read, in bytes: four for each unit that a file may hold.
const MAX_TEXT: usize = 4 * crate::MAX_FILE;

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
/// within the section where there is one. Of several such sections the last goes first: the one written here ends the
/// file, so a text before it cannot pass for it; and what no section has is looked for in the whole text.
///
/// List bullets, backticks and blanks around key and value are tolerated. Bounded: [`MAX_TOOL_VALUES`] keys, and only
/// the first megabyte is read.
pub fn tool_values(text: &str) -> ToolValues {
    let text = start(text, MAX_TEXT);
    let mut values = ToolValues::default();
    for section in markdown::sections(text, SECTION).into_iter().rev() {
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
