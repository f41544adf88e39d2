//! Templates that are small and would take all time or memory: each ends at once, with an error that names it.

use std::fmt::Write as _;
use std::time::Instant;

use windlass_templates::{MAX_RENDERED, TemplateError};

use crate::samples::soul;

/// `{% set a = EXPRESSION %}`, many times, and then a use of it.
fn doubled(times: usize, begin: &str, step: &str, used: &str) -> String {
    format!("{begin}{}{used}", step.repeat(times))
}

/// Nested loops, whose variables are other names than those that the template sets.
fn nested_loops(depth: usize) -> String {
    let open = (0..depth).fold(String::new(), |mut open, level| {
        let _ = write!(open, "{{% for x{} in [[x{level}, x{level}]] %}}", level + 1);
        open
    });
    format!(
        "{{% set x0 = 'a' %}}{open}{{{{ x{depth} }}}}{}",
        "{% endfor %}".repeat(depth)
    )
}

/// What is done with a value that was made.
const USES: [&str; 12] = [
    "{{ a }}",
    "{{ a ~ '' }}",
    "{{ a | string }}",
    "{{ a | upper }}",
    "{{ [a] | join }}",
    "{{ a in 'x' }}",
    "{{ 'x' | replace('x', a) }}",
    "{{ '%s' | format(a) }}",
    "{% set b = a %}{{ a == b }}",
    "{{ a | sort }}",
    "{{ {a: 1} }}",
    "{{ a | length }}",
];

/// How a value begins, and a step that makes more of it.
const STEPS: [(&str, &str); 16] = [
    ("{% set a = [] %}", "{% set a = [a, a] %}"),
    ("{% set a = [] %}", "{%set a=(a,a)%}"),
    ("{% set a = [] %}", "{%set a={1:a,2:a}%}"),
    ("{% set a = ['x'] %}", "{% set a = a + a %}"),
    ("{% set a = ['x'] %}", "{% set a = a * 9999 %}"),
    ("{% set a = ['x'] %}", "{% set a = [a, a] | list %}"),
    ("{% set a = ['x'] %}", "{% set a = a | zip(a) | list %}"),
    ("{% set a = ['x'] %}", "{% set a = a | chain(a) %}"),
    ("{% set a = ['x'] %}", "{% set a = [1] | batch(3, a) | list %}"),
    ("{% set a = ['x'] %}", "{% set a = [1, 2] | map('default', a) | list %}"),
    ("{% set a = ['x'] %}", "{% set a = dict(x=a, y=a) %}"),
    ("{% set a = 'x' %}", "{% set a = a ~ a %}"),
    ("{% set a = 'x' %}", "{% set a = a + a %}"),
    ("{% set a = 'x' %}", "{% set a %}{{ a }}{{ a }}{% endset %}"),
    ("{% set a = 'x' %}", "{% set a = a | replace('x', 'xx') %}"),
    ("{% set a = ['x'] %}", "{% set a = a | reverse %}"),
];

const OTHERS: [&str; 39] = [
    "{% set n = namespace(x=[]) %}{% for i in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "{% set n = namespace() %}{% set n.x = n %}{{ n }}",
    "{{ [[['a'] * 9999] * 9999] * 9999 }}",
    "{{ ['a'] * 9999999999999 }}",
    "{{ (['a'] * 9999999999999) | upper }}",
    "{{ (['a'] * 9999999999999) in 'abc' }}",
    "{{ [['a'] * 9999] * 9999 == [['a'] * 9999] * 9999 }}",
    "{{ 'x' * 1000000000 }}",
    "{{ 1000000000 * 'x' }}",
    "{{ range(1000000000) | upper }}",
    "{{ range(99999) | join(agent_name) }}",
    "{{ range(99999) | join('x' * 9999) }}",
    "{{ '%999999999d' | format(1) }}",
    "{{ '%.999999999f' | format(1.5) }}",
    "{{ agent_name | indent(999999999) }}",
    "{{ ('x' * 9999) | replace('', 'x' * 9999) }}",
    "{{ range(99999) | batch(1) | list }}",
    "{{ range(99999) | slice(99999999) | list }}",
    "{{ 'abc'[::-9223372036854775808] }}",
    "{{ [1, 2, 3][::-9223372036854775807 - 1] }}",
    "{{ [1][-9223372036854775808:9223372036854775807] }}",
    "{{ 2 ** 999999999 }}",
    "{{ 'x' | round(-9223372036854775808) }}",
    "{{ (9223372036854775807 + 1) // -1 }}",
    "{{ -9223372036854775808 // -1 }}{{ -9223372036854775808 % -1 }}",
    "{{ (-9223372036854775807 - 1) | abs }}",
    "{% for x in [[1, 2]] recursive %}{{ loop([x, x]) }}{% endfor %}",
    "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
    "{% set agent_name = [agent_name] %}{{ [agent_name, agent_name] }}",
    "{% for agent_name in [['a']] %}{{ [agent_name, agent_name] }}{% endfor %}",
    "{% with a = ['x'] %}{% with b = [a, a] %}{{ b }}{% endwith %}{% endwith %}",
    "{% import 'worker/SOUL.md' as m %}{{ [m, m] }}",
    "{% include 'agent' %}",
    "{% block a %}{{ self.a() }}{% endblock %}",
    "{% filter upper %}{% for i in range(9999) %}{{ 'x' * 999 }}{% endfor %}{% endfilter %}",
    "{% for c in ('x' * 60000) | list %}{% for d in ('x' * 60000) | list %}{% endfor %}{% endfor %}",
    "{{ ('x ' * 30000) | split(' ') | sort | unique | join(', ' * 100) }}",
    "{{ user_notes | lines | join('x' * 59000) }}",
];

