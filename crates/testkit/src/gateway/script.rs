//! Answers that a test prescribes, per method.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::freeze::{Freezer, Frozen, Stop};
use super::wire::WireError;

/// What happens to a request instead of, or on top of, the ordinary handling.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    /// Not executed.
    Reply(Value),
    Fail(WireError),
    BigAnswer(usize),
    InvalidId,
    RawText(String),
    DropBeforeExecution,
    /// Executed first.
    Delay(Duration),
    NeverAnswer,
    FailAfter(WireError),
    Hold,
    CloseAfter(u16, String),
    DropBeforeAnswer,
    UnknownId,
    Duplicate,
}

#[derive(Debug)]
struct Entry {
    rule: Rule,
    /// `None`: for good.
    left: Option<u32>,
}

/// The rules of one gateway.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    by_method: Mutex<HashMap<String, VecDeque<Entry>>>,
    /// Bumped by [`Script::release`]; held answers wait for the number they saw to change.
    releases: Mutex<HashMap<String, Arc<watch::Sender<u64>>>>,
    pub(crate) freezer: Freezer,
}

impl Rules {
    /// The rule for this request, used up if it is counted.
    pub(crate) fn take(&self, method: &str) -> Option<Rule> {
        let mut by_method = lock(&self.by_method);
        let queue = by_method.get_mut(method)?;
        let entry = queue.front_mut()?;
        let rule = entry.rule.clone();
        if let Some(left) = &mut entry.left {
            *left -= 1;
            if *left == 0 {
                queue.pop_front();
            }
        }
        Some(rule)
    }

    /// Held answers of `method` wait for a change of this.
    pub(crate) fn gate(&self, method: &str) -> watch::Receiver<u64> {
        self.sender(method).subscribe()
    }

    fn sender(&self, method: &str) -> Arc<watch::Sender<u64>> {
        Arc::clone(
            lock(&self.releases)
                .entry(method.to_owned())
                .or_insert_with(|| Arc::new(watch::Sender::new(0))),
        )
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prescribes answers; got from [`SimGateway::script`](crate::SimGateway::script).
///
/// A rule holds for every request of its method until [`clear`](Self::clear), or for a number of them after
/// [`once`](Self::once) or [`times`](Self::times). Rules of one method queue up: the next begins when a counted
/// one is used up. They work for `connect` too, where a failure is followed by close 1008.
///
/// ```
/// # use windlass_testkit::{SimGateway, WireError};
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let sim = SimGateway::builder().start_pipe();
/// sim.script().times(2).fail("agents.list", WireError::new("UNAVAILABLE", "busy").retry_after_ms(100));
/// sim.script().once().drop_connection_before_answer("chat.send");
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Script {
    rules: Arc<Rules>,
    left: Option<u32>,
}

impl Script {
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        Self { rules, left: None }
    }

    /// The next rule holds for one request.
    pub fn once(self) -> Self {
        self.times(1)
    }

    /// The next rule holds for so many requests; zero means no rule at all.
    pub fn times(mut self, count: u32) -> Self {
        self.left = Some(count);
        self
    }

    /// Answers `payload` without executing anything.
    pub fn reply(&self, method: &str, payload: Value) {
        self.add(method, Rule::Reply(payload));
    }

    /// Answers with an error without executing anything.
    pub fn fail(&self, method: &str, error: WireError) {
        self.add(method, Rule::Fail(error));
    }

    /// Executes at once and answers this much later.
    pub fn delay(&self, method: &str, delay: Duration) {
        self.add(method, Rule::Delay(delay));
    }

    /// Executes and never answers.
    pub fn never_answer(&self, method: &str) {
        self.add(method, Rule::NeverAnswer);
    }

    /// Executes, and says that it failed: 2026.8.2 does so to a patch that it restarts for.
    pub fn fail_after_execution(&self, method: &str, error: WireError) {
        self.add(method, Rule::FailAfter(error));
    }

    /// Executes and keeps the answer until [`release`](Self::release).
    pub fn hold(&self, method: &str) {
        self.add(method, Rule::Hold);
    }

    /// Sends the answers of `method` that are held.
    pub fn release(&self, method: &str) {
        self.rules.sender(method).send_modify(|version| *version += 1);
    }

    /// Answers with a payload of this many bytes of padding, without executing anything.
    pub fn big_answer(&self, method: &str, bytes: usize) {
        self.add(method, Rule::BigAnswer(bytes));
    }

    /// Executes, answers, then closes with this code and reason.
    pub fn close_after(&self, method: &str, code: u16, reason: &str) {
        self.add(method, Rule::CloseAfter(code, reason.to_owned()));
    }

    /// Executes, then cuts the connection: the outcome is unknown to the client, and it happened.
    pub fn drop_connection_before_answer(&self, method: &str) {
        self.add(method, Rule::DropBeforeAnswer);
    }

    /// Cuts the connection without executing: the outcome is unknown to the client, and it did not happen.
    pub fn drop_connection_before_execution(&self, method: &str) {
        self.add(method, Rule::DropBeforeExecution);
    }

    /// Executes, but the answer carries an id that was never sent.
    pub fn answer_with_unknown_id(&self, method: &str) {
        self.add(method, Rule::UnknownId);
    }

    /// Answers as to a frame without an id: an error with the id `invalid`. Nothing is executed.
    pub fn answer_with_id_invalid(&self, method: &str) {
        self.add(method, Rule::InvalidId);
    }

    /// Executes once and answers twice.
    pub fn duplicate_answer(&self, method: &str) {
        self.add(method, Rule::Duplicate);
    }

    /// Sends this text instead of an answer: not JSON, or JSON that is no frame.
    pub fn answer_with_text(&self, method: &str, text: &str) {
        self.add(method, Rule::RawText(text.to_owned()));
    }

    /// Stops at the `nth` request from now on (the first is 1), of whatever method and connection, `connect` not counted. From then
    /// on nothing more is executed or answered on its connection; others, and later ones, go on as ever. One stop at a time: a new
    /// order takes the place of one that was not reached.
    pub fn freeze_at(&self, nth: u64, stop: Stop) -> Frozen {
        self.rules.freezer.order(nth, stop)
    }

    /// Takes back a stop that was not reached. What is frozen stays so.
    pub fn never_freeze(&self) {
        self.rules.freezer.forget();
    }

    /// Removes all rules of `method`; held answers stay held.
    pub fn clear(&self, method: &str) {
        lock(&self.rules.by_method).remove(method);
    }

    fn add(&self, method: &str, rule: Rule) {
        if self.left == Some(0) {
            return;
        }
        lock(&self.rules.by_method)
            .entry(method.to_owned())
            .or_default()
            .push_back(Entry { rule, left: self.left });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::{Rule, Rules, Script};

    #[test]
    fn counted_rules_are_used_up_in_order_and_the_last_uncounted_one_stays() {
        let rules = Arc::new(Rules::default());
        let script = Script::new(Arc::clone(&rules));
        script.clone().times(2).reply("x", json!(1));
        script.reply("x", json!(2));
        let seen: Vec<_> = (0..4)
            .map(|_| match rules.take("x") {
                Some(Rule::Reply(value)) => value,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(seen, [json!(1), json!(1), json!(2), json!(2)]);
        script.clear("x");
        assert!(rules.take("x").is_none());
    }
}
