//! Tokens of people and programs.
//!
//! A token is `wl_` and 32 random bytes as URL-safe base64. It is shown once, when it is made. The SHA-256 of a token is kept: a token
//! is 256 random bits, so a slow hash would protect nothing and cost every request.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use windlass_protocol::Secret;

use crate::access::Caller;
use crate::error::OperationError;
use crate::service::Service;

/// The beginning of each token, by which a scanner for leaked secrets finds it.
pub const PREFIX: &str = "wl_";

/// The longest text that is hashed, in bytes; a token has 46.
const LIMIT: usize = 256;

/// A token of a person or program. `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken(Secret);

impl ApiToken {
    /// A new token of random bytes.
    pub fn from_bytes(random: [u8; 32]) -> Self {
        Self(Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random))))
    }

    /// The text itself: for the one place that shows it to its owner.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }

    /// The hash that is kept.
    pub fn hash(&self) -> ApiTokenHash {
        ApiTokenHash(Sha256::digest(self.expose()).into())
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiToken(***)")
    }
}

/// The SHA-256 of a token. Two hashes are compared in a time that tells nothing of them.
#[derive(Clone, Copy)]
pub struct ApiTokenHash([u8; 32]);

impl ApiTokenHash {
    /// The hash of a text that a caller gave; nothing for a text that is no token.
    pub fn of_text(text: &str) -> Option<Self> {
        (text.starts_with(PREFIX) && text.len() <= LIMIT).then(|| Self(Sha256::digest(text).into()))
    }

    /// The bytes, to be stored.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for ApiTokenHash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for ApiTokenHash {}

impl fmt::Debug for ApiTokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiTokenHash(***)")
    }
}

/// The caller with this token; `None` for a token that is not known, revoked or expired.
///
/// # Errors
/// The store's.
pub async fn caller(_service: &Service, _hash: &ApiTokenHash) -> Result<Option<Caller>, OperationError> {
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash_and_shows_nothing_of_itself() {
        let token = ApiToken::from_bytes([7; 32]);
        assert_eq!(ApiTokenHash::of_text(token.expose()), Some(token.hash()));
        assert_ne!(ApiToken::from_bytes([8; 32]).hash(), token.hash());
        assert_eq!(
            format!("{token:?} {:?}", token.hash()),
            "ApiToken(***) ApiTokenHash(***)"
        );
    }

    #[test]
    fn a_text_that_is_no_token_is_not_hashed() {
        assert_eq!(ApiTokenHash::of_text("secret"), None);
        assert_eq!(ApiTokenHash::of_text(&format!("wl_{}", "x".repeat(LIMIT))), None);
    }
}
