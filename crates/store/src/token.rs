//! Tokens of agents, and their salted hashes, which are stored.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use windlass_protocol::Secret;

/// Most rounds of a PBKDF2 hash that are computed: five times the 200,000 that the backends before this one wrote, about half a
/// second. A hash with more rounds would let an attacker with write access to the database stop every check-in.
const MAX_ROUNDS: u32 = 1_000_000;

/// Longest stored hash read, in bytes; the longest that is written anywhere has 92.
const HASH_LIMIT: usize = 256;

/// Longest token that is hashed, in bytes: one of ours has 43.
const TOKEN_LIMIT: usize = 1024;

/// An agent's token, with which it authenticates towards the service: 32 random bytes as URL-safe base64 without padding.
///
/// Never shown: `Debug` is redacted and there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentToken(Secret);

impl AgentToken {
    /// A new token of random bytes.
    pub fn from_bytes(random: [u8; 32]) -> Self {
        Self(Secret::new(URL_SAFE_NO_PAD.encode(random)))
    }

    /// A token that exists already, as it was read back from a gateway.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self(Secret::new(text))
    }

    /// The text itself: for the one place that writes it to the gateway.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for AgentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentToken(***)")
    }
}

/// A text that is not the hash of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token hash (\"sha256$<salt>$<digest>\" or \"pbkdf2_sha256$<rounds>$<salt>$<digest>\")")]
pub struct InvalidTokenHash;

/// A salted hash of an agent's token.
///
/// Written as `sha256$<salt>$<digest>`, both in URL-safe base64. A token is 256 random bits, so nothing is won by a slow hash that
/// would cost a tenth of a second at every check-in. `pbkdf2_sha256$<rounds>$<salt>$<digest>`, as written by the backends before
/// this one, is verified too, up to a million rounds.
///
/// `Debug` shows nothing of it, and there is no `Display` and no `Serialize`.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenHash(String);

#[derive(Clone, Copy)]
enum Scheme {
    Sha256,
    Pbkdf2 { rounds: u32 },
}

struct HashParts {
    scheme: Scheme,
    salt: Vec<u8>,
    digest: [u8; 32],
}

impl TokenHash {
    /// Hashes a token with a salt of random bytes.
    pub fn new(token: &AgentToken, salt: [u8; 16]) -> Self {
        let digest = salted(&salt, token.expose());
        Self(format!(
            "sha256${}${}",
            URL_SAFE_NO_PAD.encode(salt),
            URL_SAFE_NO_PAD.encode(digest)
        ))
    }

    /// Takes over a hash that was stored, in either form.
    pub fn parse(text: &str) -> Result<Self, InvalidTokenHash> {
        parts(text).ok_or(InvalidTokenHash)?;
        Ok(Self(text.to_owned()))
    }

    /// Whether [`verify`](Self::verify) takes so long (a tenth of a second) that it belongs on a thread for blocking work.
    pub fn is_slow(&self) -> bool {
        parts(&self.0).is_some_and(|parts| matches!(parts.scheme, Scheme::Pbkdf2 { .. }))
    }

    /// Whether this is the hash of `token`; the time it takes tells nothing of how much of it is right.
    pub fn verify(&self, token: &str) -> bool {
        let Some(parts) = parts(&self.0) else { return false };
        if token.len() > TOKEN_LIMIT {
            return false;
        }
        let digest = match parts.scheme {
            Scheme::Sha256 => salted(&parts.salt, token),
            Scheme::Pbkdf2 { rounds } => pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(token.as_bytes(), &parts.salt, rounds),
        };
        digest.ct_eq(&parts.digest).into()
    }

    /// The text that a backend stores; [`TokenHash::parse`] reads it back. It is not for logs.
    pub fn as_stored(&self) -> &str {
        &self.0
    }
}

impl FromStr for TokenHash {
    type Err = InvalidTokenHash;

