//! How a message ended: exit code, words, JSON.

use serde_json::{Value, json};
use windlass::sessions::{MessageInterrupted, RunEnd, SendError};
use windlass_protocol::run::{CommandDone, Doubt};
use windlass_protocol::{Advice, Advise as _, CallError, NotSent, SessionKey};

use crate::exit::{ExitCode, Failure, of_call, of_rejection, with_causes};
use crate::output::{DIM, Output};
use crate::text::escaped;

/// Longest text of a gateway shown, in characters.
const TEXT_LIMIT: usize = 500;

/// Windlass itself stopped, which says nothing of the message.
pub(crate) fn interrupted(error: MessageInterrupted, key: &str) -> Failure {
    let next = format!("Find its answer with the same words and --key {key}.");
    Failure::Told(ExitCode::Unknown, Advice::new(error.to_string(), next))
}

/// Why a message is not on its way.
pub(crate) fn not_sent(error: &SendError) -> Failure {
    let (exit, next) = match error {
        SendError::KeyTaken => (
            ExitCode::Usage,
            "Leave --key away, or give the words that it was used with.",
        ),
        SendError::NotKept(_) => (ExitCode::Usage, "Look at the store."),
        _ => (ExitCode::Unreachable, "Send it again."),
    };
    Failure::Told(exit, Advice::new(with_causes(error), next))
}

/// The gateway has accepted the message, and the program does not wait for the answer.
pub(crate) fn started(session: &SessionKey, key: &str, run_id: &str, output: &Output) -> Result<(), Failure> {
    if output.json() {
        output.value(&json!({"type": "started", "session": session, "key": key, "runId": run_id}))?;
    } else {
        output.line(&format!(
            "sent {DIM}(run {}, key {key}){DIM:#}",
            escaped(run_id, TEXT_LIMIT)
        ))?;
    }
    Ok(())
}

/// The text for an end and the exit code. An answer was shown already.
pub(crate) fn ended(end: &RunEnd, key: &str, output: &Output) -> Result<ExitCode, Failure> {
    let (exit, advice) = match end {
        RunEnd::Final(answer) => {
            for (holds, words) in [
                (answer.text.is_empty(), "the agent ended without a word"),
                (
                    answer.joined,
                    "this answers an earlier message, too: both came while it was under way",
                ),
                (
                    answer.cut,
                    "the answer was longer than is kept; the session's history may have all of it",
                ),
            ] {
                if holds {
                    output.note(words);
                }
            }
            return Ok(ExitCode::Ok);
        }
        RunEnd::Command(done) => {
            output.note(&of_command(done));
            return Ok(ExitCode::Ok);
        }
        RunEnd::Failed(failure) => {
            let advice = failure.advice();
            let said = escaped(&failure.message, TEXT_LIMIT);
            let summary = format!("{} {said}", advice.summary);
            (
                ExitCode::Rejected,
                Advice::new(summary.trim().to_owned(), advice.next_step),
            )
        }
        RunEnd::Aborted { reason, .. } => {
            let reason = reason
                .as_ref()
                .map(|reason| format!(" ({})", escaped(reason, TEXT_LIMIT)));
            let summary = format!("The run was stopped{}.", reason.unwrap_or_default());
            (ExitCode::Rejected, Advice::new(summary, ""))
        }
        RunEnd::Refused(error) => (of_rejection(error), error.advice()),
        RunEnd::NotSent(why) => of_not_sent(why),
        RunEnd::Lost(loss) => (
            ExitCode::Unknown,
            Advice::new(
                format!("Lost: {loss}."),
                "Look at what it did before you send it again: it may have run half-way.",
            ),
        ),
        RunEnd::Unknown(doubt) => of_doubt(*doubt, key),
        other => (
            ExitCode::Unknown,
            Advice::new(format!("{other:?}"), "Look at the session's history."),
        ),
    };
    Err(Failure::Told(exit, advice))
}

/// The effect of a command such as `stop`.
fn of_command(done: &CommandDone) -> String {
    let stopped = match (done.aborted, &*done.run_ids) {
        (Some(false), _) => "nothing ran in the session".to_owned(),
        (_, []) => "done".to_owned(),
        (_, runs) => {
            let runs: Vec<String> = runs.iter().map(|run| escaped(run, TEXT_LIMIT)).collect();
            format!("stopped {}", runs.join(", "))
        }
    };
    format!("the gateway took this as a command: {stopped}")
}

