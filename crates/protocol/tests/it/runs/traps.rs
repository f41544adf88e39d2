//! Each known trap of a release, by its rule.

use serde_json::{Value, json};
use windlass_protocol::connection::Continuity;
use windlass_protocol::request::ChatSendReply;
use windlass_protocol::run::{Action, CommandDone, Doubt, Evidence, FailureSign, Loss, Repair, RunEnd, RunProgress};
use windlass_protocol::{Advise, GatewayError};

use super::bench::{Bench, KEY, SESSION, TEXT, assistant, config, failed, message, user, with};

#[test]
fn a_run_streams_and_ends_with_its_final() {
    let mut bench = Bench::started(4);
    bench.delta(KEY, "echo:");
    bench.delta(KEY, "echo: good");
    bench.done(KEY, "echo: good morning");
    assert_eq!(bench.answer().run_id, KEY);
    let increments = ["echo:", " good", " morning"].map(|text| RunProgress::Increment(text.into()));
    assert_eq!(bench.progress[1..], increments);
    bench.done(KEY, "again");
    bench.pass(10_000.0);
    assert_eq!((bench.ends.len(), bench.tracker.next_deadline()), (1, None));
}

#[test]
fn a_last_delta_that_stops_short_is_completed_by_the_final() {
    let mut bench = Bench::started(3);
    bench.delta(KEY, "echo:");
    bench.done(KEY, "echo: good morning");
    assert_eq!(
        bench.progress.last(),
        Some(&RunProgress::Increment(" good morning".into()))
    );
    bench.answer();
}

#[test]
fn agent_events_fill_in_where_chat_deltas_are_few() {
    let mut bench = Bench::started(3);
    let step = |text: &str| json!({"runId": KEY, "sessionKey": SESSION, "stream": "assistant", "data": {"text": text}});
    bench.delta(KEY, "echo:");
    bench.agent(step("echo: good"));
    bench.agent(step("echo:"));
    assert_eq!(bench.told, "echo: good");
    bench.done(KEY, "echo: good morning");
    bench.answer();
}

#[test]
fn increments_without_the_text_so_far_are_put_together() {
    let mut bench = Bench::started(4);
    for (seq, piece) in [(6, "part 1"), (6, "part 1"), (7, ", part 2")] {
        bench.chat(KEY, "delta", json!({"seq": seq, "deltaText": piece}));
    }
    assert_eq!(bench.told, "part 1, part 2");
    bench.tracker.on_gap(bench.now);
    bench.chat(KEY, "delta", json!({"seq": 9, "deltaText": ", part 4"}));
    assert_eq!(bench.progress.last(), Some(&RunProgress::Hole));
    bench.done(KEY, "part 1, part 2, part 3, part 4");
    bench.answer();
}

#[test]
fn the_first_of_two_error_events_ends_the_run() {
    let mut bench = Bench::started(4);
    bench.chat(
        KEY,
        "error",
        json!({"errorMessage": "LLM request failed", "errorDetail": {}}),
    );
    bench.chat(KEY, "error", json!({"errorMessage": "Agent failed before reply"}));
    assert_eq!(bench.failure().message, "LLM request failed");
}

#[test]
fn a_lifecycle_error_without_a_retry_in_fifteen_seconds_is_a_failure_that_history_words() {
    let mut bench = Bench::started(3);
    bench.lifecycle(KEY, json!({"phase": "start"}));
    bench.lifecycle(KEY, json!({"phase": "error", "error": "400"}));
    bench.pass(14.0);
    assert_eq!((bench.actions.len(), bench.ends.len()), (0, 0));
    bench.answer_history(&[user(TEXT, None), failed("400 fake failure")]);
    let failure = bench.failure();
    assert_eq!(
        (failure.message.as_str(), failure.sign),
        ("400 fake failure", FailureSign::History)
    );
}

#[test]
fn a_lifecycle_error_that_history_does_not_know_is_a_failure_all_the_same() {
    let mut bench = Bench::started(3);
    bench.lifecycle(KEY, json!({"phase": "error", "error": "400"}));
    for _ in 0..5 {
        bench.answer_history(&[]);
    }
    assert_eq!(bench.failure().sign, FailureSign::Lifecycle);
}

