//! The frame of a scenario: one function that drives one real release.
//!
//! A scenario is one file in `scenarios/` with one `SCENARIO` and one `async fn`. It gets a
//! [`Ctx`], starts the gateways it needs and says how it ended. Everything it started dies with
//! it, also when it fails, panics or runs into its deadline.

use std::{fmt, panic::AssertUnwindSafe, time::Duration};

use futures_util::{FutureExt as _, future::LocalBoxFuture};
use serde_json::Value;

use crate::{
    clock,
    console::Console,
    install::Installed,
    model::FakeModel,
    process::{GatewayOptions, LogShelf, RealGateway, StartError},
    release::Release,
};

/// Deadline for a scenario that has no reason for another: one cold start and some turns.
pub const USUAL_DEADLINE: Duration = Duration::from_secs(300);

/// The running of a scenario. It need not be `Send`: scenarios that run at the same time share a thread.
pub type Run<'a> = LocalBoxFuture<'a, Result<Outcome, Failure>>;

/// One thing that is tried on real releases.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// Short name for the command line: lower-case words joined by `-`.
    pub name: &'static str,
    /// The proven property, as a sentence; a row of the compatibility table.
    pub what: &'static str,
    /// After this it has failed.
    pub deadline: Duration,
    /// The scenario itself.
    pub run: for<'a> fn(&'a Ctx) -> Run<'a>,
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// How a scenario ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds on this release.
    Passed {
        /// Further facts for readers of the table.
        notes: Vec<String>,
    },
    /// It does not hold.
    Failed {
        /// The observed behaviour, with the ends of the gateways' logs.
        why: String,
    },
    /// This release cannot do it, and that was seen, not assumed.
    NotPossible {
        /// The feature that the release lacks.
        reason: String,
    },
    /// It was not tried.
    Skipped {
        /// Why not.
        reason: String,
    },
}

impl Outcome {
    /// It holds, and there is nothing more to say.
    pub fn passed() -> Self {
        Self::Passed { notes: Vec::new() }
    }

    /// It holds, with one note for the table.
    pub fn passed_with(note: impl Into<String>) -> Self {
        Self::Passed {
            notes: vec![note.into()],
        }
    }

    /// This release cannot do it.
    pub fn not_possible(reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self::NotPossible { reason }
    }

    /// One word for reports.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed { .. } => "passed",
            Self::Failed { .. } => "failed",
            Self::NotPossible { .. } => "not possible",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// The text of the outcome beside its verdict, possibly empty.
    pub fn text(&self) -> String {
        match self {
            Self::Passed { notes } => notes.join("; "),
            Self::Failed { why } => why.clone(),
            Self::NotPossible { reason } | Self::Skipped { reason } => reason.clone(),
        }
    }
}

/// Why a scenario failed. Any error turns into one, with its chain of causes, so that a scenario
/// can use `?` throughout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(String);

impl Failure {
    /// A failure that says `why`.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }

    /// A failure with the texts of `error` and its causes.
    pub fn from_error(error: &dyn std::error::Error) -> Self {
        Self(with_causes(error))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(with_causes(&error))
    }
}

/// `error` and its causes, joined by colons.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Fails with `why` unless `holds`.
pub fn check(holds: bool, why: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(Failure(why())) }
}

/// Fails unless the two are equal, and names both.
pub fn check_eq<T: PartialEq + fmt::Debug>(what: &str, seen: &T, expected: &T) -> Result<(), Failure> {
    check(seen == expected, || {
        format!("{what}: expected {expected:?}, saw {seen:?}")
    })
}

/// The context of a scenario.
#[derive(Debug)]
pub struct Ctx {
    installed: Installed,
    model: FakeModel,
    console: Console,
    logs: LogShelf,
}

impl Ctx {
    /// A fresh context for one run of one scenario.
    pub fn new(installed: Installed, model: FakeModel, console: Console) -> Self {
        Self {
            installed,
            model,
            console,
            logs: LogShelf::default(),
        }
    }

    /// The release under test.
    pub fn release(&self) -> &Release {
        self.installed.release()
    }

    /// Its installation.
    pub fn installed(&self) -> &Installed {
        &self.installed
    }

    /// The fake model of this run, shared by all gateways that the context starts.
    pub fn model(&self) -> &FakeModel {
        &self.model
    }

    /// Starts a gateway and waits until it is ready.
    pub async fn gateway(&self) -> Result<RealGateway, StartError> {
        self.gateway_with(GatewayOptions::default()).await
    }

    /// Starts a gateway whose configuration is merged with `config`.
    pub async fn gateway_config(&self, config: Value) -> Result<RealGateway, StartError> {
        let options = GatewayOptions {
            config,
            ..GatewayOptions::default()
        };
        self.gateway_with(options).await
    }

    /// Starts a gateway as `options` say; the context keeps its log for a failure's report.
    pub async fn gateway_with(&self, mut options: GatewayOptions) -> Result<RealGateway, StartError> {
        options.logs = self.logs.clone();
        RealGateway::start(&self.installed, &self.model.base_url(), options).await
    }

    /// Tells a person how far the scenario is.
    pub fn progress(&self, text: &str) {
        self.console.progress(self.release().name(), text);
    }
}

impl Scenario {
    /// Runs the scenario to its end: by itself, by a panic or by its deadline.
    ///
    /// Returns the outcome and the duration.
    pub async fn play(&self, ctx: &Ctx) -> (Outcome, Duration) {
        let began = clock::now();
        let run = AssertUnwindSafe((self.run)(ctx)).catch_unwind();
        let ended = tokio::time::timeout(self.deadline, run).await;
        let took = clock::now().duration_since(began);
        // The run is gone here, and with it all gateways: their logs are on the shelf.
        let outcome = match ended {
            Ok(Ok(Ok(outcome))) => outcome,
            Ok(Ok(Err(Failure(why)))) => Outcome::Failed { why },
            Ok(Err(panic)) => Outcome::Failed {
                why: format!("it panicked: {}", panic_text(&*panic)),
            },
            Err(_) => Outcome::Failed {
                why: format!("no end after {} s", self.deadline.as_secs()),
            },
        };
        (with_logs(outcome, &ctx.logs), took)
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let literal = panic.downcast_ref::<&str>().copied();
    let formatted = || panic.downcast_ref::<String>().map(String::as_str);
    literal.or_else(formatted).unwrap_or("no text")
}

/// A failure with the last output of the gateways.
fn with_logs(outcome: Outcome, logs: &LogShelf) -> Outcome {
    let Outcome::Failed { mut why } = outcome else {
        return outcome;
    };
    for log in logs.take().iter().filter(|log| !log.is_empty()) {
        why = format!("{why}\n--- a gateway's last words ---\n{log}");
    }
    Outcome::Failed { why }
}

#[cfg(test)]
mod tests;
