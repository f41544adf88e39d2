//! Calls of every class.

use std::time::Duration;

use serde_json::json;
use windlass::{CallError, Clock as _, Gateway, RawJson};

use crate::clock::{self, WorldClock};
use crate::site::Site;
use crate::trace::note;
use crate::world::{CallKind, PlannedCall};

/// A call, when it was over.
#[derive(Debug)]
pub(crate) struct CallRecord {
    pub(crate) planned: PlannedCall,
    pub(crate) end: End,
    pub(crate) took: Duration,
    /// For how much of that the process was stopped.
    pub(crate) stopped: Duration,
}

/// How it was over.
#[derive(Debug)]
pub(crate) enum End {
    Ended(Result<RawJson, CallError>),
    /// Its caller went away.
    Cancelled,
}

impl CallRecord {
    /// One word.
    pub(crate) const fn word(&self) -> &'static str {
        match &self.end {
            End::Ended(Ok(_)) => "ok",
            End::Ended(Err(error)) => error.name(),
            End::Cancelled => "cancelled",
        }
    }
}

/// Does one errand after the other.
pub(crate) async fn call_all(site: Site, planned_calls: Vec<PlannedCall>, clock: WorldClock) -> Vec<CallRecord> {
    let mut called = Vec::new();
    for planned in planned_calls {
        tokio::time::sleep(planned.pause).await;
        let (begun, stopped) = (clock.now(), clock::stopped());
        note(|| format!("{}: calls {:?}", site.name(), CallLabel(&planned.what)));
        let end = one(&site.gateway, &planned).await;
        let took = clock.now().saturating_duration_since(begun);
        let stopped = clock::stopped().saturating_sub(stopped);
        let ended = CallRecord {
            planned,
            end,
            took,
            stopped,
        };
        note(|| {
            let (what, word) = (CallLabel(&ended.planned.what), ended.word());
            format!("{}: {what:?} ended {word} after {took:?}", site.name())
        });
        called.push(ended);
    }
    called
}

async fn one(gateway: &Gateway, planned: &PlannedCall) -> End {
    let call = match &planned.what {
        CallKind::Read(method) => gateway.call(*method, ()),
        CallKind::Say { session, text } => gateway.call("chat.send", json!({ "sessionKey": session, "message": text })),
        CallKind::Create(agent) => gateway.call("agents.create", json!({ "name": agent, "workspace": "/w" })),
        // With half a character at its end.
        CallKind::Label(key) => {
            let params = RawJson::parse(format!(r#"{{"key":"{key}","label":"{key}\ud83d"}}"#));
            gateway.call("sessions.patch", params.expect("the world makes plain keys"))
        }
    };
    let call = call.timeout(planned.deadline);
    let call = if planned.fail_fast { call.fail_fast() } else { call };
    match planned.cancel {
        None => End::Ended(call.await),
        Some(after) => match tokio::time::timeout(after, call.into_future()).await {
            Ok(end) => End::Ended(end),
            Err(_) => End::Cancelled,
        },
    }
}

/// Shows the request of a call without its text.
pub(crate) struct CallLabel<'a>(pub(crate) &'a CallKind);

impl std::fmt::Debug for CallLabel<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            CallKind::Say { session, .. } => write!(f, "Say({session})"),
            what => what.fmt(f),
        }
    }
}
