//! Errors name template, line and variable, and nothing is rendered then.

use windlass_templates::{
    MAX_BRANCHES, MAX_RENDERED, MAX_TEMPLATE, MAX_TOKENS, Override, Overrides, TemplateError, TemplateRole, Templates,
};

use crate::samples::{full, soul};

/// Template, line and variable of an unknown variable.
fn unknown(text: &str) -> (String, usize, String) {
    match soul(text).unwrap_err() {
        TemplateError::UnknownVariable {
            template,
            line,
            variable,
        } => (template, line, variable),
        other => panic!("{text:?}: {other:?}"),
    }
}

#[test]
fn an_unknown_variable_of_an_override_is_named_with_its_line() {
    let (template, line, variable) = unknown("# Soul\n\nI am {{ agent_name }}.\n{{ agent_nmae }}\n");
    assert_eq!(
        (template.as_str(), line, variable.as_str()),
        ("agent's own SOUL.md", 4, "agent_nmae")
    );
}

#[test]
fn every_way_to_use_an_unknown_variable_is_an_error() {
    for (text, name) in [
        ("{% if nope %}x{% endif %}", "nope"),
        ("{% for x in nope %}x{% endfor %}", "nope"),
        ("{{ nope | upper }}", "nope"),
        ("{{ 'a' ~ nope }}", "nope"),
        ("{{ nope + 1 }}", "nope"),
        ("{{ nope.deep.deeper }}", "nope"),
        ("{{ user_name.first }}", "user_name.first"),
        ("{{ user_name['first'] }}", "user_name"),
        ("{{ nope() }}", "nope"),
        ("{{ nope == 1 }}", "nope"),
        ("{% set x = nope %}{{ x }}", "nope"),
    ] {
        let error = soul(text).unwrap_err().to_string();
        assert!(
            error.contains("agent's own SOUL.md, line 1: ") && error.contains(name),
            "{text}: {error}"
        );
    }
}

#[test]
fn an_undefined_nested_attribute_is_named_whole() {
    let (_, line, variable) = unknown("ok\n{{ user_name.first }}");
    assert_eq!((line, variable.as_str()), (2, "user_name.first"));
}

#[test]
fn an_error_in_the_identity_override_names_that_template() {
    let overrides = Overrides {
        identity: Some(Override::Template("{{ identity_rule }}".into())),
        soul: None,
    };
    let error = Templates::shipped()
        .render(TemplateRole::Lead, &full(TemplateRole::Lead), &overrides)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "agent's own IDENTITY.md, line 1: there is no variable `identity_rule`; correct the name or remove it"
    );
}

#[test]
fn a_syntax_error_names_the_line() {
    let error = soul("fine\n{% if agent_name %}\nnever closed\n").unwrap_err();
    assert!(
        matches!(&error, TemplateError::Syntax { template, line: 3 | 4, .. } if template == "agent's own SOUL.md"),
        "{error:?}"
    );
    let error = soul("fine\n{{ agent_name | }}\n").unwrap_err();
    assert!(matches!(&error, TemplateError::Syntax { line: 2, .. }), "{error:?}");
}

#[test]
fn an_unknown_filter_is_named() {
    let error = soul("\n{{ agent_name | shout }}").unwrap_err().to_string();
    assert!(
        error.starts_with("agent's own SOUL.md, line 2: ") && error.contains("shout"),
        "{error}"
    );
}

#[test]
fn a_template_cannot_include_a_file_from_disk() {
    for text in [
        "{% include '/etc/passwd' %}",
        "{% include '../Cargo.toml' %}",
        "{% extends '/etc/hostname' %}",
    ] {
        let error = soul(text).unwrap_err();
        assert!(matches!(error, TemplateError::Failed { .. }), "{text}: {error:?}");
    }
}

#[test]
fn an_override_may_include_a_shipped_template() {
    let text = soul("Mine first.\n{% include 'worker/SOUL.md' %}").unwrap();
    assert!(text.starts_with("Mine first.\n# Soul"), "{text}");
}

#[test]
fn endless_work_ends_with_an_error() {
    for text in [
        "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(99) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in range(1000000000) %}x{% endfor %}",
        "{% set s = 'x' * 1000000000 %}{{ s }}",
        "{{ 'x' * 4000000000 }}",
        "{% set x = namespace(s='ab') %}{% for i in range(60) %}{% set x.s = x.s ~ x.s %}{% endfor %}",
        "{% include 'agent' %}{% block a %}{{ self.a() }}{% endblock %}",
        "{{ agent_name | indent(2000000000) }}",
        "{{ [1] * 1000000000 }}",
    ] {
        soul(text).expect_err(text);
    }
    let loops = "line\n{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}";
    let error = soul(loops).unwrap_err();
    assert!(matches!(error, TemplateError::TooMuchWork { line: 2, .. }), "{error:?}");
}

