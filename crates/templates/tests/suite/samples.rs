//! Agents that the tests render.

use serde_json::json;
use windlass_templates::{
    AgentVariables, AuthToken, BoardRuleVariables, BoardVariables, Content, IdentityVariables, Override, Overrides,
    Rendered, TemplateError, TemplateRole, Templates, UserVariables, Variables,
};

/// The token of every sample: nothing else contains it.
pub(crate) const TOKEN: &str = "s4mple-t0ken-that-nobody-may-see";

/// The files that a classic gateway lists.
pub(crate) const CLASSIC: [&str; 8] = [
    "AGENTS.md",
    "SOUL.md",
    "TOOLS.md",
    "IDENTITY.md",
    "USER.md",
    "HEARTBEAT.md",
    "BOOTSTRAP.md",
    "MEMORY.md",
];

/// The files that 2026.8.2 and 2026.9.6 list.
pub(crate) const MERGED: [&str; 5] = ["AGENTS.md", "SOUL.md", "USER.md", "BOOTSTRAP.md", "MEMORY.md"];

/// An agent about whom everything is known.
pub(crate) fn full(role: TemplateRole) -> Variables {
    let id = "0b7c0a52-6f0e-4d0c-9d5c-3a1e0d6c1f11";
    let key = match role {
        TemplateRole::Main => "mc-gateway-5f0c",
        TemplateRole::Lead => "lead-77aa",
        TemplateRole::Worker => "mc-0b7c",
    };
    Variables {
        agent: AgentVariables {
            name: "Ada".into(),
            id: id.into(),
            session_key: format!("agent:{key}:main"),
            base_url: "https://board.example/api/v1/".into(),
            auth_token: AuthToken::new(TOKEN),
            main_session_key: "agent:mc-gateway-5f0c:main".into(),
            workspace_root: "/srv/agents".into(),
            workspace_path: format!("/srv/agents/workspace-{key}"),
        },
        user: UserVariables {
            name: "Grace Hopper".into(),
            preferred_name: "Grace".into(),
            pronouns: "she/her".into(),
            timezone: "Europe/Berlin".into(),
            notes: "Reads messages at nine.\nPrefers numbers.".into(),
            context: "Runs the harbour office.".into(),
        },
        identity: IdentityVariables {
            role: "Harbour pilot".into(),
            autonomy_level: "balanced".into(),
            verbosity: "short".into(),
            output_format: "lists".into(),
            update_cadence: "daily".into(),
            purpose: "Bring ships in safely.".into(),
            personality: "Calm.\nDry humour.".into(),
            custom_instructions: "Use metric units.".into(),
            ..IdentityVariables::default()
        },
        board: (role != TemplateRole::Main).then(board),
    }
}

fn board() -> BoardVariables {
    BoardVariables {
        id: "77aa5e1f-5b1a-4a7e-8f43-1d8f4a3d9c02".into(),
        name: "Harbour".into(),
        board_type: "goal".into(),
        objective: "Dredge the north channel.\nKeep traffic moving.".into(),
        success_metrics: json!({"depth_m": 9.5, "closures": 0}).as_object().cloned(),
        target_date: "2027-03-01".into(),
        goal_confirmed: true,
        rules: BoardRuleVariables {
            comment_required_for_review: true,
            ..BoardRuleVariables::default()
        },
    }
}

/// An agent about whom next to nothing is known, without API and board.
pub(crate) fn bare() -> Variables {
    let agent = AgentVariables {
        name: "Bo".into(),
        auth_token: AuthToken::new(TOKEN),
        workspace_root: "/srv".into(),
        workspace_path: "/srv/workspace-bo".into(),
        ..AgentVariables::default()
    };
    Variables {
        agent,
        ..Variables::default()
    }
}

pub(crate) fn render(role: TemplateRole, variables: &Variables) -> Rendered {
    Templates::shipped()
        .render(role, variables, &Overrides::default())
        .unwrap()
}

/// Renders a worker whose SOUL.md template is this text.
pub(crate) fn soul(text: &str) -> Result<String, TemplateError> {
    soul_of(text, &full(TemplateRole::Worker))
}

pub(crate) fn soul_of(text: &str, variables: &Variables) -> Result<String, TemplateError> {
    let overrides = Overrides {
        soul: Some(Override::Template(text.to_owned())),
        ..Overrides::default()
    };
    let rendered = Templates::shipped().render(TemplateRole::Worker, variables, &overrides)?;
    Ok(rendered.get(Content::Soul).unwrap_or_default().to_owned())
}
