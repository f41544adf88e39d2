//! Cuts, restarts, refusals: what history decides.

use std::time::Duration;

use serde_json::{Value, json};
use windlass_protocol::connection::Continuity;
use windlass_protocol::run::{Action, Doubt, Loss, ResendAfterLoss, RunEnd, RunProgress, SentBefore};
use windlass_protocol::{
    CallError, GatewayError, Generation, MethodName, NotSent, OutcomeUnknown, Rejected, TimedOut, UnknownReason,
};

use super::bench::{Bench, KEY, SESSION, TEXT, assistant, config, user, with};

fn method() -> MethodName {
    MethodName::new("chat.send").unwrap()
}

impl Bench {
    pub(super) fn refuse(&mut self, error: GatewayError) {
        let error = CallError::Rejected(Box::new(Rejected {
            method: method(),
            error,
        }));
        self.send_failed(&error);
    }

    fn send_failed(&mut self, error: &CallError) {
        self.tracker.on_send_failed(error, self.now);
        self.drain();
    }
}

fn draining() -> GatewayError {
    serde_json::from_value(json!({
        "code": "UNAVAILABLE", "message": "", "retryable": true, "retryAfterMs": 1000,
        "details": {"reason": "gateway-restarting"},
    }))
    .unwrap()
}

#[test]
fn a_run_that_a_cut_hid_goes_on_with_its_text_and_no_double() {
    let mut bench = Bench::started(4);
    bench.delta(KEY, "part 1");
    bench.cut(Continuity::Same);
    bench.delta(KEY, "part 1, part 2, part 3");
    bench.done(KEY, "part 1, part 2, part 3.");
    assert_eq!(bench.answer().text, "part 1, part 2, part 3.");
}

#[test]
fn a_run_that_ended_during_a_cut_is_found_in_the_history() {
    for life in [Continuity::Same, Continuity::Unknown, Continuity::Restarted] {
        let mut bench = Bench::started(3);
        bench.delta(KEY, "echo:");
        bench.cut(life);
        if life != Continuity::Restarted {
            bench.answer_wait(json!({"status": "ok"}));
        }
        bench.answer_history(&[user(TEXT, None), assistant("echo: good morning")]);
        bench.answer();
    }
}

#[test]
fn an_unanswered_send_is_sent_again_in_the_same_process() {
    let mut bench = Bench::new(4);
    bench.actions.clear();
    bench.cut(Continuity::Same);
    bench.answer_history(&[]);
    assert_eq!(bench.next_action(), Some(Action::Send));
    bench.sent("in_flight");
    bench.done(KEY, "echo: good morning");
    bench.answer();
}

#[test]
fn after_a_restart_a_row_at_once_that_is_absent_was_never_run() {
    let mut bench = Bench::started(4);
    bench.cut(Continuity::Restarted);
    bench.answer_history(&[]);
    assert_eq!(bench.next_action(), Some(Action::Send));
    bench.sent("started");
    bench.done(KEY, "echo: good morning");
    bench.answer();
}

#[test]
fn a_turn_resumed_under_another_run_is_followed_and_only_what_is_new_is_told() {
    let mut bench = Bench::started(4);
    bench.delta(KEY, "part 1 of 2.");
    bench.cut(Continuity::Restarted);
    bench.answer_history(&[user(TEXT, Some(KEY))]);
    bench.expect_history();
    let notice = with(
        user(
            "[System] Your previous turn was interrupted by a gateway restart",
            Some("new-run"),
        ),
        json!({"provenance": {"kind": "internal_system", "sourceTool": "main_session_restart_recovery"}}),
    );
    bench.history_with(
        &[user(TEXT, Some(KEY)), notice],
        json!({"inFlightRun": {"runId": "new-run", "text": "part 1"}}),
    );
    assert_eq!(
        bench.progress.last(),
        Some(&RunProgress::HandedOn { to: "new-run".into() })
    );
    bench.delta("new-run", "part 1 of 2. part 2 of 2.");
    assert_eq!(
        bench.progress.last(),
        Some(&RunProgress::Increment(" part 2 of 2.".into()))
    );
    bench.done("new-run", "part 1 of 2. part 2 of 2.");
    assert_eq!(bench.answer().run_id, "new-run");
}

