//! Tokens of agents, checked beside the threads that drive sockets.
//!
//! An imported hash (PBKDF2 with up to a million rounds) takes a tenth of a second and more. It is not replaced by a fast hash after a
//! success: nothing tells how many random bits an imported token has.

use windlass_line::threads;
use windlass_store::{Agent, TokenHash};

/// Whether `hash` is that of `token`. On a thread for blocking work if the hash is slow, unless the system gives none.
pub(crate) async fn verify(hash: Option<&TokenHash>, token: &str) -> bool {
    let Some(hash) = hash else { return false };
    if !hash.is_slow() {
        return hash.verify(token);
    }
    let (owned, text) = (hash.clone(), token.to_owned());
    match threads::blocking(move || owned.verify(&text)) {
        Ok(verified) => verified.await.unwrap_or(false),
        Err(_) => hash.verify(token),
    }
}

/// Whether `token` is the agent's, or the one that it is being given. Both are checked, so that the time does not tell which.
pub(crate) async fn knows_token(agent: &Agent, token: &str) -> bool {
    let current = verify(agent.token_hash.as_ref(), token).await;
    let next = verify(agent.next_token_hash.as_ref(), token).await;
    current | next
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// `agent-token-3` with a salt of sixteen bytes, as the backend of before hashes it, but with ten times the rounds.
    const IMPORTED: &str = "pbkdf2_sha256$1000000$c2FsdHNhbHRzYWx0c2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

    #[tokio::test]
    async fn the_thread_goes_on_while_an_imported_hash_is_verified() {
        let hash = TokenHash::parse(IMPORTED).expect("a hash");
        let mut turns = 0_u32;
        let verified = tokio::select! {
            verified = verify(Some(&hash), "another token") => verified,
            () = async {
                loop {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    turns += 1;
                }
            } => true,
        };
        assert!(!verified);
        assert!(turns > 0, "nothing else ran meanwhile");
    }
}