fn bombs() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (begin, step) in STEPS {
        for times in [27, 60, 900] {
            for used in USES {
                let name = format!("{times} x {step} {used}");
                all.push((name, doubled(times, begin, step, used)));
            }
        }
    }
    all.extend(OTHERS.map(|text| (text.to_owned(), text.to_owned())));
    all.push(("nested loops".into(), nested_loops(60)));
    all
}

#[test]
fn a_bomb_ends_within_its_bounds() {
    for (name, text) in bombs() {
        match soul(&text) {
            Ok(rendered) => assert!(rendered.encode_utf16().count() <= MAX_RENDERED, "{name}"),
            Err(TemplateError::Engine { .. }) => panic!("{name}: the engine panicked"),
            Err(TemplateError::BadValue { .. } | TemplateError::Folder { .. } | TemplateError::NoThread(_)) => {
                panic!("{name}: of another kind")
            }
            Err(error) => assert!(
                error.to_string().contains("agent's own SOUL.md") || error.to_string().contains("worker/"),
                "{name}: {error}"
            ),
        }
    }
}

#[test]
fn what_could_walk_through_more_than_was_made_is_refused_with_its_line() {
    for text in [
        "{% set a = [] %}\n{% set a = [a, a] %}",
        "\n{{ ['a'] * 9 }}",
        "{% set a = ['a'] %}\n{{ a + a }}",
        "\n{% set agent_name = ['a'] %}",
        "\n{{ 'abc'[::-1] }}",
        "\n{{ {1: range(9)} }}",
        "\n{% import 'worker/SOUL.md' as m %}",
    ] {
        let error = soul(text).unwrap_err();
        assert!(
            matches!(error, TemplateError::NotOffered { line: 2, .. }),
            "{text}: {error:?}"
        );
    }
}

#[test]
fn what_templates_need_is_offered() {
    for (text, rendered) in [
        (
            "{% for x in ['a', 'b'] %}{{ x }}{{ loop.index * 2 + 1 }} {% endfor %}",
            "a3 b5\n",
        ),
        ("{% set xs = ['a', agent_name] %}{{ xs | join(', ') }}", "a, Ada\n"),
        (
            "{% for a, b in [('x', 1), ('y', 2)] %}{{ a }}{{ b }}{% endfor %}",
            "x1y2\n",
        ),
        ("{{ '=' * 5 }}{{ 2 + 3 }}{{ 'a' + 'b' }}", "=====5ab\n"),
        ("{% set n = 1 %}{{ n + 1 }}{{ (n | int) * 3 }}", "23\n"),
        ("{{ {'worker': 'W'}[agent_role] }}", "W\n"),
        ("{% if agent_role in ['worker', 'lead'] %}yes{% endif %}", "yes\n"),
        ("{{ 'b a' | split(' ') | sort | join('-') }}", "a-b\n"),
        (
            "{{ agent_name[0:2] }}{{ user_pronouns | default('x') | length }}",
            "Ad7\n",
        ),
        ("{% set who %}{{ agent_name }}{% endset %}{{ who ~ '!' }}", "Ada!\n"),
        ("{% with x = agent_name | upper %}{{ x }}{% endwith %}", "ADA\n"),
    ] {
        assert_eq!(
            soul(text).unwrap_or_else(|error| panic!("{text}: {error}")),
            rendered,
            "{text}"
        );
    }
}

/// Prints what each bomb takes: `cargo test -p windlass-templates --test suite figures -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
#[expect(clippy::disallowed_methods, reason = "measures how long real work takes")]
fn figures_of_bombs() {
    let peak = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or("VmHWM 0 kB")
            .to_owned();
        line.split_whitespace()
            .nth(1)
            .and_then(|kb| kb.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let mut slowest: Vec<(u128, u64, String, bool)> = Vec::new();
    for (name, text) in bombs() {
        let (before, begun) = (peak(), Instant::now());
        let is_ok = soul(&text).is_ok();
        slowest.push((begun.elapsed().as_micros(), peak().saturating_sub(before), name, is_ok));
    }
    slowest.sort_by(|a, b| b.cmp(a));
    for (micros, kilobytes, name, is_ok) in slowest.iter().take(25) {
        println!("{micros:>9} us {kilobytes:>7} kB more at the peak, rendered: {is_ok}  {name}");
    }
    println!("peak {} kB after {} bombs", peak(), slowest.len());
}