#[test]
fn a_turn_whose_row_was_replaced_by_the_notice_is_not_sent_again_and_is_found_by_the_notice() {
    let notice = |text: &str| with(user(text, None), json!({"timestamp": 2_000}));
    let system = "[System] Your previous turn was interrupted by a gateway restart while OpenClaw was waiting.";
    let merged =
        format!("[Queued user message that arrived while the previous turn was still active]\n{TEXT}\n\n{system}");
    for replaced in [notice(system), notice(&merged)] {
        let mut bench = Bench::started(4);
        bench.delta(KEY, "part 1");
        let old = [notice(system), assistant("an older answer")];
        let earlier = |rows: &[Value]| [&[with(old[0].clone(), json!({"timestamp": 500}))], &old[1..], rows].concat();
        bench.cut(Continuity::Restarted);
        bench.answer_history(&earlier(&[user(TEXT, Some(KEY))]));
        bench.answer_history(&earlier(&[]));
        bench.lifecycle("new-run", json!({"phase": "start"}));
        bench.delta("new-run", "part 1, part 2");
        bench.lifecycle("new-run", json!({"phase": "end"}));
        bench.answer_history(&earlier(&[replaced, assistant("part 1, part 2")]));
        assert_eq!(bench.answer().run_id, "new-run");
        assert!(!bench.actions.contains(&Action::Send));
    }
}

#[test]
fn a_turn_whose_row_was_replaced_before_anybody_looked_is_found_by_its_text_in_the_notice() {
    let system = "[System] Your previous turn was interrupted.";
    for replaced in [format!("{system} {TEXT}"), format!("[stamp] {TEXT}\n\n{system}")] {
        let mut bench = Bench::started(3);
        bench.lifecycle(KEY, json!({"phase": "start"}));
        bench.cut(Continuity::Restarted);
        let running = json!({"inFlightRun": {"runId": "new-run", "text": ""}});
        for _ in 0..4 {
            bench.history_with(&[], running.clone());
            assert_eq!(bench.ends.len(), 0, "what goes on may be ours");
        }
        bench.answer_history(&[user(&replaced, Some("new-run")), assistant("an answer")]);
        assert_eq!(
            (bench.answer().text.as_str(), bench.answer().joined),
            ("an answer", false)
        );
    }
    // It is known from then on: when the line breaks while it goes on, it is not sent again.
    let mut bench = Bench::started(4);
    bench.cut(Continuity::Restarted);
    let turn = [user(&format!("{system} {TEXT}"), Some("new-run"))];
    bench.history_with(&turn, json!({"inFlightRun": {"runId": "new-run", "text": ""}}));
    bench.cut(Continuity::Same);
    bench.answer_wait(json!({"status": "ok", "runId": "new-run"}));
    bench.answer_history(&[&turn[..], &[assistant("an answer")]].concat());
    assert_eq!(bench.answer().run_id, "new-run");
    assert!(!bench.actions.contains(&Action::Send));
    // Of two, or of one that says something else, nothing is known.
    for replaced in [
        vec![format!("{system} {TEXT}"), format!("{system} {TEXT}")],
        vec![format!("{system} something else")],
    ] {
        let mut bench = Bench::started(3);
        bench.lifecycle(KEY, json!({"phase": "start"}));
        bench.cut(Continuity::Restarted);
        let turn = |text: &String| [user(text, Some("new-run")), assistant("an answer")];
        let rows: Vec<_> = replaced.iter().flat_map(turn).collect();
        for _ in 0..2 {
            bench.answer_history(&rows);
        }
        assert_eq!(bench.end(), &RunEnd::Lost(Loss::WithProcess));
    }
}