    fn from_str(text: &str) -> Result<Self, InvalidTokenHash> {
        Self::parse(text)
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

fn salted(salt: &[u8], token: &str) -> [u8; 32] {
    Sha256::new().chain_update(salt).chain_update(token).finalize().into()
}

fn parts(text: &str) -> Option<HashParts> {
    if text.len() > HASH_LIMIT {
        return None;
    }
    let mut fields = text.split('$');
    let scheme = match fields.next()? {
        "sha256" => Scheme::Sha256,
        "pbkdf2_sha256" => Scheme::Pbkdf2 {
            rounds: fields
                .next()?
                .parse()
                .ok()
                .filter(|rounds| (1..=MAX_ROUNDS).contains(rounds))?,
        },
        _ => return None,
    };
    let salt = decoded(fields.next()?).filter(|salt| !salt.is_empty())?;
    let digest = decoded(fields.next()?)?.try_into().ok()?;
    fields.next().is_none().then_some(HashParts { scheme, salt, digest })
}

/// Base64 of either alphabet, padded or not: the old hashes come from several libraries.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    URL_SAFE_NO_PAD
        .decode(text)
        .or_else(|_| STANDARD_NO_PAD.decode(text))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> AgentToken {
        AgentToken::from_bytes([7; 32])
    }

    #[test]
    fn a_token_is_43_url_safe_characters_and_its_hash_knows_it() {
        let token = token();
        assert_eq!(token.expose().len(), 43);
        let hash = TokenHash::new(&token, [1; 16]);
        assert!(hash.verify(token.expose()));
        assert!(!hash.verify(AgentToken::from_bytes([8; 32]).expose()));
        assert!(!hash.verify("") && !hash.verify(&"x".repeat(TOKEN_LIMIT + 1)));
        assert_eq!(TokenHash::parse(hash.as_stored()), Ok(hash));
    }

    #[test]
    fn the_same_token_with_another_salt_has_another_hash() {
        assert_ne!(TokenHash::new(&token(), [1; 16]), TokenHash::new(&token(), [2; 16]));
    }

    /// Digest computed by another implementation: Python's `hashlib.pbkdf2_hmac("sha256", b"agent-token-3", bytes(range(16)), 2000)`.
    #[test]
    fn a_hash_of_the_old_backend_is_verified_in_either_alphabet() {
        for digest in [
            "UvmKY_MoKZmYnnyNFll-WKzARuP-ZQCplwOZY9b9tDk",
            "UvmKY/MoKZmYnnyNFll+WKzARuP+ZQCplwOZY9b9tDk=",
        ] {
            let hash = TokenHash::parse(&format!("pbkdf2_sha256$2000$AAECAwQFBgcICQoLDA0ODw==${digest}")).unwrap();
            assert!(hash.verify("agent-token-3"));
            assert!(!hash.verify("agent-tokem-3"));
        }
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        let digest = URL_SAFE_NO_PAD.encode([0; 32]);
        for text in [
            String::new(),
            "sha256".into(),
            format!("sha256$${digest}"),
            "sha256$AAAA$AAAA".into(),
            format!("sha256$AAAA${digest}$more"),
            format!("sha256$A!AA${digest}"),
            format!("md5$AAAA${digest}"),
            format!("pbkdf2_sha256$0$AAAA${digest}"),
            format!("pbkdf2_sha256$1000001$AAAA${digest}"),
            format!("pbkdf2_sha256$-1$AAAA${digest}"),
            format!("sha256${}${digest}", "A".repeat(HASH_LIMIT)),
        ] {
            assert_eq!(TokenHash::parse(&text), Err(InvalidTokenHash), "{text}");
        }
    }

    #[test]
    fn nothing_of_a_token_or_a_hash_is_shown() {
        let hash = TokenHash::new(&token(), [1; 16]);
        let shown = format!("{:?} {hash:?} {:?}", token(), TokenHash::parse(token().expose()));
        assert_eq!(shown, "AgentToken(***) TokenHash(***) Err(InvalidTokenHash)");
    }
}