#[test]
fn a_retry_after_a_lifecycle_error_is_no_failure() {
    let mut bench = Bench::started(4);
    for pause in [2.0, 4.0, 8.0] {
        bench.lifecycle(KEY, json!({"phase": "error", "error": "500"}));
        bench.pass(pause);
        bench.lifecycle(KEY, json!({"phase": "start"}));
    }
    bench.pass(10.0);
    bench.done(KEY, "at last");
    bench.answer();
}

#[test]
fn an_error_row_counts_only_when_no_retry_can_follow() {
    let mut bench = Bench::started(3);
    bench.pass(20.0);
    bench.answer_wait(json!({"status": "timeout"}));
    bench.history(&[user(TEXT, None), failed("500")]);
    assert_eq!(bench.ends.len(), 0);
    bench.lifecycle(KEY, json!({"phase": "start"}));
    bench.done(KEY, "at last");
    bench.answer();
}

#[test]
fn ok_from_agent_wait_is_not_believed_and_history_tells_of_the_failure() {
    let mut bench = Bench::started(3);
    bench.pass(20.0);
    bench.answer_wait(json!({"status": "ok"}));
    bench.answer_history(&[user(TEXT, None), failed("400")]);
    assert_eq!(bench.failure().sign, FailureSign::History);
}

#[test]
fn error_from_agent_wait_is_believed() {
    for (reply, aborted) in [
        (json!({"status": "error", "error": "LLM request failed"}), false),
        (
            json!({"status": "error", "error": "aborted", "stopReason": "rpc"}),
            true,
        ),
    ] {
        let mut bench = Bench::started(4);
        bench.pass(20.0);
        bench.answer_wait(reply);
        assert_eq!(matches!(bench.end(), RunEnd::Aborted { .. }), aborted);
        assert_eq!(matches!(bench.end(), RunEnd::Failed(_)), !aborted);
    }
}

#[test]
fn timeout_from_agent_wait_is_a_run_that_goes_on() {
    let mut bench = Bench::started(3);
    for _ in 0..5 {
        bench.pass(20.0);
        bench.answer_wait(json!({"status": "timeout"}));
    }
    bench.done(KEY, "after a long thought");
    bench.answer();
}

#[test]
fn an_end_that_was_lost_is_found_in_the_history() {
    let mut bench = Bench::started(4);
    bench.delta(KEY, "echo:");
    bench.tracker.on_gap(bench.now);
    bench.drain();
    bench.answer_wait(json!({"status": "ok"}));
    bench.answer_history(&[user(TEXT, Some(KEY)), assistant("echo: good morning\n")]);
    assert_eq!(bench.answer().by, Evidence::History);
    assert_eq!(
        bench.told, "echo: good morning",
        "finals have no blank lines at their end"
    );
}

#[test]
fn a_bare_final_of_the_oldest_release_is_a_failure_that_only_history_tells() {
    let mut bench = Bench::started(3);
    bench.lifecycle(KEY, json!({"phase": "start"}));
    bench.lifecycle(KEY, json!({"phase": "end"}));
    bench.bare(KEY);
    bench.answer_history(&[user(TEXT, None), failed("400 fake failure")]);
    assert_eq!(bench.failure().message, "400 fake failure");
}

#[test]
fn a_text_that_was_put_back_is_followed_under_its_new_run() {
    let mut bench = Bench::started(3);
    bench.bare(KEY);
    bench.answer_history(&[]);
    bench.pass(0.15);
    bench.lifecycle("uuid", json!({"phase": "start"}));
    bench.delta("uuid", "echo:");
    assert_eq!((bench.tracker.run_id(), bench.told.as_str()), ("uuid", "echo:"));
    assert!(bench.progress.contains(&RunProgress::HandedOn { to: "uuid".into() }));
    bench.done("uuid", "echo: good morning");
    assert_eq!(bench.ends.len(), 0, "history has to link it first");
    bench.answer_history(&[user(TEXT, None), assistant("echo: good morning")]);
    assert_eq!((bench.answer().run_id.as_str(), bench.answer().joined), ("uuid", false));
}

#[test]
fn a_run_that_only_seemed_to_go_on_with_the_text_is_let_go() {
    let mut bench = Bench::started(3);
    bench.bare(KEY);
    bench.answer_history(&[]);
    bench.delta("stranger", "not for you");
    bench.done("stranger", "not for you");
    for _ in 0..3 {
        bench.answer_history(&[user("other text", None), assistant("not for you")]);
    }
    bench.lifecycle("uuid", json!({"phase": "start"}));
    bench.done("uuid", "echo: good morning");
    bench.answer_history(&[user(TEXT, None), assistant("echo: good morning")]);
    assert_eq!(bench.answer().run_id, "uuid");
}