#[test]
fn a_run_that_was_heard_and_left_no_row_died_with_its_process() {
    let mut bench = Bench::started(4);
    bench.lifecycle(KEY, json!({"phase": "start"}));
    bench.cut(Continuity::Restarted);
    bench.answer_history(&[]);
    bench.answer_history(&[]);
    assert_eq!(bench.end(), &RunEnd::Lost(Loss::WithProcess));
}

#[test]
fn a_turn_resumed_before_history_was_asked_is_found_by_its_events() {
    let mut bench = Bench::started(4);
    bench.cut(Continuity::Restarted);
    bench.delta("new-run", "part 1");
    bench.answer_history(&[user(TEXT, Some(KEY))]);
    assert_eq!(bench.tracker.run_id(), "new-run");
    bench.done("new-run", "part 1, part 2");
    bench.answer_history(&[user(TEXT, Some(KEY)), assistant("part 1, part 2")]);
    bench.answer();
}

#[test]
fn a_run_that_was_joined_and_died_with_its_process_is_not_waited_for() {
    let mut bench = Bench::started(4);
    bench.bare(KEY);
    let row = with(
        user(TEXT, Some(KEY)),
        json!({"__openclaw": {"steerTargetRunId": "first"}}),
    );
    bench.answer_history(std::slice::from_ref(&row));
    assert_eq!(bench.tracker.run_id(), "first");
    bench.cut(Continuity::Restarted);
    let since = bench.now;
    while bench.ends.is_empty() {
        bench.answer_history(std::slice::from_ref(&row));
    }
    assert_eq!(bench.end(), &RunEnd::Lost(Loss::NotResumed));
    assert!((bench.now - since).as_secs() < 60);
}

#[test]
fn a_turn_that_nothing_goes_on_with_is_lost_after_the_grace() {
    let mut bench = Bench::started(4);
    bench.cut(Continuity::Restarted);
    let since = bench.now;
    while bench.ends.is_empty() {
        bench.answer_history(&[user(TEXT, Some(KEY))]);
    }
    assert_eq!(bench.end(), &RunEnd::Lost(Loss::NotResumed));
    let took = bench.now - since;
    assert!((45..60).contains(&took.as_secs()), "{took:?}");
}

#[test]
fn what_died_with_its_process_is_lost_or_sent_again_as_the_caller_wants() {
    for (resend, answered, again) in [
        (ResendAfterLoss::Never, false, false),
        (ResendAfterLoss::IfUnanswered, true, false),
        (ResendAfterLoss::IfUnanswered, false, true),
        (ResendAfterLoss::Always, true, true),
    ] {
        let mut wanted = config(3);
        wanted.resend = resend;
        let mut bench = Bench::with(wanted);
        bench.actions.clear();
        if answered {
            bench.sent("started");
        }
        bench.cut(Continuity::Restarted);
        bench.answer_history(&[]);
        bench.answer_history(&[]);
        if again {
            assert_eq!(bench.next_action(), Some(Action::Send), "{resend:?}");
        } else {
            assert_eq!(bench.end(), &RunEnd::Lost(Loss::WithProcess), "{resend:?}");
        }
    }
}

#[test]
fn a_message_whose_session_was_reset_before_the_restart_is_not_run_in_the_one_that_took_its_place() {
    for protocol in [3, 4] {
        let mut bench = Bench::started(protocol);
        bench.tracker.on_session_replaced(bench.now);
        bench.drain();
        bench.actions.clear();
        bench.cut(Continuity::Restarted);
        bench.answer_history(&[]);
        assert_eq!(
            bench.end(),
            &RunEnd::Lost(Loss::SessionReplaced),
            "generation {protocol}"
        );
    }
}

