//! Gateways: where they are and how to get in.

use serde::Serialize;

use crate::backend::check;
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
    /// Its name: unique in its organization, in whatever letters.
    pub name: String,
    /// `ws://` or `wss://`. May be empty as long as nobody needs it; must not hold a token or a password.
    pub url: String,
    /// Where its token is to be found.
    pub token: Option<SecretSource>,
    /// The folder on the gateway's host in which agents get their workspaces; needed to provision. An absolute path of POSIX or
    /// of Windows, or one that begins with `~/`; not a root by itself, and without `.` and `..`.
    pub workspace_root: Option<String>,
    /// Where its agents reach the service that they belong to; it stands in their files. Recorded by the first run that is given
    /// one, and used by every later run that is not. Must not hold a token or a password.
    pub base_url: Option<String>,
    /// Whether a certificate that nobody vouches for is accepted.
    pub allow_insecure_tls: bool,
    /// SHA-256 of the certificate that is expected, in hex.
    pub tls_fingerprint: Option<String>,
    /// Whether to connect as a control UI, without a device.
    pub disable_device_pairing: bool,
    /// When the record was made.
    pub created_at: Timestamp,
}

const WORKSPACE_ROOT: &str = "gateway.workspace_root";

impl Gateway {
    pub fn check(&self) -> Result<(), StoreError> {
        check::name("gateway.name", &self.name, limits::NAME_CHARS)?;
        check::chars("gateway.url", &self.url, limits::URL_CHARS)?;
        if holds_a_secret(&self.url) {
            return Err(StoreError::invalid(
                "gateway.url",
                "holds a user, a password or a token: give the token as a reference instead",
            ));
        }
        if let Some(root) = &self.workspace_root {
            check::chars(WORKSPACE_ROOT, root, limits::URL_CHARS)?;
            if let Some(why) = unfit_for_workspaces(root) {
                return Err(StoreError::invalid(WORKSPACE_ROOT, why));
            }
        }
        check::optional("gateway.base_url", self.base_url.as_ref(), limits::URL_CHARS)?;
        if self.base_url.as_deref().is_some_and(holds_a_secret) {
            return Err(StoreError::invalid(
                "gateway.base_url",
                "holds a user, a password or a token: it stands in the files of all agents",
            ));
        }
        check::optional(
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

/// Why agents can't have their workspaces in this folder, if so: what is put behind the folder's name or its flag. The gateway's
/// host may be of another system than this one. A blank one counts as none, and is not judged.
pub fn unfit_for_workspaces(root: &str) -> Option<&'static str> {
    let root = root.trim();
    if root.is_empty() {
        return None;
    }
    let unfit = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '`');
    if root.chars().any(unfit) {
        return Some("holds a line break, another control character or a backtick");
    }
    let Some(inside) = below_root(root) else {
        return Some("is not absolute: give /FOLDER, ~/FOLDER or C:\\FOLDER");
    };
    let mut parts = inside.split(['/', '\\']).filter(|part| !part.is_empty()).peekable();
    if parts.peek().is_none() {
        return Some("is a root or a home, which agents would share with everything else: give a folder in it");
    }
    parts
        .any(|part| matches!(part, "." | ".."))
        .then_some("holds `.` or `..`: give the path without them")
}

/// An absolute path without its root.
fn below_root(path: &str) -> Option<&str> {
    let separator = ['/', '\\'];
    if let Some(inside) = path.strip_prefix("~") {
        return inside.is_empty().then_some(inside).or_else(|| inside.strip_prefix('/'));
    }
    let drive = path
        .strip_prefix(|c: char| c.is_ascii_alphabetic())
        .and_then(|rest| rest.strip_prefix(':'));
    if let Some(inside) = drive {
        return inside.strip_prefix(separator);
    }
    path.strip_prefix(separator)
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