#[test]
fn a_heartbeat_and_a_run_of_somebody_else_are_never_taken_for_the_answer() {
    let mut bench = Bench::started(4);
    bench.tracker.on_foreign_run("theirs");
    bench.bare(KEY);
    bench.agent(json!({"runId": "beat", "sessionKey": SESSION, "stream": "lifecycle", "isHeartbeat": true, "data": {"phase": "start"}}));
    bench.delta("beat", "tick");
    bench.delta("theirs", "mine");
    assert_eq!((bench.tracker.run_id(), bench.told.as_str()), (KEY, ""));
}

#[test]
fn a_message_that_joined_a_run_gets_that_runs_answer() {
    let mut bench = Bench::new(4);
    bench.actions.clear();
    bench.delta("first", "part 1");
    bench.sent("started");
    bench.bare(KEY);
    let row = with(
        user(TEXT, Some(KEY)),
        json!({"__openclaw": {"steerTargetRunId": "first"}}),
    );
    bench.expect_history();
    bench.history_with(
        &[user("go", Some("first")), row],
        json!({"inFlightRun": {"runId": "first", "text": "part 1"}}),
    );
    bench.done("first", "part 1\n\necho: good morning");
    assert_eq!(bench.answer().run_id, "first");
}

#[test]
fn a_message_that_joined_without_a_word_gets_the_answer_of_the_run_under_way() {
    let mut bench = Bench::new(3);
    bench.actions.clear();
    bench.delta("first", "part 1");
    bench.sent("started");
    bench.pass(1.0);
    bench.done("first", "part 1, part 2");
    bench.bare(KEY);
    while bench.ends.is_empty() {
        bench.answer_history(&[user("go", None), assistant("part 1, part 2"), user(TEXT, None)]);
    }
    assert!(bench.answer().joined);
}

#[test]
fn a_message_that_waits_for_a_run_is_answered_by_the_run_after_it() {
    // In the order seen on 2026.3.13.
    let mut bench = Bench::new(3);
    bench.actions.clear();
    bench.delta("first", "part 1");
    bench.sent("started");
    bench.bare(KEY);
    bench.delta("first", "part 1, part 2");
    bench.answer_history(&[]);
    bench.done("first", "part 1, part 2");
    bench.pass(0.1);
    bench.lifecycle("uuid", json!({"phase": "start"}));
    bench.delta("uuid", "echo:");
    assert_eq!((bench.tracker.run_id(), bench.told.as_str()), ("uuid", "echo:"));
    bench.done("uuid", "echo: good morning");
    let first = [user("go", None), assistant("part 1, part 2")];
    bench.answer_history(&[&first[..], &[user(TEXT, None), assistant("echo: good morning")]].concat());
    assert_eq!((bench.answer().run_id.as_str(), bench.answer().joined), ("uuid", false));
}

#[test]
fn a_session_made_before_its_first_turn_breaks_and_the_failure_says_how_to_repair_it() {
    let mut bench = Bench::started(4);
    let text = format!("Error: reply session initialization conflicted for {SESSION}");
    bench.chat(KEY, "error", json!({"errorMessage": text}));
    assert_eq!(bench.failure().repair, Some(Repair::DeleteSession));
    assert!(bench.failure().advice().next_step.starts_with("Delete the session"));
}

#[test]
fn a_message_taken_for_a_repetition_is_sent_again_under_its_key() {
    let mut bench = Bench::new(4);
    for _ in 0..2 {
        assert_eq!(bench.next_action(), Some(Action::Send));
        let at = bench.now;
        bench.sent_as(json!({"runId": "older", "status": "in_flight"}));
        bench.done("older", "an older answer");
        assert_eq!(bench.ends.len(), 0);
        assert!(bench.tracker.next_deadline().unwrap() >= at + std::time::Duration::from_secs(2));
    }
    assert_eq!(bench.next_action(), Some(Action::Send));
    bench.sent("started");
    bench.done(KEY, "echo: good morning");
    bench.answer();
}

#[test]
fn a_message_taken_for_a_repetition_every_time_is_never_taken_for_done() {
    let mut bench = Bench::new(4);
    while let Some(Action::Send) = bench.next_action() {
        bench.sent_as(json!({"runId": "older", "status": "ok"}));
    }
    assert_eq!(bench.end(), &RunEnd::Unknown(Doubt::TakenForRepetition));
}

