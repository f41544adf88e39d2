//! Neither the token nor a rendered text is in any `Debug` or error, nor in any text but the tools.

use std::fmt::Write as _;

use windlass_templates::{Content, Layout, Override, Overrides, TemplateRole, Templates, tool_values};

use crate::samples::{CLASSIC, MERGED, TOKEN, bare, full, render, soul};

#[test]
fn debug_shows_no_token_and_no_text() {
    let variables = full(TemplateRole::Lead);
    let rendered = render(TemplateRole::Lead, &variables);
    let placement = Layout::of(&MERGED, true).place(&rendered, true);
    let values = tool_values(rendered.get(Content::Tools).unwrap());
    let templates = Templates::shipped();
    let shown = format!("{variables:?} {variables:#?} {rendered:?} {placement:#?} {values:?} {templates:?}");
    assert!(!shown.contains(TOKEN), "{shown}");
    assert!(
        !format!("{rendered:?} {placement:?} {values:?}").contains("Ada"),
        "no text either"
    );
    assert_eq!(format!("{:?}", variables.agent.auth_token), "AuthToken(***)");
}

#[test]
fn only_the_tools_carry_the_token() {
    for role in TemplateRole::ALL {
        for variables in [full(role), bare()] {
            for (content, text) in render(role, &variables).iter() {
                let times = text.matches(TOKEN).count();
                assert_eq!(times, usize::from(content == Content::Tools), "{role}/{content}");
            }
        }
        let wake = Templates::shipped()
            .wake_message(role, &full(role), "ref-1", true)
            .unwrap();
        assert!(!wake.contains(TOKEN), "{wake}");
    }
}

#[test]
fn each_layout_writes_the_token_once() {
    for layout in [
        Layout::of(&CLASSIC, true),
        Layout::of(&MERGED, true),
        Layout::of(&MERGED, false),
    ] {
        let placement = layout.place(&render(TemplateRole::Worker, &full(TemplateRole::Worker)), true);
        let all = placement
            .files
            .values()
            .chain(&placement.scratch)
            .cloned()
            .collect::<String>();
        assert_eq!(all.matches(TOKEN).count(), 1);
    }
}

#[test]
fn no_error_shows_a_value_however_the_template_uses_it() {
    for text in [
        "{{ auth_token | int }}",
        "{{ auth_token | float }}",
        "{{ auth_token + 1 }}",
        "{{ -auth_token }}",
        "{{ auth_token.nope }}",
        "{{ auth_token.nope() }}",
        "{{ auth_token() }}",
        "{{ nope[auth_token] }}",
        "{{ {'a': 1}[auth_token] }}",
        "{{ agent_name[auth_token] }}",
        "{{ agent_name | attr(auth_token) }}",
        "{{ [agent_name] | map(auth_token) | list }}",
        "{{ [agent_name] | select(auth_token) | list }}",
        "{{ [agent_name] | map(attribute=auth_token) | join }}",
        "{{ agent_name | default(**{auth_token: 1}) }}",
        "{{ dict(**{auth_token: 1}).x }}",
        "{{ range(auth_token) }}",
        "{{ auth_token | format(1, 2) }}",
        "{% include auth_token %}",
        "{% extends auth_token %}",
        "{% include ['a', auth_token] %}",
        "{% import auth_token as x %}",
        "{% for x in auth_token %}{{ x.y }}{% endfor %}",
        "{% for a, b in [auth_token] %}{% endfor %}",
        "{{ ('`' ~ auth_token ~ '` is undefined') | int }}",
        "{% include '`' ~ auth_token ~ '` is undefined' %}",
        "{{ agent_name | attr('`' ~ auth_token ~ '` is undefined') }}",
        "{% filter nope %}{{ auth_token }}{% endfilter %}",
        "{{ debug().nope }}{{ auth_token | nope }}",
        "{% set x = auth_token %}{{ x.y.z }}",
        "{% set x = namespace(a=auth_token) %}{{ x.a.b }}",
        "{% autoescape auth_token %}x{% endautoescape %}",
        "{{ agent_name | indent(auth_token) }}",
        "{{ [1, auth_token] | sum }}",
        "{{ [1, auth_token] | sort(attribute='nope') }}",
    ] {
        let Err(error) = soul(text) else { continue };
        let mut shown = format!("{error} {error:?} {error:#?}");
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            let _ = write!(shown, " {inner} {inner:?}");
            source = inner.source();
        }
        assert!(!shown.contains(TOKEN), "{text}: {shown}");
    }
}

#[test]
fn a_template_cannot_dump_what_it_was_not_given() {
    // The engine's `debug()` prints the variables: into the agent's own text, as naming each would.
    let overrides = Overrides {
        identity: Some(Override::Template("{{ debug() }}".into())),
        soul: None,
    };
    let rendered = Templates::shipped().render(TemplateRole::Worker, &full(TemplateRole::Worker), &overrides);
    assert!(rendered.is_err(), "debug is not offered");
}
