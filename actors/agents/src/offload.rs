//! Work that takes long, beside the threads that drive sockets: rendering, and checking agents' tokens.
//!
//! The shipped templates take some tens of microseconds and are rendered where they are needed. Text of a user may take some
//! tenths of a second before its fuel is gone (measured: 0.2 s in a debug build, 17 MB), in which a thread of lines would read
//! no frame.
//!
//! An imported hash (PBKDF2 with up to a million rounds) takes a tenth of a second and more. It is not replaced by a fast hash after a
//! success: nothing tells how many random bits an imported token has.

use std::io;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;
use windlass_line::threads;
use windlass_store::{Agent, TokenHash};
use windlass_templates::{TemplateError, Templates};

/// Renderings of users' templates at a time in the process: the others wait. Two, so that one that uses up its fuel does not
/// hold up all; each may take 17 MB.
const AT_A_TIME: usize = 2;

/// How long a rendering may take, waiting for its turn included: fifty times the worst that was measured. The engine's fuel ends
/// the work itself; this ends the wait for it on a machine that gives it no time.
const DEADLINE: Duration = Duration::from_secs(10);

static TURNS: Semaphore = Semaphore::const_new(AT_A_TIME);

/// Renders, on a thread of its own where that works on text of a user (`is_users`).
pub(crate) async fn render<T: Send + 'static>(
    templates: &Templates,
    is_users: bool,
    work: impl FnOnce(&Templates) -> Result<T, TemplateError> + Send + 'static,
) -> Result<T, TemplateError> {
    if !is_users {
        return work(templates);
    }
    let templates = templates.clone();
    let rendered = timeout(DEADLINE, async {
        let turn = TURNS.acquire().await;
        // The turn ends with the work, not with the wait for it.
        let begun = threads::blocking(move || {
            let _turn = turn;
            work(&templates)
        });
        begun.map_err(io::Error::other)?.await.map_err(io::Error::other)
    });
    match rendered.await {
        Ok(Ok(end)) => end,
        Ok(Err(stopped)) => Err(TemplateError::NoThread(stopped)),
        Err(_) => Err(TemplateError::Late { limit: DEADLINE }),
    }
}

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
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[tokio::test]
    async fn text_of_a_user_is_worked_on_elsewhere_and_while_it_is_others_go_on() {
        let here = thread::current().id();
        let templates = Templates::shipped();
        let shipped = render(&templates, false, move |_| Ok(thread::current().id()))
            .await
            .unwrap();
        assert_eq!(shipped, here);

        // Nothing but this thread, which has to go on meanwhile, lets the work end.
        let (let_end, ended) = mpsc::channel();
        let work = render(&templates, true, move |_| {
            let _ = ended.recv();
            Ok(thread::current().id())
        });
        let (elsewhere, ()) = tokio::join!(work, async { let_end.send(()).unwrap() });
        assert_ne!(elsewhere.unwrap(), here);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_turn_in_time_is_told_so() {
        let turns = TURNS.acquire_many(u32::try_from(AT_A_TIME).unwrap()).await.unwrap();
        let late = render(&Templates::shipped(), true, |_| Ok(())).await;
        assert!(matches!(late, Err(TemplateError::Late { .. })), "{late:?}");
        drop(turns);
    }
}

#[cfg(test)]
mod verifying_tests {
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