#[test]
fn a_run_id_of_the_gateways_own_is_followed() {
    let mut bench = Bench::new(4);
    bench.actions.clear();
    bench.sent_as(json!({"runId": "its-own", "status": "started"}));
    bench.done("its-own", "echo: good morning");
    assert_eq!(bench.answer().run_id, "its-own");
}

#[test]
fn a_key_known_at_the_first_attempt_without_our_text_is_reported_and_not_taken_for_done() {
    let mut bench = Bench::new(3);
    bench.actions.clear();
    bench.sent("ok");
    while bench.ends.is_empty() {
        bench.answer_history(&[user("another text", None), assistant("another answer")]);
    }
    assert_eq!(bench.end(), &RunEnd::Unknown(Doubt::KeyUsedBefore));
}

#[test]
fn a_key_conflict_that_the_gateway_tells_is_a_refusal() {
    let error: GatewayError = serde_json::from_value(json!({
        "code": "INVALID_REQUEST", "message": "used before", "details": {"reason": "chat-request-conflict"},
    }))
    .unwrap();
    let mut bench = Bench::new(4);
    bench.actions.clear();
    bench.refuse(error.clone());
    assert_eq!(bench.end(), &RunEnd::Refused(error));
}

#[test]
fn an_error_that_is_told_as_an_answer_is_a_failure() {
    let mut bench = Bench::started(3);
    bench.done(
        KEY,
        "⚠️ Agent failed before reply: Gateway is draining for restart; new tasks are not accepted.",
    );
    assert_eq!(bench.failure().sign, FailureSign::ToldAsAnswer);
    let mut quoted = Bench::started(3);
    quoted.delta(KEY, "⚠️ Agent");
    quoted.done(KEY, "⚠️ Agent failed before reply: that is what it says.");
    quoted.answer();
}

#[test]
fn an_aborted_run_is_known_by_its_event_and_by_its_row() {
    let mut bench = Bench::started(4);
    bench.delta(KEY, "part 1");
    bench.chat(KEY, "aborted", with(message("part 1"), json!({"stopReason": "rpc"})));
    bench.lifecycle(KEY, json!({"phase": "error", "aborted": true}));
    assert!(matches!(bench.end(), RunEnd::Aborted { reason: Some(why), .. } if why == "rpc"));
    let mut bench = Bench::started(4);
    bench.lifecycle(KEY, json!({"phase": "end", "aborted": true}));
    let row = with(
        assistant("part 1"),
        json!({"openclawAbort": {"aborted": true, "origin": "rpc", "runId": KEY}}),
    );
    bench.answer_history(&[user(TEXT, Some(KEY)), row]);
    assert!(matches!(
        bench.end(),
        RunEnd::Aborted {
            by: Evidence::History,
            ..
        }
    ));
}

#[test]
fn a_session_reset_under_its_run_is_a_loss_where_no_event_tells() {
    let mut bench = Bench::started(3);
    bench.agent(json!({"runId": KEY, "sessionKey": SESSION, "sessionId": "s-0", "stream": "lifecycle", "data": {"phase": "start"}}));
    bench.tracker.on_session_replaced(bench.now);
    bench.drain();
    bench.answer_wait(json!({"status": "ok"}));
    bench.answer_history(&[]);
    assert_eq!(bench.end(), &RunEnd::Lost(Loss::SessionReplaced));
}

#[test]
fn the_same_text_said_before_is_not_taken_for_this_one() {
    let mut bench = Bench::started(3);
    bench.pass(20.0);
    bench.answer_wait(json!({"status": "ok"}));
    bench.answer_history(&[
        user(TEXT, None),
        assistant("old"),
        user(TEXT, None),
        assistant("older still?"),
    ]);
    assert_eq!(bench.ends.len(), 0, "two rows fit, and nothing tells them apart");
    let mut since = config(3);
    since.since_ms = Some(1_000);
    let mut bench = Bench::with(since);
    bench.actions.clear();
    bench.sent("ok");
    let old = with(user(TEXT, None), json!({"timestamp": 999}));
    bench.answer_history(&[old, assistant("old"), user(TEXT, None), assistant("new")]);
    assert_eq!(bench.answer().text, "new");
}