fn of_not_sent(why: &NotSent) -> (ExitCode, Advice) {
    let error = CallError::from(why.clone());
    let exit = of_call(&error).unwrap_or(ExitCode::Unreachable);
    let summary = format!("The message was not sent: {why}.");
    (
        exit,
        Advice::new(summary, "Look at the line: windlass status. Then send it again."),
    )
}

fn of_doubt(doubt: Doubt, key: &str) -> (ExitCode, Advice) {
    let next = match doubt {
        Doubt::TimedOut => format!("Wait on with the same words and --key {key}, or give a longer --timeout."),
        Doubt::KeyUsedBefore | Doubt::TakenForRepetition => "Send it again without --key.".to_owned(),
        _ => "Look at the session's history before you send it again.".to_owned(),
    };
    (
        ExitCode::Unknown,
        Advice::new(format!("The outcome is unknown: {doubt}."), next),
    )
}

/// The last JSON line of a turn.
pub(crate) fn as_json(end: &RunEnd) -> Value {
    let mut value = match end {
        RunEnd::Final(answer) => json!({
            "outcome": "final",
            "text": answer.text,
            "runId": answer.run_id,
            "joined": answer.joined,
            "cut": answer.cut,
        }),
        RunEnd::Command(done) => json!({
            "outcome": "command",
            "aborted": done.aborted,
            "runIds": done.run_ids,
        }),
        RunEnd::Failed(failure) => json!({
            "outcome": "failed",
            "error": failure.message,
            "runId": failure.run_id,
        }),
        RunEnd::Aborted {
            run_id, reason, text, ..
        } => json!({"outcome": "aborted", "runId": run_id, "reason": reason, "text": text}),
        RunEnd::Refused(error) => json!({"outcome": "refused", "error": error}),
        RunEnd::NotSent(why) => json!({"outcome": "not-sent", "error": why.to_string()}),
        RunEnd::Lost(loss) => json!({"outcome": "lost", "error": loss.to_string()}),
        RunEnd::Unknown(doubt) => json!({"outcome": "unknown", "error": doubt.to_string()}),
        _ => json!({"outcome": "other"}),
    };
    value["type"] = json!("end");
    value
}

#[cfg(test)]
mod tests {
    use windlass_protocol::run::{Evidence, FailureSign, Loss, RunAnswer, RunFailure};

    use super::*;

    fn exit_of(end: &RunEnd) -> ExitCode {
        match ended(end, "k", &Output::new(true)) {
            Ok(exit) | Err(Failure::Told(exit, _)) => exit,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_end_has_the_exit_code_that_says_what_to_do() {
        let answer = RunAnswer {
            text: "yes".into(),
            run_id: "r".into(),
            joined: false,
            cut: false,
            by: Evidence::Event,
        };
        let failure = RunFailure {
            message: "HTTP 400".into(),
            run_id: "r".into(),
            sign: FailureSign::Event,
            repair: None,
        };
        let aborted = RunEnd::Aborted {
            run_id: "r".into(),
            reason: Some("rpc".into()),
            text: None,
            by: Evidence::Event,
        };
        for (end, exit) in [
            (RunEnd::Final(answer), ExitCode::Ok),
            (RunEnd::Failed(failure), ExitCode::Rejected),
            (aborted, ExitCode::Rejected),
            (RunEnd::Lost(Loss::WithProcess), ExitCode::Unknown),
            (RunEnd::Unknown(Doubt::TimedOut), ExitCode::Unknown),
            (RunEnd::NotSent(NotSent::Closed), ExitCode::Unreachable),
            (
                RunEnd::NotSent(NotSent::TooLarge { size: 2, limit: 1 }),
                ExitCode::Usage,
            ),
        ] {
            assert_eq!(exit_of(&end), exit, "{end:?}");
            assert_eq!(as_json(&end)["type"], "end");
        }
    }

    #[test]
    fn what_a_gateway_says_of_a_failure_steers_no_terminal() {
        let end = RunEnd::Failed(RunFailure {
            message: "\u{1b}[2J".into(),
            run_id: "r".into(),
            sign: FailureSign::Event,
            repair: None,
        });
        match ended(&end, "k", &Output::new(false)) {
            Err(Failure::Told(_, advice)) => assert!(!advice.summary.contains('\u{1b}'), "{advice}"),
            other => panic!("{other:?}"),
        }
    }
}
