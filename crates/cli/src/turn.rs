//! One message and what becomes of it, as a command shows it.
//!
//! | module | what |
//! |---|---|
//! | `spoken` | text as it comes, put together |
//! | `screen` | where it is shown: a terminal, a pipe, JSON lines |
//! | `end` | how it ended: exit code, words, JSON |
//! | `notices` | what happens to the line meanwhile |
//! | `interrupts` | Ctrl-C |

mod end;
mod notices;
mod screen;
mod spoken;

use std::pin::Pin;

use windlass_protocol::SessionKey;

pub(crate) use end::{ended, not_sent, started};
pub(crate) use notices::Notices;
pub(crate) use screen::Screen;
pub(crate) use spoken::{Piece, Spoken};

use crate::exit::Failure;
use crate::interrupts::{Interrupt, Interrupts};
use windlass::sessions::{AskError, Following, RunEnd, RunProgress, Sessions};

/// Longest message taken, in bytes: gateways take frames of 25 MiB, and 600 KB were seen to work.
pub(crate) const TEXT_BYTES: usize = 1024 * 1024;

/// What Ctrl-C does while an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// Nobody waits any more; the agent goes on.
    Leave,
    /// The run is stopped; a second one leaves.
    Abort,
}

/// A turn of a session.
pub(crate) struct Turn<'a> {
    pub(crate) sessions: &'a Sessions,
    pub(crate) session: &'a SessionKey,
    pub(crate) on_interrupt: OnInterrupt,
    /// Nothing is waited for but the gateway's word that it has the message.
    pub(crate) until_started: bool,
}

/// What became of following it.
#[derive(Debug)]
pub(crate) enum Followed {
    Ended(RunEnd),
    /// Only with [`Turn::until_started`].
    Started {
        run_id: String,
    },
    /// It was stopped, as Ctrl-C asked.
    Stopped,
    /// It goes on, and nobody waits for it.
    Left,
}

type Aborting<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>, AskError>> + Send + 'a>>;

impl<'a> Turn<'a> {
    /// Shows a message's progress to its end.
    pub(crate) async fn follow(
        &self,
        mut following: Following,
        screen: &mut Screen<'_>,
        notices: &mut Notices,
        interrupts: &mut Interrupts,
    ) -> Result<Followed, Failure> {
        let key = following.key().to_owned();
        let mut run = key.clone();
        let mut aborting: Option<Aborting<'a>> = None;
        let mut asked_to_abort = false;
        screen.wait();
        loop {
            tokio::select! {
                biased;
                interrupt = interrupts.next() => {
                    let leaves = self.on_interrupt == OnInterrupt::Leave || asked_to_abort;
                    if leaves || interrupt == Interrupt::Terminate {
                        screen.break_off();
                        return Ok(Followed::Left);
                    }
                    asked_to_abort = true;
                    screen.notice("stopping; again to leave at once");
                    aborting = Some(self.abort(run.clone()));
                }
                ended = pending(&mut aborting) => {
                    aborting = None;
                    tell_abort(&ended, screen);
                }
                progress = following.next() => {
                    let Some(progress) = progress else { break };
                    match &progress {
                        RunProgress::Started { run_id } if self.until_started => {
                            return Ok(Followed::Started { run_id: run_id.clone() });
                        }
                        RunProgress::Started { run_id } | RunProgress::HandedOn { to: run_id } => run.clone_from(run_id),
                        _ => {}
                    }
                    screen.progress(&progress)?;
                }
                notice = notices.next() => screen.notice(&notice),
            }
        }
        let end = following.end().await.map_err(|error| end::interrupted(error, &key))?;
        screen.end(&end)?;
        if asked_to_abort && matches!(end, RunEnd::Aborted { .. }) {
            screen.notice_last("stopped");
            return Ok(Followed::Stopped);
        }
        Ok(Followed::Ended(end))
    }

    fn abort(&self, run: String) -> Aborting<'a> {
        let (sessions, session) = (self.sessions, self.session);
        Box::pin(async move { sessions.abort(session, Some(&run)).await })
    }
}

/// Waits for an abort that is under way; for ever where none is.
async fn pending(aborting: &mut Option<Aborting<'_>>) -> Result<Vec<String>, AskError> {
    match aborting {
        Some(aborting) => aborting.await,
        None => std::future::pending().await,
    }
}

fn tell_abort(ended: &Result<Vec<String>, AskError>, screen: &mut Screen<'_>) {
    match ended {
        // The run's own end says the rest.
        Ok(runs) if !runs.is_empty() => {}
        Ok(_) => screen.notice("the gateway has nothing to stop: the run is over, or has not begun"),
        Err(error) => screen.notice(&format!("not stopped: {error}")),
    }
}