#[test]
fn the_same_text_said_before_is_not_taken_where_ours_was_handed_on_under_a_key_of_its_own() {
    let earlier = [user(TEXT, Some("earlier")), assistant("old")];
    let rows = |mine: &[Value]| [&earlier[..], &[user(TEXT, Some("uuid"))], mine].concat();
    let mut bench = Bench::started(4);
    bench.bare(KEY);
    bench.answer_history(&rows(&[]));
    bench.lifecycle("uuid", json!({"phase": "start"}));
    bench.done("uuid", "new");
    bench.answer_history(&rows(&[assistant("new")]));
    assert_eq!(
        (bench.answer().text.as_str(), bench.answer().run_id.as_str()),
        ("new", "uuid")
    );

    // Its row was not written when it was looked for: then it is let go, and neither answer is known to be ours.
    let mut bench = Bench::started(4);
    bench.bare(KEY);
    bench.answer_history(&[]);
    bench.lifecycle("uuid", json!({"phase": "start"}));
    bench.done("uuid", "new");
    for _ in 0..3 {
        bench.answer_history(&[]);
    }
    while bench.ends.is_empty() {
        bench.answer_history(&rows(&[assistant("new")]));
    }
    assert_eq!(bench.end(), &RunEnd::Unknown(Doubt::EndUnseen));
}

#[test]
fn a_short_key_is_found_under_the_full_one_and_other_sessions_are_not() {
    let mut short = config(4);
    short.session = windlass_protocol::SessionKey::parse("Weird").unwrap();
    let mut bench = Bench::with(short);
    bench.actions.clear();
    bench.sent("started");
    bench.chat_event(json!({"runId": KEY, "sessionKey": "agent:main:weird", "state": "final"}));
    bench.delta("other-run", "from another session");
    bench.done("other-run", "from another session");
    assert_eq!((bench.ends.len(), bench.told.as_str()), (0, ""));
    let event = |state: &str| {
        with(
            message("hi"),
            json!({"runId": "goes-on", "sessionKey": "agent:main:weird", "state": state}),
        )
    };
    bench.chat_event(event("delta"));
    bench.chat_event(event("final"));
    bench.answer_history(&[user(TEXT, None), assistant("hi")]);
    bench.answer();
}

#[test]
fn a_run_is_followed_by_its_id_whichever_session_the_gateway_shows_it_in() {
    let mut bench = Bench::started(4);
    let shown =
        |run: &str, state: &str, more: Value| with(json!({"runId": run, "sessionKey": "global", "state": state}), more);
    bench.chat_event(shown("stranger", "final", message("not ours")));
    bench.chat_event(shown(KEY, "delta", message("echo:")));
    // What it was shown in is ours from here on, other runs in it included.
    bench.chat_event(shown(KEY, "final", json!({})));
    bench.chat_event(shown("goes-on", "delta", message("echo: good")));
    bench.chat_event(shown("goes-on", "final", message("echo: good morning")));
    bench.answer_history(&[user(TEXT, None), assistant("echo: good morning")]);
    assert_eq!(bench.answer().text, "echo: good morning");
}

#[test]
fn a_command_is_an_end_and_is_never_sent_again() {
    for (reply, aborted, run_ids) in [
        (
            json!({"ok": true, "aborted": true, "runIds": ["r-1"]}),
            Some(true),
            vec!["r-1".to_owned()],
        ),
        (
            json!({"ok": true, "aborted": false, "runIds": []}),
            Some(false),
            Vec::new(),
        ),
    ] {
        let mut bench = Bench::new(4);
        assert_eq!(bench.actions.pop_front(), Some(Action::Send));
        bench.sent_as(reply);
        assert_eq!(bench.end(), &RunEnd::Command(CommandDone { aborted, run_ids }));
        bench.pass(10_000.0);
        assert!(
            bench.actions.is_empty() && bench.progress.is_empty(),
            "{:?}",
            bench.progress
        );
    }
}

#[test]
fn the_answer_to_another_call_is_no_command() {
    for other in [json!({"ok": true}), json!({"ok": true, "ts": 1, "channels": {}})] {
        assert!(
            serde_json::from_value::<ChatSendReply>(other.clone()).is_err(),
            "{other}"
        );
    }
}

#[test]
fn an_answer_that_is_not_understood_is_looked_into_and_the_message_is_not_sent_again() {
    let odd = || {
        let mut bench = Bench::new(4);
        assert_eq!(bench.actions.pop_front(), Some(Action::Send));
        bench.tracker.on_sent_oddly(bench.now);
        bench.drain();
        bench
    };
    let mut bench = odd();
    for _ in 0..100 {
        match bench.next_action() {
            Some(Action::AskHistory { .. }) => bench.history(&[]),
            Some(action) => panic!("{action:?}"),
            None => break,
        }
    }
    assert_eq!(bench.end(), &RunEnd::Unknown(Doubt::AnswerNotUnderstood));
    let mut bench = odd();
    bench.expect_history();
    bench.history(&[]);
    bench.done(KEY, "it ran all the same");
    bench.answer();
}

