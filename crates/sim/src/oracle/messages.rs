//! Messages were run once, and ended as they should.

use windlass::sessions::{ResendAfterLoss, RunEnd};

use super::{ExecutedWork, Promise, Verdict};
use crate::cast::{Ended, MessageRecord};
use crate::world::{HiddenData, MessageText};

/// Judges the messages of one site.
pub(crate) fn messages(
    verdict: &mut Verdict,
    site: &str,
    said: &[MessageRecord],
    executed: &ExecutedWork,
    (hides, calm): (HiddenData, bool),
) {
    if hides == HiddenData::Contents {
        return;
    }
    for message in said {
        let Some(key) = &message.key else { continue };
        let (begun, ended) = (executed.begun(key), executed.ended(key));
        // By default, a message is sent again if a gateway accepted it and died before it answered or recorded anything. The
        // run that was cut short does not count.
        let times = match message.message_plan.resend {
            ResendAfterLoss::Never => executed.ran_at_once(key),
            _ => ended,
        };
        // A run that a reset or a deletion of its session cut short has no answer either.
        let excused = executed.indistinct || executed.is_meddled(&message.message_plan.session);
        verdict.holds(Promise::NothingTwice, times <= 1 || excused, || {
            format!("{site}: message {key} was run {times} times")
        });
        if calm {
            in_the_calm(verdict, site, message, executed);
        }
        if let Ended::Run(end) = &message.end {
            let ran = begun > 0 || executed.was_run(&message.message_plan.text);
            right(verdict, site, message, end, (begun, ran));
        }
    }
}

/// Without faults, a message ends as expected, and a command is sent once.
fn in_the_calm(verdict: &mut Verdict, site: &str, message: &MessageRecord, executed: &ExecutedWork) {
    let key = message.key.as_deref().unwrap_or_default();
    let Ended::Run(end) = &message.end else { return };
    let fits = match message.message_plan.words {
        MessageText::Stop => matches!(end, RunEnd::Command(_)) && executed.commands(key) == 1,
        // A message that joined another run may end with the answer of that run.
        MessageText::Quiet => matches!(end, RunEnd::Final(_) | RunEnd::Failed(_) | RunEnd::Aborted { .. }),
        MessageText::Say => true,
    };
    verdict.holds(Promise::MessagesEnd, fits, || {
        format!(
            "{site}: message {key} {:?} in {:?} was carried out {} times and ended so in the calm: {end:?}",
            message.message_plan.text,
            message.message_plan.spelled,
            executed.commands(key)
        )
    });
}

fn right(verdict: &mut Verdict, site: &str, message: &MessageRecord, end: &RunEnd, (begun, ran): (u64, bool)) {
    let key = message.key.as_deref().unwrap_or_default();
    match end {
        RunEnd::Final(answer) => {
            verdict.holds(Promise::MessagesEnd, ran, || {
                format!("{site}: message {key} is called answered, and was never run: {answer:?}")
            });
            // A turn that a restart interrupted goes on behind a notice of the gateway's own.
            let quiet = message.message_plan.words == MessageText::Quiet && answer.text.is_empty();
            let echo = quiet || answer.text.starts_with("echo: ") && answer.text.ends_with(&message.message_plan.text);
            verdict.holds(Promise::MessagesEnd, answer.joined || echo, || {
                format!(
                    "{site}: message {key} {:?} has another one's answer: {answer:?}",
                    message.message_plan.text
                )
            });
        }
        RunEnd::Command(_) => verdict.holds(
            Promise::MessagesEnd,
            message.message_plan.words == MessageText::Stop && begun == 0,
            || {
                format!(
                    "{site}: message {key} {:?} is called a command",
                    message.message_plan.text
                )
            },
        ),
        // Others may have said the same.
        RunEnd::NotSent(why) => verdict.holds(Promise::MessagesEnd, begun == 0, || {
            format!("{site}: message {key} is called not sent ({why}), and was run")
        }),
        _ => {}
    }
}
