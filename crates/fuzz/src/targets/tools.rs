//! `TOOLS.md`, and the section of `AGENTS.md` that stands for it.

use std::collections::BTreeSet;

use windlass_templates::{MAX_TOOL_VALUES, ToolValues, tool_values};

use crate::shared::text;

/// Most bytes of one value: what a template's variable may hold.
const MAX_VALUE: usize = windlass_templates::MAX_VALUE;

/// What is read is bounded and plain, `Debug` holds no value, reading it once more changes nothing, and written as lines of its
/// own it is read back.
pub(super) fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let values = tool_values(text);
    assert_eq!(tool_values(text), values);
    assert!(values.keys().count() <= MAX_TOOL_VALUES);
    let keys: BTreeSet<&str> = values.keys().collect();
    assert_eq!(
        format!("{values:?}"),
        format!("{keys:?}"),
        "`Debug` shows keys and nothing else"
    );
    let mut lines = String::new();
    for key in values.keys() {
        let value = values.get(key).expect("each key has one");
        assert!(
            !value.is_empty() && value.len() <= MAX_VALUE && value.trim() == value,
            "{key}"
        );
        assert!(!value.contains(['\n', '`']), "{key}");
        if ToolValues::can_hold(value) {
            lines.extend(["- ", key, "=", value, "\n"]);
        }
    }
    let again = tool_values(&lines);
    for key in again.keys() {
        assert_eq!(again.get(key), values.get(key));
    }
    assert_eq!(again.keys().count(), lines.lines().count());
}
