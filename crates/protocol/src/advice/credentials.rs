//! Advice on a refused login: which secret is wrong or missing, where it came from, how to give another.

use std::borrow::Cow;

use super::Advice;
use crate::credentials::{CredentialKind, CredentialOrigins, SecretOrigin, SecretPlace};
use crate::refusal::RefusalKind;

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
