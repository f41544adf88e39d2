use std::collections::BTreeSet;

use super::*;

#[test]
fn the_table_is_sorted_and_every_row_is_found_by_its_name() {
    assert!(methods().is_sorted_by(|a, b| a.name < b.name));
    for row in methods() {
        assert_eq!(method(row.name), Some(row));
    }
    for absent in ["", "zz", "chat.sen", "chat.send ", "no.such.method"] {
        assert_eq!((method(absent), effect(absent)), (None, SideEffect), "{absent:?}");
    }
}

#[test]
fn keyed_are_exactly_the_methods_whose_schema_requires_an_idempotency_key() {
    let keyed: BTreeSet<_> = methods().iter().filter(|m| m.effect == Keyed).map(|m| m.name).collect();
    assert_eq!(
        keyed,
        BTreeSet::from(["agent", "chat.send", "message.action", "node.invoke", "poll", "send"])
    );
}

#[test]
fn nothing_that_needs_more_than_a_read_scope_is_called_read_only_without_a_reason() {
    let odd: BTreeSet<_> = methods()
        .iter()
        .filter(|m| m.effect == ReadOnly && m.scope != Some(Scope::Read))
        .map(|m| m.name)
        .collect();
    // Lists of pairings and approvals, the scratch text, and a wait: each needs its own right, none changes anything.
    let known = [
        "agent.wait",
        "cron.scratch.get",
        "device.pair.list",
        "exec.approval.get",
        "exec.approval.list",
        "node.pair.list",
    ];
    assert_eq!(odd, BTreeSet::from(known));
}

#[test]
fn only_reading_and_keyed_methods_may_be_sent_again() {
    assert!(method("agents.list").is_some_and(MethodSpec::may_resend));
    assert!(method("chat.send").is_some_and(MethodSpec::may_resend));
    for name in [
        "agents.create",
        "agents.files.set",
        "config.patch",
        "sessions.reset",
        "sessions.delete",
        "chat.abort",
    ] {
        assert!(method(name).is_some_and(|m| !m.may_resend()), "{name}");
    }
}

#[test]
fn only_agent_answers_twice() {
    let twice: Vec<_> = methods()
        .iter()
        .filter(|m| m.answers == Answers::Two)
        .map(|m| m.name)
        .collect();
    assert_eq!(twice, ["agent"]);
}

#[test]
fn every_name_of_the_table_is_one() {
    for row in methods() {
        assert_eq!(MethodName::new(row.name), Ok(row.method_name()));
    }
}
