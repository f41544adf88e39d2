//! Tokens of people and programs.
//!
//! A token is `wl_` and 32 random bytes as URL-safe base64. It is shown once, when it is made. The SHA-256 of a token is kept: a token
//! is 256 random bits, so a slow hash would protect nothing and cost every request.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use utoipa::ToSchema;
use windlass_protocol::Secret;
use windlass_store::backend::name_key;
use windlass_store::{ApiTokenId, ApiTokenRecord, Store, Timestamp};

use crate::access::{Caller, Front, Role, Scope};
use crate::audit::{self, AuditChange};
use crate::caches::CachedToken;
pub use crate::caches::TOKEN_CACHED as CACHED;
use crate::error::OperationError;
use crate::page::ListPage;
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

/// A token, without the token itself.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its rights.
    pub role: Role,
    /// The time at which it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// The time from which on it is not accepted.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// The time of its last use, within a minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used_at: Option<Timestamp>,
    /// The time at which it was revoked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub revoked_at: Option<Timestamp>,
}

/// A token that was made just now. `Debug` shows nothing of the token.
#[derive(Serialize, ToSchema)]
pub struct NewToken {
    /// The token itself. It is shown this once and is stored nowhere.
    pub token: String,
    /// Its record.
    #[serde(flatten)]
    pub record: TokenView,
}

impl fmt::Debug for NewToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewToken")
            .field("record", &self.record)
            .finish_non_exhaustive()
    }
}

/// The longest life of a token that expires, in seconds: ten years.
pub const LONGEST_LIFE_S: u64 = 3650 * 24 * 3600;

/// A token to make.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenInput {
    /// Its name, unique, ignoring case.
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    /// Its rights.
    pub role: Role,
    /// The time until it is not accepted any more, in seconds; never by default.
    #[schema(minimum = 1, maximum = 315_360_000)]
    pub expires_in_s: Option<u64>,
}

/// Makes a token.
///
/// # Errors
/// Missing scope, a name that is taken or empty, or the store's.
pub async fn create(
    store: &dyn Store,
    caller: &Caller,
    input: TokenInput,
    random: ([u8; 16], [u8; 32]),
    now: Timestamp,
) -> Result<NewToken, OperationError> {
    caller.require(Scope::Admin)?;
    let is_taken = |life: u64| (1..=LONGEST_LIFE_S).contains(&life);
    if !input.expires_in_s.is_none_or(is_taken) {
        let why = format!("is not from 1 to {LONGEST_LIFE_S}");
        return Err(OperationError::invalid("expires_in_s", why));
    }
    let token = ApiToken::from_bytes(random.1);
    let record = ApiTokenRecord {
        id: ApiTokenId::from_bytes(random.0),
        name: input.name.trim().to_owned(),
        role: input.role.stored(),
        hash: *token.hash().as_bytes(),
        created_at: now,
        expires_at: input.expires_in_s.map(|seconds| now + Duration::from_secs(seconds)),
        last_used_at: None,
        revoked_at: None,
    };
    store.insert_api_token(&record).await?;
    let message = format!("token {:?} with the role {}", record.name, input.role);
    audit::record(store, caller, AuditChange::new("token.created", &message), now).await?;
    Ok(NewToken {
        token: token.expose().to_owned(),
        record: TokenView::of(record),
    })
}

/// All tokens, by name.
///
/// # Errors
/// Missing scope, or the store's.
pub async fn list(store: &dyn Store, caller: &Caller) -> Result<ListPage<TokenView>, OperationError> {
    caller.require(Scope::Admin)?;
    let tokens = store.api_tokens().await?;
    Ok(ListPage {
        items: tokens.into_iter().map(TokenView::of).collect(),
        next_cursor: None,
    })
}

/// Revokes a token, by its id or name. Requests with it are refused within [`CACHED`], in the process of a [`Service`] at once where it
/// [forgets its tokens](Service::forget_tokens).
///
/// # Errors
/// Missing scope, no such token, or the store's.
pub async fn revoke(
    store: &dyn Store,
    caller: &Caller,
    token: &str,
    now: Timestamp,
) -> Result<TokenView, OperationError> {
    caller.require(Scope::Admin)?;
    let wanted = |record: &&ApiTokenRecord| record.id.to_string() == token || name_key(&record.name) == name_key(token);
    let find = async || {
        let tokens = store.api_tokens().await?;
        let found = tokens.iter().find(wanted).cloned();
        found.ok_or_else(|| OperationError::not_found("token", token))
    };
    let found = find().await?;
    if found.revoked_at.is_some() {
        return Ok(TokenView::of(found));
    }
    store.revoke_api_token(found.id, now).await?;
    let message = format!("token {:?}", found.name);
    audit::record(store, caller, AuditChange::new("token.revoked", &message), now).await?;
    Ok(TokenView::of(find().await?))
}

/// The interval between two notes of a token's use: each is a write.
const TOUCHED: Duration = Duration::from_secs(60);

/// The caller with this token; `None` for a token that is not known, revoked or expired.
///
/// # Errors
/// The store's.
pub async fn caller(service: &Service, hash: &ApiTokenHash) -> Result<Option<Caller>, OperationError> {
    let now = service.now();
    let cache = service.token_cache();
    let token = match cache.get(hash.as_bytes(), now) {
        Some(cached) => Some(cached.token),
        None => look_up(service, hash, now).await?,
    };
    let valid = token.filter(|token| token.is_valid(now));
    Ok(valid.map(|token| Caller::new(token.name, Role::of_stored(token.role), Front::Api)))
}

/// Looks a token up, notes its use, and remembers it.
async fn look_up(
    service: &Service,
    hash: &ApiTokenHash,
    now: Timestamp,
) -> Result<Option<ApiTokenRecord>, OperationError> {
    let cache = service.token_cache();
    let Some(token) = service.store().api_token_by_hash(hash.as_bytes()).await? else {
        return Ok(None);
    };
    let last = cache.last_touch(hash.as_bytes()).or(token.last_used_at);
    let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= TOUCHED);
    if is_due && token.is_valid(now) {
        service.store().touch_api_token(token.id, now).await?;
    }
    let cached = CachedToken {
        token: token.clone(),
        looked_up: now,
        touched: if is_due { now } else { last.unwrap_or(now) },
    };
    cache.put(hash.as_bytes(), cached);
    Ok(Some(token))
}

impl TokenView {
    fn of(record: ApiTokenRecord) -> Self {
        Self {
            id: record.id.to_string(),
            name: record.name,
            role: Role::of_stored(record.role),
            created_at: record.created_at,
            expires_at: record.expires_at,
            last_used_at: record.last_used_at,
            revoked_at: record.revoked_at,
        }
    }
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
