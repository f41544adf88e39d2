//! Advice on a call that a gateway refused, and on a refused login: which secret is wrong or missing, where it came from, how to give another.

use std::borrow::Cow;

use super::{Advice, Advise, missing_scope, sentence};
use crate::connect::{CredentialKind, CredentialOrigins, SecretOrigin, SecretPlace};
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

/// The settings of a gateway that hold its secrets.
const TOKEN_KEY: &str = "gateway.auth.token";
const PASSWORD_KEY: &str = "gateway.auth.password";

/// Where a secret of this kind comes from, in the middle of a sentence.
fn from(origin: Option<&SecretOrigin>) -> String {
    origin.map_or_else(String::new, |origin| format!(" from {origin}"))
}

/// How to put the right secret in the place of the one that is there.
fn correct(what: &str, key: &str, origin: Option<&SecretOrigin>, origins: &CredentialOrigins) -> String {
    let right = format!("the value of {key} in the configuration of the gateway's host");
    let step = match origin.map(|origin| &origin.place) {
        Some(place @ SecretPlace::Variable(_)) => format!("Set {place} to {right}."),
        Some(place @ SecretPlace::File(_)) => format!("Write {right} into {place}."),
        Some(SecretPlace::Prompt) => format!("Type in {right}."),
        Some(place @ SecretPlace::Host(_)) => format!("Make {place} {right}."),
        None => format!("Configure {right} as this gateway's {what}."),
    };
    match (&origins.how_to_give, what) {
        (Some(ways), "token") => format!("{step} Or give another: {ways}."),
        _ => step,
    }
}

/// How to give a token where there is none.
fn give_token(origins: &CredentialOrigins) -> Cow<'static, str> {
    match &origins.how_to_give {
        Some(ways) => {
            format!("Give one: {ways}. It is the value of {TOKEN_KEY} in the configuration of the gateway's host.")
                .into()
        }
        None => correct("token", TOKEN_KEY, None, origins).into(),
    }
}

/// The advice on a refused login; `sent` is the credential that the gateway refused.
pub(super) fn credentials(kind: &RefusalKind, sent: CredentialKind, origins: &CredentialOrigins) -> Advice {
    let (token, password) = (origins.token.as_ref(), origins.password.as_ref());
    match kind {
        RefusalKind::TokenMismatch { .. } => token_mismatch(sent, origins),
        RefusalKind::TokenMissing if sent == CredentialKind::Password => Advice::new(
            format!(
                "The gateway wants a token; only a password is configured{}.",
                from(password)
            ),
            give_token(origins),
        ),
        RefusalKind::TokenMissing => {
            Advice::new("The gateway wants a token and none is configured.", give_token(origins))
        }
        RefusalKind::PasswordMissing => {
            let summary = match sent {
                CredentialKind::Token | CredentialKind::TokenAndDeviceToken => format!(
                    "The gateway wants a password; only a token is configured{}.",
                    from(token)
                )
                .into(),
                _ => Cow::from("The gateway wants a password and none is configured."),
            };
            Advice::new(
                summary,
                "Configure the gateway's password, or switch the gateway to token authentication.",
            )
        }
        RefusalKind::PasswordMismatch => Advice::new(
            format!(
                "The gateway refused the password{}: it is not this gateway's password.",
                from(password)
            ),
            correct("password", PASSWORD_KEY, password, origins),
        ),
        RefusalKind::RateLimited => Advice::new(
            "The gateway has locked this address out after too many failed logins.",
            format!(
                "Wait for five minutes without trying, then verify the gateway token{} before the next try.",
                from(token)
            ),
        ),
        RefusalKind::DeviceTokenMismatch => Advice::new(
            "The gateway refused the stored device token: it was revoked or belongs to another gateway.",
            "Configure the gateway token, or pair this device again: openclaw devices list, then openclaw devices approve.",
        ),
        RefusalKind::DeviceIdentityRequired { control_ui: false } => Advice::new(
            "The gateway wants a device identity or a token, and got neither.",
            format!("Leave the device identity on. {}", give_token(origins)),
        ),
        _ => Advice::new(
            format!("The gateway refused the login{}.", shown(sent, origins)),
            "Verify gateway token and operator scopes.",
        ),
    }
}

fn token_mismatch(sent: CredentialKind, origins: &CredentialOrigins) -> Advice {
    let token = origins.token.as_ref();
    match sent {
        CredentialKind::DeviceToken => Advice::new(
            "The gateway refused the stored device token, and no token is configured.",
            give_token(origins),
        ),
        CredentialKind::TokenAndDeviceToken => Advice::new(
            format!(
                "The gateway refused the token{}: it is not this gateway's token, and the stored device token is refused too.",
                from(token)
            ),
            correct("token", TOKEN_KEY, token, origins),
        ),
        _ => Advice::new(
            format!(
                "The gateway refused the token{}: it is not this gateway's token.",
                from(token)
            ),
            correct("token", TOKEN_KEY, token, origins),
        ),
    }
}

/// The credential that was sent, where naming it helps.
fn shown(sent: CredentialKind, origins: &CredentialOrigins) -> String {
    match sent {
        CredentialKind::Token if origins.token.is_some() => format!(" with the token{}", from(origins.token.as_ref())),
        CredentialKind::Password if origins.password.is_some() => {
            format!(" with the password{}", from(origins.password.as_ref()))
        }
        _ => String::new(),
    }
}
