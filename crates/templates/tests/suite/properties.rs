//! Whatever comes in, nothing panics, and what can be held is read back.

use proptest::prelude::*;
use windlass_templates::{
    AuthToken, BoardVariables, Content, IDENTITY_KEYS, IdentityVariables, Layout, MAX_FILE, Override, Overrides,
    Rendered, TemplateRole, Templates, ToolValues, VARIABLE_NAMES, Variables, tool_values,
};

use crate::samples::{CLASSIC, MERGED, full};

/// Pieces of templates, so that arbitrary text is often nearly a template.
fn template_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{{ ".to_owned()),
        Just(" }}".to_owned()),
        Just("{% if ".to_owned()),
        Just("{% for x in ".to_owned()),
        Just("{% set x = ".to_owned()),
        Just("{% block b %}".to_owned()),
        Just("{% include ".to_owned()),
        Just("{% endif %}".to_owned()),
        Just("{% endfor %}".to_owned()),
        Just("{% else %}".to_owned()),
        Just(" %}".to_owned()),
        Just("{#".to_owned()),
        Just("#}".to_owned()),
        Just("{% raw %}".to_owned()),
        Just(" | ".to_owned()),
        Just("'".to_owned()),
        Just("\n".to_owned()),
        Just("range(99)".to_owned()),
        Just(" * 999999999999".to_owned()),
        Just("[::-1]".to_owned()),
        "[a-z.()\\[\\]+*/%~ 0-9]{0,8}",
        "\\PC{0,6}",
        prop::sample::select(VARIABLE_NAMES.to_vec()).prop_map(str::to_owned),
        prop::sample::select(vec![
            "upper",
            "quoted",
            "indent",
            "join",
            "batch(0)",
            "round(99)",
            "format",
            "sort"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// Texts with everything that Markdown, templates and value lines give a meaning to.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("## Tools\n".to_owned()),
        Just("AUTH_TOKEN=evil\n".to_owned()),
        Just("```\n".to_owned()),
        Just("~~~~".to_owned()),
        Just("# ".to_owned()),
        Just("- `".to_owned()),
        Just("{{ auth_token }}".to_owned()),
        Just("\u{2028}".to_owned()),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// A value that a line can hold.
fn holdable() -> impl Strategy<Value = String> {
    "\\PC{1,40}".prop_filter("a line can hold it", |text| ToolValues::can_hold(text))
}

fn variables() -> impl Strategy<Value = (Variables, bool)> {
    let texts = prop::collection::vec(text(), 24);
    (texts, any::<bool>(), any::<bool>()).prop_map(|(texts, board, exact)| {
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap_or_default();
        let mut variables = full(TemplateRole::Worker);
        variables.agent.name = next();
        variables.user.name = next();
        variables.user.preferred_name = next();
        variables.user.notes = next();
        variables.user.context = next();
        let profile = IDENTITY_KEYS.iter().map(|key| ((*key).to_owned(), next())).collect();
        variables.identity = IdentityVariables::from_profile(&profile);
        variables.board = board.then(|| BoardVariables {
            name: next(),
            objective: next(),
            target_date: next(),
            success_metrics: serde_json::json!({ next(): next() }).as_object().cloned(),
            ..BoardVariables::default()
        });
        if exact {
            variables.agent.auth_token = AuthToken::new(next());
            variables.agent.workspace_path = next();
        }
        (variables, exact)
    })
}

fn layouts() -> [Layout; 3] {
    [
        Layout::of(&CLASSIC, false),
        Layout::of(&MERGED, true),
        Layout::of(&MERGED, false),
    ]
}

proptest! {
    #[test]
    fn rendering_never_panics_on_an_arbitrary_override(soul in template_text(), identity in any::<String>()) {
        let overrides = Overrides { identity: Some(Override::Template(identity)), soul: Some(Override::Template(soul)) };
        let _ = Templates::shipped().render(TemplateRole::Worker, &full(TemplateRole::Worker), &overrides);
    }

    #[test]
    fn rendering_never_panics_on_arbitrary_values_and_the_token_is_read_back((variables, exact) in variables()) {
        for role in TemplateRole::ALL {
            let result = Templates::shipped().render(role, &variables, &Overrides::default());
            prop_assert!(exact || result.is_ok(), "only what machines read is ever refused: {:?}", result);
            let Ok(rendered) = result else { continue };
            let token = Some(variables.agent.auth_token.expose()).filter(|token| !token.is_empty());
            for layout in layouts() {
                let placement = layout.place(&rendered, true);
                let values = tool_values(&placement.files[layout.holder_of_token()]);
                prop_assert_eq!(values.get("AUTH_TOKEN"), token);
            }
        }
    }

    #[test]
    fn text_of_others_comes_out_as_it_is(soul in template_text(), identity in text()) {
        let overrides = Overrides { identity: Some(Override::Text(identity.clone())), soul: Some(Override::Text(soul.clone())) };
        let variables = full(TemplateRole::Worker);
        let rendered = Templates::shipped().render(TemplateRole::Worker, &variables, &overrides).unwrap();
        for (content, text) in [(Content::Soul, soul), (Content::Identity, identity)] {
            if !text.trim().is_empty() {
                prop_assert_eq!(rendered.get(content), Some(text.as_str()));
            }
        }
    }

    #[test]
    fn text_of_others_as_a_value_brings_no_token_along(text in template_text()) {
        let mut variables = full(TemplateRole::Worker);
        variables.agent.name = text.clone();
        variables.identity.role = text.clone();
        variables.identity.custom_instructions = text.clone();
        variables.user.notes = text.clone();
        variables.board = Some(BoardVariables { name: text.clone(), objective: text, ..BoardVariables::default() });
        let token = variables.agent.auth_token.clone();
        for role in TemplateRole::ALL {
            let rendered = Templates::shipped().render(role, &variables, &Overrides::default()).unwrap();
            for (content, text) in rendered.iter().filter(|(content, _)| *content != Content::Tools) {
                prop_assert!(!text.contains(token.expose()), "{}", content);
            }
        }
    }

    #[test]
    fn a_value_that_a_line_can_hold_is_read_back(value in holdable(), key in "[A-Z][A-Z0-9_]{0,30}", before in "[a-z# \n]{0,40}") {
        for line in [format!("{key}={value}"), format!("- {key} = {value}"), format!("3. `{key}={value}`"), format!("* `{key}`=`{value}`  ")] {
            let values = tool_values(&format!("{before}\n{line}\nmore"));
            prop_assert_eq!(values.get(&key), Some(value.as_str()), "{}", line);
        }
    }

    #[test]
    fn reading_values_never_panics_and_yields_only_what_a_line_can_hold(text in text()) {
        let values = tool_values(&text);
        for key in values.keys() {
            let value = values.get(key).unwrap();
            prop_assert!(!value.is_empty() && !value.contains(['\n', '`']) && value.trim() == value);
        }
    }

    #[test]
    fn placing_never_panics_and_keeps_the_tools_readable(texts in prop::collection::vec(text(), 8)) {
        let texts: Rendered = Content::ALL.into_iter().zip(texts).collect();
        // A tools text with such a section of its own would mean it.
        let own: Rendered = texts
            .iter()
            .map(|(content, text)| match content {
                Content::Tools => (content, format!("AUTH_TOKEN=ours\n{}", text.replace("## Tools", "## Others"))),
                _ => (content, text.to_owned()),
            })
            .collect();
        for layout in layouts() {
            let placement = layout.place(&own, true);
            if own.get(Content::Tools).is_some() {
                let holder = &placement.files[layout.holder_of_token()];
                let values = tool_values(holder);
                prop_assert_eq!(values.get("AUTH_TOKEN"), Some("ours"), "{}", holder);
            }
            for text in placement.files.values().chain(&placement.scratch) {
                prop_assert!(!text.trim().is_empty() && text.encode_utf16().count() <= MAX_FILE);
            }
        }
    }
}