#[test]
fn a_text_that_is_too_long_is_an_error() {
    let error = soul(&format!("{{{{ 'x' * {MAX_RENDERED} }}}}")).unwrap_err();
    assert!(
        matches!(
            error,
            TemplateError::TooLarge {
                what: "the rendered text",
                ..
            }
        ),
        "{error:?}"
    );
    soul(&format!("{{{{ 'x' * {} }}}}", MAX_RENDERED - 1)).expect("the bound itself is allowed");
    let error = soul(&"x".repeat(MAX_TEMPLATE + 1)).unwrap_err();
    assert!(
        matches!(
            error,
            TemplateError::TooLarge {
                what: "the template",
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_deeply_nested_template_is_an_error_and_no_crash() {
    for (open, close) in [("(", ")"), ("[", "]"), ("not ", ""), ("{'a':", "}"), ("-", "")] {
        let text = format!("{{{{ {}1{} }}}}", open.repeat(9000), close.repeat(9000));
        let _ = soul(&text);
    }
    let _ = soul(&"{% if true %}".repeat(4000));
}

#[test]
fn chains_that_would_exhaust_stack_or_time_are_refused() {
    for (link, count) in [
        ("-", 65_000),
        ("not ", 16_000),
        ("1 ~ ", 16_000),
        ("1 + ", 16_000),
        ("1 and ", 10_000),
    ] {
        let error = soul(&format!("{{{{ {}1 }}}}", link.repeat(count))).unwrap_err();
        assert!(
            matches!(error, TemplateError::TooLarge { what: "the tag", .. }),
            "{link}: {error:?}"
        );
    }
    for (link, count) in [
        (".b", 30_000),
        ("|upper", 9_000),
        ("()", 30_000),
        ("[0]", 20_000),
        (" if 1 else 1", 5_000),
    ] {
        let error = soul(&format!("{{{{ agent_name{} }}}}", link.repeat(count))).unwrap_err();
        assert!(
            matches!(error, TemplateError::TooLarge { what: "the tag", .. }),
            "{link}: {error:?}"
        );
    }
    let error = soul(&format!("{{% if 1 %}}{}{{% endif %}}", "{%elif 1%}".repeat(6000))).unwrap_err();
    assert!(
        matches!(
            error,
            TemplateError::TooLarge {
                what: "the number of elif",
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn chains_within_the_bounds_are_worked_on() {
    let most = MAX_TOKENS - 1;
    for text in [
        format!("{{{{ {}true }}}}", "not ".repeat(most - 1)),
        format!("{{{{ {}1 }}}}", "-".repeat(most - 1)),
        format!("{{{{ agent_name{} }}}}", "|upper".repeat(most / 2)),
        format!("{{{{ 'a'{} }}}}", "~'a'".repeat(most / 2)),
        format!(
            "{{% if false %}}{}{{% endif %}}x",
            "{%elif false%}".repeat(MAX_BRANCHES)
        ),
    ] {
        soul(&text).unwrap_or_else(|error| panic!("{}: {error}", &text[..40]));
    }
}

#[test]
fn deeply_nested_values_end_without_a_crash() {
    let steps = [
        "{% set n.x = [n.x] %}{% set n.y = [n.y] %}",
        "{% set n.x = {1: n.x} %}",
        "{% set n.x = namespace(x=n.x) %}",
        "{% set n.x = n.x | chain([1]) %}",
    ];
    let uses = [
        "",
        "{{ n.x }}",
        "{{ n.x == n.y }}",
        "{{ n.x < n.y }}",
        "{{ [n.x, n.y] | sort }}",
        "{{ {n.x: 1} }}",
    ];
    for step in steps {
        for times in [30, 900, 9999] {
            for used in uses {
                let _ = soul(&format!(
                    "{{% set n = namespace(x=[], y=[]) %}}{{% for i in range({times}) %}}{step}{{% endfor %}}{used}"
                ));
            }
        }
        let _ = soul(&format!("{{% set x = 1 %}}{}", "{%set x=[x]%}".repeat(5000)));
    }
}

#[test]
fn a_blank_override_counts_as_none() {
    assert!(soul(" \n").unwrap().starts_with("# Soul"));
}

#[test]
fn booleans_render_in_lower_case() {
    let text = soul("{{ is_board_lead }} {{ is_main_agent }} {{ board_goal_confirmed }} {{ true }}").unwrap();
    assert_eq!(text, "false false true true\n");
}

#[test]
fn nothing_is_escaped() {
    let mut variables = full(TemplateRole::Worker);
    variables.user.name = "<b>&\"'".into();
    let text = crate::samples::soul_of("{{ user_name }}", &variables).unwrap();
    assert_eq!(text, "<b>&\"'\n");
}
