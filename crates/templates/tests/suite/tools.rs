//! Reading the `KEY=value` lines back.

use windlass_templates::{Content, MAX_TOOL_VALUES, TemplateRole, ToolValues, tool_values};

use crate::samples::{TOKEN, full, render};

fn read(text: &str, key: &str) -> Option<String> {
    tool_values(text).get(key).map(str::to_owned)
}

#[test]
fn what_is_rendered_is_read_back() {
    for role in TemplateRole::ALL {
        let variables = full(role);
        let values = tool_values(render(role, &variables).get(Content::Tools).unwrap());
        assert_eq!(
            values.get("BASE_URL"),
            Some("https://board.example/api/v1"),
            "without the slash"
        );
        assert_eq!(values.get("AUTH_TOKEN"), Some(TOKEN));
        assert_eq!(values.get("AGENT_NAME"), Some("Ada"));
        assert_eq!(values.get("AGENT_ID"), Some(variables.agent.id.as_str()));
        assert_eq!(
            values.get("BOARD_ID"),
            variables.board.as_ref().map(|board| board.id.as_str())
        );
        assert_eq!(values.get("WORKSPACE_ROOT"), Some("/srv/agents"));
        assert_eq!(
            values.get("WORKSPACE_PATH"),
            Some(variables.agent.workspace_path.as_str())
        );
        assert_eq!(values.keys().count(), if role == TemplateRole::Main { 6 } else { 7 });
    }
}

#[test]
fn bullets_backticks_and_blanks_are_tolerated() {
    for line in [
        "AUTH_TOKEN=abc=",
        "  AUTH_TOKEN = abc=  ",
        "- AUTH_TOKEN=abc=",
        "* `AUTH_TOKEN=abc=`",
        "+ `AUTH_TOKEN`=`abc=`",
        "1. AUTH_TOKEN=`abc=`",
        "12)\t`AUTH_TOKEN = abc=` (yours)",
        "**AUTH_TOKEN**=abc=",
        "AUTH_TOKEN=abc=\r",
    ] {
        assert_eq!(
            read(&format!("# Tools\n\n{line}\n"), "AUTH_TOKEN").as_deref(),
            Some("abc="),
            "{line}"
        );
    }
}

#[test]
fn lines_that_are_no_values_are_passed_over() {
    for line in [
        "> AUTH_TOKEN=x",
        "Use AUTH_TOKEN=x here",
        "auth_token=x",
        "AUTH_TOKEN=",
        "AUTH_TOKEN=``",
        "-AUTH_TOKEN=x",
        "AUTH TOKEN=x",
        "=x",
    ] {
        assert!(tool_values(line).keys().next().is_none(), "{line}");
    }
}

#[test]
fn the_section_goes_before_the_rest_and_the_first_line_before_later_ones() {
    let text = "# A\nAUTH_TOKEN=before\nBASE_URL=outside\n\n## Tools\n- AUTH_TOKEN=first\n### More\n- AUTH_TOKEN=second\nX=1\n## Next\nAUTH_TOKEN=after\n";
    assert_eq!(read(text, "AUTH_TOKEN").as_deref(), Some("first"));
    assert_eq!(
        read(text, "X").as_deref(),
        Some("1"),
        "a deeper heading does not end the section"
    );
    assert_eq!(
        read(text, "BASE_URL").as_deref(),
        Some("outside"),
        "what the section has not"
    );
    assert_eq!(
        read("AUTH_TOKEN=one\nAUTH_TOKEN=two", "AUTH_TOKEN").as_deref(),
        Some("one")
    );
}

#[test]
fn the_last_section_wins_and_one_in_code_is_none() {
    let text = "## Tools\nAUTH_TOKEN=forged\n## x\n```\n## Tools\nAUTH_TOKEN=code\n```\n## Tools ##\nAUTH_TOKEN=ours\n";
    assert_eq!(read(text, "AUTH_TOKEN").as_deref(), Some("ours"));
    let notes = "## Tools\nAUTH_TOKEN=ours\n\n## Tools\nThe camera is upstairs.\n";
    assert_eq!(
        read(notes, "AUTH_TOKEN").as_deref(),
        Some("ours"),
        "an agent's notes hide nothing"
    );
}

#[test]
fn reading_is_bounded() {
    let many: Vec<_> = (0..10 * MAX_TOOL_VALUES).map(|n| format!("K{n}=v")).collect();
    assert_eq!(tool_values(&many.join("\n")).keys().count(), MAX_TOOL_VALUES);
    let huge = format!("{}\nAUTH_TOKEN=x", "ü".repeat(2_000_000));
    assert_eq!(read(&huge, "AUTH_TOKEN"), None, "beyond what a file may hold");
    assert_eq!(read(&format!("K={}", "x".repeat(100_000)), "K"), None);
}

#[test]
fn what_a_line_cannot_hold_is_known() {
    for good in ["x", "a b", "a=b", "\"q\"", "ü"] {
        assert!(ToolValues::can_hold(good), "{good}");
    }
    for bad in ["", " x", "x ", "a`b", "a\nb", "a\u{2028}b", "a\0"] {
        assert!(!ToolValues::can_hold(bad), "{bad:?}");
    }
}
