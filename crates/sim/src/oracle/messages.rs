//! Messages were run once, and ended as they should.

use windlass::sessions::RunEnd;

use super::{Deeds, Promise, Verdict};
use crate::cast::{Ended, Said};
use crate::world::Hides;

/// Judges the messages of one site.
pub(crate) fn messages(verdict: &mut Verdict, site: &str, said: &[Said], deeds: &Deeds, hides: Hides) {
    if hides == Hides::Contents {
        return;
    }
    for message in said {
        let Some(key) = &message.key else { continue };
        let times = deeds.runs_of(key);
        verdict.holds(Promise::NothingTwice, times <= 1 || deeds.indistinct, || {
            format!("{site}: message {key} was run {times} times")
        });
        if let Ended::Run(end) = &message.end {
            right(verdict, site, message, end, times);
        }
    }
}

fn right(verdict: &mut Verdict, site: &str, message: &Said, end: &RunEnd, times: u64) {
    let key = message.key.as_deref().unwrap_or_default();
    match end {
        RunEnd::Final(answer) => {
            verdict.holds(Promise::MessagesEnd, times >= 1, || {
                format!("{site}: message {key} is called answered, and was never run: {answer:?}")
            });
            let echo = format!("echo: {}", message.speech.text);
            verdict.holds(Promise::MessagesEnd, answer.joined || answer.text == echo, || {
                format!("{site}: message {key} has another one's answer: {answer:?}")
            });
        }
        RunEnd::NotSent(why) => verdict.holds(Promise::MessagesEnd, times == 0, || {
            format!("{site}: message {key} is called not sent ({why}), and was run")
        }),
        _ => {}
    }
}