#[test]
fn a_message_that_was_taken_is_never_said_to_be_unsent_though_its_second_attempt_was_not() {
    let mut wanted = config(3);
    wanted.resend = ResendAfterLoss::Always;
    let mut bench = Bench::with(wanted);
    bench.actions.clear();
    bench.sent("started");
    bench.cut(Continuity::Restarted);
    bench.answer_history(&[]);
    bench.answer_history(&[]);
    assert_eq!(bench.next_action(), Some(Action::Send));
    let patience = Duration::from_secs(30);
    bench.send_failed(&CallError::NotSent(NotSent::NotReady { waited: patience }));
    assert!(bench.ends.is_empty(), "{:?}", bench.ends);
    bench.answer_history(&[user(TEXT, None), assistant("echo: good morning")]);
    bench.answer();
}

/// A gateway of generation 3 that took the message, then a cut after which neither its uptime, nor `agent.wait`, nor the
/// history tells anything.
fn taken_then_silent(resend: ResendAfterLoss) -> Bench {
    let mut config = config(3);
    config.resend = resend;
    let mut bench = Bench::with(config);
    bench.actions.clear();
    bench.sent("started");
    bench.cut(Continuity::Unknown);
    bench.answer_wait(json!({"status": "timeout"}));
    bench.answer_history(&[]);
    bench
}

#[test]
fn a_message_that_was_taken_is_not_sent_again_to_a_gateway_that_may_have_restarted() {
    for resend in [ResendAfterLoss::Never, ResendAfterLoss::IfUnanswered] {
        let mut bench = taken_then_silent(resend);
        let asked = bench.next_action().unwrap();
        assert!(matches!(asked, Action::AskWait { .. }), "{asked:?}");
        bench.actions.push_front(asked);
        bench.pass(301.0);
        bench.answer_wait(json!({"status": "timeout"}));
        bench.answer_history(&[]);
        assert_eq!(bench.end(), &RunEnd::Unknown(Doubt::KeyForgotten));
        assert!(!bench.actions.contains(&Action::Send));
    }
}

#[test]
fn its_answer_is_taken_while_it_is_waited_for() {
    let mut bench = taken_then_silent(ResendAfterLoss::IfUnanswered);
    bench.done(KEY, "echo: good morning");
    bench.answer();
    assert!(!bench.actions.contains(&Action::Send));
}

#[test]
fn who_allows_a_second_run_has_the_message_sent_again_to_a_gateway_that_may_have_restarted() {
    let mut bench = taken_then_silent(ResendAfterLoss::Always);
    assert_eq!(bench.next_action(), Some(Action::Send));
    bench.sent("in_flight");
    bench.done(KEY, "echo: good morning");
    bench.answer();
}

#[test]
fn a_message_of_which_nothing_was_heard_is_sent_again_to_a_gateway_that_may_have_restarted() {
    for (resend, again) in [(ResendAfterLoss::IfUnanswered, true), (ResendAfterLoss::Never, false)] {
        let mut config = config(3);
        config.resend = resend;
        let mut bench = Bench::with(config);
        bench.cut(Continuity::Unknown);
        bench.answer_history(&[]);
        assert_eq!(bench.next_action() == Some(Action::Send), again, "{resend:?}");
    }
}

#[test]
fn events_of_the_run_prove_that_its_process_lives() {
    let mut bench = Bench::started(3);
    bench.cut(Continuity::Unknown);
    bench.delta(KEY, "still here");
    bench.answer_wait(json!({"status": "timeout"}));
    bench.done(KEY, "still here.");
    bench.answer();
    assert!(!bench.actions.contains(&Action::Send));
}

#[test]
fn a_key_that_may_be_forgotten_is_not_sent_again_where_history_can_not_tell() {
    let mut bench = Bench::started(3);
    bench.tracker.on_line_down(bench.now);
    bench.pass(301.0);
    bench.tracker.on_line_up(Continuity::Unknown, bench.now);
    bench.answer_wait(json!({"status": "timeout"}));
    bench.answer_history(&[]);
    assert_eq!(bench.end(), &RunEnd::Unknown(Doubt::KeyForgotten));
}

