//! Advice on a call that a gateway refused.

use super::{Advice, Advise, missing_scope, sentence};
use crate::error::{DetailCode, ErrorClass, GatewayError};
use crate::refusal::RefusalKind;

impl Advise for GatewayError {
    /// The gateway's own words stand beside every advice.
    fn advice(&self) -> Advice {
        if let Some(scope) = self.missing_scope() {
            return beside_words(&missing_scope(Some(scope)), self);
        }
        if let Some(known) = self.detail_code().and_then(|detail| of_detail(&detail)) {
            return beside_words(&known, self);
        }
        match self.class() {
            ErrorClass::Transient => busy(self),
            // What a call is refused for, and a person must change, is what a connect would be refused for.
            ErrorClass::NeedsPerson => beside_words(&RefusalKind::of(self).advice(), self),
            ErrorClass::Rejected => Advice::new(
                sentence(&format!("The gateway rejected the request: {self}")),
                "Sending it again will not help: correct what it complains about.",
            ),
        }
    }
}

/// The advice, with the gateway's words.
fn beside_words(advice: &Advice, error: &GatewayError) -> Advice {
    if error.message.trim().is_empty() {
        return advice.clone();
    }
    let words = sentence(&format!("The gateway says: {error}"));
    Advice::new(format!("{} {words}", advice.summary), advice.next_step.clone())
}

fn of_detail(detail: &DetailCode) -> Option<Advice> {
    let (summary, next_step) = match detail {
        DetailCode::GatewayRestarting => (
            "The gateway finishes its work before a restart and takes nothing new.",
            "Send it again when the gateway is back; the connection is made again by itself.",
        ),
        DetailCode::UnknownAgent => (
            "The gateway has no such agent.",
            "Look at the gateway's agents, and provision this one if it should exist.",
        ),
        DetailCode::CronJobNotFound => (
            "The gateway has no such job.",
            "Look at the gateway's jobs, and use a current id.",
        ),
        DetailCode::SessionMutationTargetRequired => (
            "The request did not say which session it is for.",
            "Name the session key or the agent.",
        ),
        DetailCode::ChatRequestConflict => (
            "The idempotency key was used before, for another message.",
            "Look into the conversation, then send it under a new key.",
        ),
        _ => return None,
    };
    Some(Advice::new(summary, next_step))
}

fn busy(error: &GatewayError) -> Advice {
    let summary = sentence(&format!("The gateway cannot do it now: {error}"));
    match error.retry_after {
        // Rounded up: coming a little early is refused again.
        Some(after) => {
            let seconds = after.as_millis().div_ceil(1000);
            Advice::new(summary, format!("Send it again in {seconds} s."))
        }
        None => Advice::new(summary, "Send it again later."),
    }
}
