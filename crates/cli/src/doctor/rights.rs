//! Whether the scopes that were asked for were granted.

use std::time::Duration;

use tungstenite::Message;
use windlass_line::{Clock as _, Deadline, GatewaySpec, TokioClock};
use windlass_protocol::{Advice, Advise as _, CallId, Frame, GatewayError, MethodName, Scope, encode_request};

use super::Stopped;
use super::login::Connected;
use super::steps::{Findings, Step};
use crate::exit::Exit;

/// How long an answer may take; the slowest `agents.list` measured took half a second.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const PROBE_ID: CallId = CallId::new(1);
/// Harmless, small, on every release, and only for those with the read scope.
const PROBE: &str = "agents.list";

pub(super) async fn check(
    target: &GatewaySpec,
    connected: &mut Connected,
    findings: &mut Findings,
) -> Result<(), Stopped> {
    let asked = &target.scopes;
    if let Some(granted) = connected.hello.granted_scopes() {
        let missing: Vec<_> = asked
            .iter()
            .filter(|scope| !granted.contains(scope))
            .map(Scope::to_string)
            .collect();
        if missing.is_empty() {
            findings.ok(Step::Scopes, names(asked));
            return Ok(());
        }
        return Err(findings.failed(Step::Scopes, not_granted(target, &missing.join(", ")), Exit::Refused));
    }
    // 2026.3.13 and 2026.4.15 don't tell, and grant nothing to a client without a device identity.
    match probe(connected).await {
        Some(Ok(())) => {
            findings.ok(
                Step::Scopes,
                format!("this release does not list them; {PROBE} works, so reading is granted"),
            );
            Ok(())
        }
        Some(Err(error)) => {
            let advice = match error.missing_scope() {
                Some(scope) => not_granted(target, &Scope::from(scope).to_string()),
                None => error.advice(),
            };
            Err(findings.failed(Step::Scopes, advice, Exit::Refused))
        }
        None => {
            let next = "The gateway let us in and then did not answer: look at its load and its log.";
            let advice = Advice::new(format!("{PROBE} was not answered"), next);
            Err(findings.failed(Step::Scopes, advice, Exit::Unreachable))
        }
    }
}

fn names(scopes: &[Scope]) -> String {
    let names: Vec<_> = scopes.iter().map(Scope::to_string).collect();
    names.join(", ")
}

fn not_granted(target: &GatewaySpec, missing: &str) -> Advice {
    let next = if target.device.is_some() {
        "Approve this device on the gateway with these scopes: openclaw devices list, then openclaw devices approve."
    } else {
        "Let this gateway have a device identity (drop device = false and control_ui): old releases grant nothing without."
    };
    Advice::new(format!("Not granted: {missing}"), next)
}

/// Calls the probe; nothing when the connection ends before the answer, or the time does.
async fn probe(connected: &mut Connected) -> Option<Result<(), GatewayError>> {
    let (method, clock, socket) = (MethodName::new(PROBE).ok()?, TokioClock::start(), &mut connected.socket);
    let mut deadline = Deadline::at(clock.now() + ANSWER_LIMIT);
    let request = Message::text(encode_request(PROBE_ID, &method, None));
    deadline.give(socket.send(request)).await?.ok()?;
    while let Some(Ok(message)) = deadline.give(socket.next()).await? {
        let Message::Text(text) = message else { continue };
        if let Ok(Frame::Response(response)) = Frame::decode(text.as_str())
            && CallId::parse(&response.id) == Some(PROBE_ID)
        {
            return Some(response.outcome.map(|_| ()));
        }
    }
    None
}
