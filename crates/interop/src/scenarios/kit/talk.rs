//! Messages that Windlass follows to their end, and their texts in the gateway's history.

use std::time::Duration;

use serde_json::{Value, json};
use windlass::{
    protocol::run::RunAnswer,
    sessions::{MessageHandle, RunEnd, RunProgress},
};

use super::{Bench, wake::text};
use crate::scenario::{Failure, check, check_eq};

/// The progress of a run.
#[derive(Debug, Default)]
pub(in super::super) struct Told {
    /// All increments put together.
    pub(in super::super) text: String,
    /// How many there were.
    pub(in super::super) increments: usize,
    /// The number of times that the text was replaced.
    pub(in super::super) replaced: usize,
    /// How often text was missing.
    pub(in super::super) holes: usize,
}

impl Told {
    /// Takes the next progress.
    fn take(&mut self, progress: RunProgress) {
        match progress {
            RunProgress::Increment(more) => {
                self.text.push_str(&more);
                self.increments += 1;
            }
            RunProgress::Replaced(text) => {
                self.text = text;
                self.replaced += 1;
            }
            RunProgress::Hole => self.holes += 1,
            RunProgress::Started { .. } | RunProgress::HandedOn { .. } => {}
        }
    }

    /// Takes all that is told until `enough` says so; false when the run was over before.
    pub(in super::super) async fn until(
        &mut self,
        following: &mut MessageHandle,
        within: Duration,
        enough: impl Fn(&Self) -> bool,
    ) -> Result<bool, Failure> {
        let read = async {
            while !enough(self) {
                match following.next().await {
                    Some(progress) => self.take(progress),
                    None => return false,
                }
            }
            true
        };
        tokio::time::timeout(within, read).await.map_err(|_| {
            let within = within.as_secs();
            Failure::new(format!("no news of a run for {within} s"))
        })
    }
}

/// The end of a message.
pub(in super::super) async fn end_of(following: MessageHandle, within: Duration) -> Result<RunEnd, Failure> {
    let end = tokio::time::timeout(within, following.end()).await;
    let end = end.map_err(|_| Failure::new(format!("a message had no end within {} s", within.as_secs())))?;
    Ok(end?)
}

/// Says something and waits for its end.
pub(in super::super) async fn say(
    bench: &Bench,
    session: &str,
    words: &str,
    within: Duration,
) -> Result<RunEnd, Failure> {
    let message = bench.gateway.message(session.parse()?, words);
    end_of(bench.gateway.send(message).await?, within).await
}

/// The answer, if the end is an answer, and it is `expected`. Gateways cut blanks from the end of a model's text.
pub(in super::super) fn answered(what: &str, end: RunEnd, expected: &str) -> Result<RunAnswer, Failure> {
    let RunEnd::Final(answer) = end else {
        return Err(Failure::new(format!("{what} ended without an answer: {end:?}")));
    };
    check_eq(what, &answer.text.trim_end(), &expected.trim_end())?;
    check(!answer.joined && !answer.cut, || {
        format!("{what} is somebody else's answer, or cut: {answer:?}")
    })?;
    Ok(answer)
}

/// The answer of the model to `SLOW:<count>`.
pub(in super::super) fn slow_answer(count: usize) -> String {
    let parts: Vec<_> = (1..=count).map(|part| format!("part {part} of {count}. ")).collect();
    parts.concat()
}

/// The texts of users in a session, from its history, oldest first.
pub(in super::super) async fn said_in(bench: &Bench, session: &str) -> Result<Vec<String>, Failure> {
    bench.started().await?;
    let history = bench
        .ask("chat.history", json!({"sessionKey": session, "limit": 1000}))
        .await?;
    let rows = history["messages"].as_array().cloned().unwrap_or_default();
    Ok(rows.iter().filter(|row| row["role"] == "user").map(said).collect())
}

fn said(row: &Value) -> String {
    text(row).trim().to_owned()
}
