//! Gateways: where they are and how to get in.

use serde::Serialize;

use crate::error::StoreError;
use crate::id::{GatewayUid, OrganizationId};
use crate::limits;
use crate::secret_source::SecretSource;
use crate::time::Timestamp;

/// A gateway.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gateway {
    /// Its id.
    pub id: GatewayUid,
    /// Whose it is.
    pub organization_id: OrganizationId,
    /// Its name.
    pub name: String,
    /// `ws://` or `wss://`. May be empty as long as nobody needs it; must not hold a token or a password.
    pub url: String,
    /// Where its token is to be found.
    pub token: Option<SecretSource>,
    /// The folder on the gateway's host in which agents get their workspaces; needed to provision.
    pub workspace_root: Option<String>,
    /// Whether a certificate that nobody vouches for is accepted.
    pub allow_insecure_tls: bool,
    /// SHA-256 of the certificate that is expected, in hex.
    pub tls_fingerprint: Option<String>,
    /// Whether to connect as a control UI, without a device.
    pub disable_device_pairing: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

impl Gateway {
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        limits::name("gateway.name", &self.name, limits::NAME_CHARS)?;
        limits::chars("gateway.url", &self.url, limits::URL_CHARS)?;
        if holds_a_secret(&self.url) {
            return Err(StoreError::invalid(
                "gateway.url",
                "holds a user, a password or a token: give the token as a reference instead",
            ));
        }
        limits::optional(
            "gateway.workspace_root",
            self.workspace_root.as_ref(),
            limits::URL_CHARS,
        )?;
        limits::optional(
            "gateway.tls_fingerprint",
            self.tls_fingerprint.as_ref(),
            limits::KEY_CHARS,
        )?;
        match &self.token {
            // The text is how it is stored: what does not read back must not get in.
            Some(source) if source.to_string().parse().as_ref() != Ok(source) => Err(StoreError::invalid(
                "gateway.token",
                "is not of the form env:NAME, file:/path or host:name, or is too long",
            )),
            _ => Ok(()),
        }
    }
}

/// Whether a URL has a user part, or a query that is called like a secret.
fn holds_a_secret(url: &str) -> bool {
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = rest
        .split_once("//")
        .map_or(rest, |(_, rest)| rest)
        .split('/')
        .next()
        .unwrap_or_default();
    let is_secret = |pair: &str| {
        let key = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        ["token", "password", "secret", "auth", "key"]
            .iter()
            .any(|word| key.contains(word))
    };
    authority.contains('@') || query.split('&').chain(fragment.split('&')).any(is_secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_that_carries_a_secret_is_recognised() {
        for url in [
            "ws://user:pw@host",
            "wss://user@host:1/x",
            "ws://host?token=x",
            "ws://host/p?a=1&authToken=x",
            "ws://host#token=x",
            "user:pw@host",
        ] {
            assert!(holds_a_secret(url), "{url}");
        }
        for url in [
            "",
            "ws://host:18789",
            "wss://host/a@b/token",
            "ws://[::1]:1/?tenant=4",
            "host",
        ] {
            assert!(!holds_a_secret(url), "{url}");
        }
    }
}
