//! A user's template, and the same text as a text.

use std::sync::LazyLock;

use windlass_templates::{
    AgentVariables, AuthToken, BoardVariables, Content, Layout, MAX_FILE, MAX_RENDERED, Override, Overrides, Rendered,
    TemplateRole, Templates, Variables, tool_values,
};

use crate::shared::{CANARY, assert_fit_to_show, assert_keeps_secret, text};

static SHIPPED: LazyLock<Templates> = LazyLock::new(Templates::shipped);

/// As a text, the input is written unchanged. As a template, it is rendered within bounds, with the same result each time and with
/// the agent's token in its place, or it is refused with an error that has no value.
pub(super) fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let overrides = Overrides {
        soul: Some(Override::Template(text.to_owned())),
        ..Overrides::default()
    };
    let variables = variables();
    assert_text_stays_text(text, &variables);
    match SHIPPED.render(TemplateRole::Worker, &variables, &overrides) {
        Ok(rendered) => {
            let again = SHIPPED
                .render(TemplateRole::Worker, &variables, &overrides)
                .expect("as before");
            assert_eq!(soul(&again), soul(&rendered));
            for (_, text) in rendered.iter() {
                assert!(text.encode_utf16().count() <= MAX_RENDERED);
            }
            assert_token_is_found(&rendered);
        }
        Err(error) => {
            let shown = error.to_string();
            assert_fit_to_show(&shown);
            if !text.contains(CANARY) {
                assert_keeps_secret(&shown);
                assert_keeps_secret(&format!("{error:?}"));
            }
        }
    }
}

/// Text of agents and users is never a template. In the place of a file it is written unchanged, and as a value it reveals no token.
fn assert_text_stays_text(text: &str, variables: &Variables) {
    let overrides = Overrides {
        soul: Some(Override::Text(text.to_owned())),
        identity: Some(Override::Text(text.to_owned())),
    };
    let Ok(rendered) = SHIPPED.render(TemplateRole::Worker, variables, &overrides) else {
        assert!(text.encode_utf16().count() > MAX_RENDERED);
        return;
    };
    if !text.trim().is_empty() {
        assert_eq!(soul(&rendered), Some(text));
        assert_eq!(rendered.get(Content::Identity), Some(text));
    }
    assert_token_is_found(&rendered);
    let mut named = variables.clone();
    text.clone_into(&mut named.agent.name);
    text.clone_into(&mut named.identity.custom_instructions);
    if let Some(board) = &mut named.board {
        text.clone_into(&mut board.name);
        text.clone_into(&mut board.objective);
    }
    let Ok(rendered) = SHIPPED.render(TemplateRole::Worker, &named, &Overrides::default()) else {
        return;
    };
    assert_token_is_found(&rendered);
    for (content, rendered) in rendered.iter().filter(|(content, _)| *content != Content::Tools) {
        assert!(text.contains(CANARY) || !rendered.contains(CANARY), "{content}");
    }
}

fn soul(rendered: &Rendered) -> Option<&str> {
    rendered.get(Content::Soul)
}

fn assert_token_is_found(rendered: &Rendered) {
    for listed in [
        &["TOOLS.md", "AGENTS.md", "SOUL.md"][..],
        &["AGENTS.md", "SOUL.md"],
        &["AGENTS.md"],
    ] {
        let layout = Layout::of(listed, false);
        let placement = layout.place(rendered, true);
        let holder = &placement.files[layout.holder_of_token()];
        assert_eq!(tool_values(holder).get("AUTH_TOKEN"), Some(CANARY), "{listed:?}");
        for text in placement.files.values() {
            assert!(text.encode_utf16().count() <= MAX_FILE);
        }
    }
}

fn variables() -> Variables {
    Variables {
        agent: AgentVariables {
            name: "Ada".into(),
            id: "0b7c0a52-6f0e-4d0c-9d5c-3a1e0d6c1f11".into(),
            session_key: "agent:mc-0b7c:main".into(),
            base_url: "https://board.example/api".into(),
            auth_token: AuthToken::new(CANARY),
            workspace_root: "/srv".into(),
            workspace_path: "/srv/workspace-ada".into(),
            ..AgentVariables::default()
        },
        board: Some(BoardVariables {
            name: "Harbour".into(),
            objective: "Dredge the channel.\nKeep traffic moving.".into(),
            ..BoardVariables::default()
        }),
        ..Variables::default()
    }
}
