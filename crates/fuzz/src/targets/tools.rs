//! `TOOLS.md`, and the section of `AGENTS.md` that stands for it.

use std::collections::BTreeSet;

use windlass_templates::{MAX_TOOL_VALUES, ToolValues, tool_values};

use crate::shared::text;

/// Most bytes of one value: the limit of a template's variable.
const MAX_VALUE: usize = windlass_templates::MAX_VALUE;

/// The values are bounded and plain. `Debug` has no value. A second read changes nothing. Values that are written as lines are read
/// back.
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