#[test]
fn a_bare_final_of_a_run_that_began_is_an_answer_of_nothing_at_once() {
    for protocol in [3, 4] {
        let mut bench = Bench::started(protocol);
        bench.lifecycle(KEY, json!({"phase": "start"}));
        bench.lifecycle(KEY, json!({"phase": "end"}));
        bench.bare(KEY);
        // The run is named for a moment after its end.
        bench.expect_history();
        bench.history_with(&[user(TEXT, None)], json!({"inFlightRun": {"runId": KEY, "text": ""}}));
        assert_eq!(
            (bench.answer().text.as_str(), bench.answer().run_id.as_str()),
            ("", KEY)
        );
        assert_eq!(bench.now, super::bench::epoch());
    }
}

#[test]
fn a_bare_final_that_says_why_the_model_stopped_is_an_answer_of_nothing_though_the_beginning_was_lost() {
    let mut bench = Bench::started(4);
    bench.chat(KEY, "final", json!({"stopReason": "stop"}));
    bench.answer_history(&[user(TEXT, Some(KEY))]);
    assert_eq!(bench.answer().text, "");
}

#[test]
fn an_end_that_comes_before_the_answer_to_the_send_stands() {
    for protocol in [3, 4] {
        let mut bench = Bench::new(protocol);
        assert_eq!(bench.actions.pop_front(), Some(Action::Send));
        bench.lifecycle(KEY, json!({"phase": "start"}));
        bench.lifecycle(KEY, json!({"phase": "end"}));
        bench.bare(KEY);
        bench.sent("started");
        bench.answer_history(&[user(TEXT, None)]);
        assert_eq!(bench.answer().text, "");
        assert_eq!(bench.now, super::bench::epoch());
    }
}

#[test]
fn a_beginning_that_comes_before_the_answer_to_a_second_send_stands() {
    let mut bench = Bench::new(4);
    assert_eq!(bench.actions.pop_front(), Some(Action::Send));
    bench.cut(Continuity::Restarted);
    bench.answer_history(&[]);
    assert_eq!(bench.next_action(), Some(Action::Send));
    bench.lifecycle(KEY, json!({"phase": "start"}));
    bench.sent("started");
    bench.bare(KEY);
    bench.answer_history(&[user(TEXT, Some(KEY))]);
    assert_eq!(bench.answer().text, "");
}

#[test]
fn what_models_say_to_say_nothing_is_no_answer_where_the_history_shows_it() {
    let mut bench = Bench::started(3);
    bench.lifecycle(KEY, json!({"phase": "start"}));
    bench.bare(KEY);
    bench.answer_history(&[user(TEXT, None), assistant("NO_REPLY")]);
    assert_eq!(bench.answer().text, "");
}

#[test]
fn an_answer_of_nothing_does_not_wait_for_a_row_that_the_gateway_does_not_keep() {
    let mut bench = Bench::started(3);
    bench.lifecycle(KEY, json!({"phase": "start"}));
    bench.bare(KEY);
    for _ in 0..3 {
        bench.answer_history(&[]);
    }
    assert_eq!(bench.answer().text, "");
    assert!(bench.now < super::bench::epoch() + std::time::Duration::from_secs(2));
}

#[test]
fn a_model_that_says_nothing_twice_fails_though_the_gateway_says_aborted_first() {
    let mut bench = Bench::started(4);
    bench.lifecycle(KEY, json!({"phase": "start"}));
    let data =
        json!({"phase": "error", "aborted": false, "error": "no response", "terminalReply": {"disposition": "silent"}});
    bench.lifecycle(KEY, data);
    bench.chat(KEY, "aborted", json!({"stopReason": "stop"}));
    assert_eq!(bench.failure().message, "no response");
    let mut stopped = Bench::started(4);
    stopped.lifecycle(KEY, json!({"phase": "error", "error": "500"}));
    stopped.chat(KEY, "aborted", json!({"stopReason": "rpc"}));
    assert!(matches!(stopped.end(), RunEnd::Aborted { .. }));
}
