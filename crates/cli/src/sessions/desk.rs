//! A gateway that is up, ready to be asked.

use std::time::Duration;

use clap::Args;
use windlass::sessions::{AskError, HistoryError, ListError, Sessions};
use windlass::{Gateway, Windlass};
use windlass_line::{Clock as _, TokioClock};
use windlass_protocol::{Advice, CallError};

use crate::config::parse_span;
use crate::exit::{Exit, Failure, advice_on_call, of_call};
use crate::global::Global;
use crate::output::Output;
use crate::session::{self, Patience, Target};

/// How long to wait.
#[derive(Debug, Args)]
pub(crate) struct Limit {
    /// Give up after this long, waiting for the line included [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
}

/// A line that is up, and the sessions at its other end.
pub(crate) struct Desk {
    windlass: Windlass,
    pub(crate) gateway: Gateway,
    pub(crate) target: Target,
    pub(crate) sessions: Sessions,
    /// What is left of the time.
    pub(crate) left: Duration,
}

impl Desk {
    /// Connects.
    pub(crate) async fn open(global: &Global, limit: &Limit, output: &Output) -> Result<Self, Failure> {
        Self::open_within(global, limit.timeout, output).await
    }

    /// Connects, within a time or within the usual one.
    pub(crate) async fn open_within(
        global: &Global,
        within: Option<Duration>,
        output: &Output,
    ) -> Result<Self, Failure> {
        let (target, timeouts, tokens) = session::prepare_one(global, output).await?;
        let limit = within.unwrap_or(timeouts.call);
        let (windlass, mut gateways) = session::open(std::slice::from_ref(&target), tokens).await?;
        let Some(gateway) = gateways.pop() else {
            return Err(Failure::usage("there is no gateway", "Name one with --url."));
        };
        let clock = TokioClock::start();
        let begun = clock.now();
        let status = session::settle(&gateway, &target.name, Patience::All, limit, output).await;
        let left = limit.saturating_sub(clock.now().saturating_duration_since(begun));
        if !status.is_up() {
            session::close(windlass).await;
            return Err(session::why_down(&target, &status));
        }
        Ok(Self {
            sessions: gateway.sessions().timeout(left),
            windlass,
            gateway,
            target,
            left,
        })
    }

    /// Gives everything back.
    pub(crate) async fn close(self) {
        session::close(self.windlass).await;
    }

    /// Why a question has no answer.
    pub(crate) fn failed(&self, error: &AskError) -> Failure {
        match error {
            AskError::Call(call) => self.call_failed(call),
            other => Failure::Told(
                Exit::Rejected,
                Advice::new(
                    other.to_string(),
                    "Compare the gateway's release with the supported ones.",
                ),
            ),
        }
    }

    /// A call that was not sent failed for the line's reasons.
    pub(crate) fn call_failed(&self, call: &CallError) -> Failure {
        if let Some(exit) = of_call(call) {
            return Failure::Told(exit, advice_on_call(call));
        }
        let status = self.gateway.status().borrow().clone();
        if status.is_up() {
            return Failure::Told(
                Exit::Unreachable,
                Advice::new(call.to_string(), "Repeat it: the line is up now."),
            );
        }
        session::why_down(&self.target, &status)
    }

    /// Why there is no list.
    pub(crate) fn no_list(&self, error: &ListError) -> Failure {
        match error {
            ListError::Ask(error) => self.failed(error),
            other => Failure::usage(other.to_string(), "Give --agent, --active or --limit."),
        }
    }

    /// Why there is no history.
    pub(crate) fn no_history(&self, error: &HistoryError) -> Failure {
        match error {
            HistoryError::Ask(error) => self.failed(error),
            other => Failure::Told(
                Exit::Rejected,
                Advice::new(
                    other.to_string(),
                    "Leave --before and --after away, and give a larger --limit.",
                ),
            ),
        }
    }
}