#[test]
fn a_refusal_of_a_gateway_that_drains_is_waited_out() {
    let mut bench = Bench::new(4);
    bench.actions.clear();
    bench.refuse(draining());
    assert_eq!(bench.next_action(), Some(Action::Send));
    bench.sent("started");
    bench.done(KEY, "echo: good morning");
    bench.answer();
}

#[test]
fn a_refusal_of_an_attempt_after_one_that_may_have_been_taken_is_not_the_end() {
    let mut bench = Bench::new(4);
    bench.actions.clear();
    bench.send_failed(
        &TimedOut {
            method: method(),
            after: Duration::from_secs(30),
        }
        .into(),
    );
    bench.answer_history(&[]);
    assert_eq!(bench.next_action(), Some(Action::Send));
    bench.refuse(draining());
    assert_eq!(bench.ends.len(), 0);
    bench.done(KEY, "it ran all the time");
    bench.answer();
}

#[test]
fn what_never_left_is_not_sent() {
    let mut bench = Bench::new(4);
    bench.send_failed(&NotSent::WouldWait.into());
    assert_eq!(bench.end(), &RunEnd::NotSent(NotSent::WouldWait));
}

#[test]
fn an_unknown_outcome_after_a_restart_is_decided_by_history() {
    let mut bench = Bench::new(4);
    bench.actions.clear();
    let error = OutcomeUnknown {
        method: method(),
        generation: Generation::new(1),
        why: UnknownReason::GatewayRestarted,
    };
    bench.send_failed(&error.into());
    bench.expect_history();
    bench.history_with(
        &[],
        json!({"pendingInputs": {"items": [{"id": "i", "runId": KEY, "message": {}, "state": "queued"}], "total": 1}}),
    );
    bench.answer_history(&[user(TEXT, Some(KEY)), assistant("echo: good morning")]);
    bench.answer();
}

#[test]
fn a_send_of_an_earlier_process_is_looked_for_before_it_is_sent() {
    let mut earlier = config(4);
    earlier.sent_before = true;
    let mut bench = Bench::with(earlier.clone());
    bench.answer_history(&[user(TEXT, Some(KEY)), assistant("echo: good morning")]);
    bench.answer();
    let mut bench = Bench::with(earlier);
    bench.answer_history(&[]);
    assert_eq!(bench.next_action(), Some(Action::Send));
    let mut old = config(3);
    (old.sent_before, old.earlier) = (true, SentBefore::default());
    let mut bench = Bench::with(old);
    bench.answer_history(&[]);
    assert_eq!(bench.end(), &RunEnd::Unknown(Doubt::KeyForgotten));
}

#[test]
fn silence_comes_to_an_end_too() {
    let mut bench = Bench::started(4);
    while bench.next_action().is_some() {
        // Nobody answers anything.
    }
    assert_eq!(bench.end(), &RunEnd::Unknown(Doubt::TimedOut));
    let mut bench = Bench::new(4);
    bench.tracker.on_line_down(bench.now);
    bench.pass(901.0);
    assert_eq!(
        bench.end(),
        &RunEnd::Unknown(Doubt::TimedOut),
        "it may have left just before"
    );
}

#[test]
fn an_answer_to_another_question_does_not_disturb() {
    let mut bench = Bench::started(4);
    bench.history(&[user(TEXT, Some(KEY))]);
    bench.tracker.on_wait(
        &serde_json::from_value(json!({"runId": "other", "status": "ok"})).unwrap(),
        bench.now,
    );
    bench.agent(
        json!({"runId": KEY, "sessionKey": "agent:main:other", "stream": "lifecycle", "data": {"phase": "error"}}),
    );
    bench.agent(json!({"runId": KEY, "sessionKey": SESSION, "stream": "usage", "data": {"outputTokens": 1}}));
    bench.done(KEY, "echo: good morning");
    bench.answer();
}
