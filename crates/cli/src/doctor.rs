//! `windlass doctor`: one connection, step by step.
//!
//! | module | contents |
//! |---|---|
//! | `observer` | the steps of a line that connects, as findings |
//! | `findings` | the steps and their results, on the screen and as JSON |
//!
//! The connection is that of a line, so the examined way is the one on which every other command connects.

mod findings;
mod observer;

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};
use windlass::{CallError, Gateway, GatewaySpec, LineStatus, Windlass};
use windlass_protocol::{Advice, Advise as _, Scope};

use crate::doctor::findings::{DoctorStep, Findings};
use crate::doctor::observer::Observer;
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::session::{self, DeviceTokens, Setup, Target};

/// Gateways that are examined at a time: each needs threads of its own.
const AT_A_TIME: usize = 8;
/// How long an answer may take; the slowest `agents.list` measured took half a second.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Harmless, small, on every release, and only for those with the read scope.
const PROBE: &str = "agents.list";

/// Connect step by step, and show which step fails and how to fix it
///
/// Checks name look-up, TCP, TLS, WebSocket upgrade, challenge, protocol, login, pairing and scopes, in the order in which a
/// gateway checks them. Changes nothing on the gateway, except that an unknown device may be added to its list of devices that
/// wait for approval.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {}

pub(crate) async fn run(global: &Global, _: DoctorArgs, output: &Output) -> Result<ExitCode, Failure> {
    let Setup {
        targets,
        tokens,
        unusable,
        ..
    } = session::prepare_usable(global, output).await?;
    for (_, gateway) in &unusable {
        output.error(&gateway.why);
    }
    let tokens = Arc::new(tokens);
    let examining = targets.iter().map(|target| examine(target, Arc::clone(&tokens)));
    let examined: Vec<_> = stream::iter(examining).buffered(AT_A_TIME).collect().await;
    let examined = examined.into_iter().collect::<Result<Vec<Findings>, Failure>>()?;
    if output.json() {
        let both = targets.iter().zip(&examined);
        let reports: Vec<Value> = both.map(|(target, found)| found.as_json(target)).collect();
        output.value(&json!({"gateways": reports}))?;
    } else {
        for (target, found) in targets.iter().zip(&examined) {
            output.line(&found.lines(target).join("\n"))?;
        }
    }
    let of_unusable = unusable.first().map(|_| ExitCode::Usage);
    let exits = examined.iter().map(Findings::exit).chain(of_unusable);
    Ok(exits.max().unwrap_or(ExitCode::Ok))
}

/// Connects a line, up to the first attempt that leaves no other credentials to try.
async fn examine(target: &Target, tokens: Arc<DeviceTokens>) -> Result<Findings, Failure> {
    let observer = Arc::new(Observer::new(&target.spec));
    let builder = Windlass::builder().shards(1).device_tokens(tokens);
    let windlass = builder.connector(Arc::clone(&observer)).start()?;
    let gateway = windlass.add(target.spec.clone()).await?;
    let is_accepted = observer.finished().await;
    let status = after_attempt(&gateway, is_accepted).await;
    let mut findings = observer.findings();
    if is_accepted {
        check_scopes(target, &gateway, &status, &mut findings).await;
    } else {
        let exit = session::exit_of(&status);
        let advice = status
            .last_error
            .map_or_else(|| Advice::new("The line was closed.", ""), |error| error.advice);
        findings.failed(observer.failed_step(), advice, exit);
    }
    session::close(windlass).await;
    Ok(findings)
}

/// The status once it has the result of the attempt: it changes a moment after the observer sees hello-ok. An attempt with other
/// credentials may have left an error there before.
async fn after_attempt(gateway: &Gateway, is_accepted: bool) -> LineStatus {
    let mut status = gateway.status();
    let has_result = |now: &LineStatus| now.hello.is_some() || (!is_accepted && now.last_error.is_some());
    // An error means that the line was closed, which the status says too.
    let _ = status.wait_for(has_result).await;
    status.borrow().clone()
}

/// Whether the scopes that were asked for were granted.
async fn check_scopes(target: &GatewaySpec, gateway: &Gateway, status: &LineStatus, findings: &mut Findings) {
    let asked = &target.scopes;
    if let Some(granted) = status.hello.as_ref().and_then(|hello| hello.granted_scopes()) {
        let missing = asked.iter().filter(|scope| !granted.contains(scope));
        let missing: Vec<_> = missing.map(Scope::to_string).collect();
        if missing.is_empty() {
            let asked: Vec<_> = asked.iter().map(Scope::to_string).collect();
            findings.ok(DoctorStep::Scopes, asked.join(", "));
        } else {
            findings.failed(
                DoctorStep::Scopes,
                not_granted(target, &missing.join(", ")),
                ExitCode::Refused,
            );
        }
        return;
    }
    // 2026.3.13 and 2026.4.15 don't tell, and grant nothing to a client without a device identity.
    match gateway.call(PROBE, json!({})).timeout(ANSWER_LIMIT).await {
        Ok(_) => findings.ok(
            DoctorStep::Scopes,
            format!("this release does not list them; {PROBE} works, so reading is granted"),
        ),
        Err(CallError::Rejected(rejected)) => {
            let advice = match rejected.error.missing_scope() {
                Some(scope) => not_granted(target, &Scope::from(scope).to_string()),
                None => rejected.error.advice(),
            };
            findings.failed(DoctorStep::Scopes, advice, ExitCode::Refused);
        }
        Err(_) => {
            let next = "The gateway accepted the login and then did not answer: check its load and its log.";
            let advice = Advice::new(format!("{PROBE} was not answered"), next);
            findings.failed(DoctorStep::Scopes, advice, ExitCode::Unreachable);
        }
    }
}

fn not_granted(target: &GatewaySpec, missing: &str) -> Advice {
    let next = if target.device.is_some() {
        "Approve this device on the gateway with these scopes: openclaw devices list, then openclaw devices approve."
    } else {
        "Let this gateway have a device identity (drop device = false and control_ui): old releases grant nothing without."
    };
    Advice::new(format!("Not granted: {missing}"), next)
}
