//! One message, followed to its end and shown as it progresses.
//!
//! | module | contents |
//! |---|---|
//! | `screen` | the answer on a terminal as it comes, in a pipe when it is whole |
//! | `end` | the text and the exit code of each end |
//!
//! Changes of the line during the wait are shown as notices.

mod end;
mod screen;

use std::pin::Pin;

use tokio::sync::watch::Receiver;
use windlass::sessions::{AskError, MessageHandle, RunEnd, RunProgress, Sessions};
use windlass::{Gateway, LineState, LineStatus};
use windlass_line::{EventFilter, LineEvent, Marker, Subscription};
use windlass_protocol::SessionKey;

use crate::exit::Failure;
use crate::interrupts::{Interrupt, Interrupts};
use crate::output::advice_line;
pub(crate) use end::{ended, not_sent, started};
pub(crate) use screen::{Piece, ShownAnswer, TurnScreen};

/// Longest message taken, in bytes: gateways take frames of 25 MiB, and 600 KB were seen to work.
pub(crate) const TEXT_BYTES: usize = 1024 * 1024;

/// The effect of Ctrl-C during the wait for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// The program stops waiting; the agent continues.
    Leave,
    /// The run is stopped; a second one leaves.
    Abort,
}

/// A turn of a session.
pub(crate) struct FollowedMessage<'a> {
    pub(crate) sessions: &'a Sessions,
    pub(crate) session: &'a SessionKey,
    pub(crate) on_interrupt: OnInterrupt,
    /// Nothing is waited for but the gateway's word that it has the message.
    pub(crate) until_started: bool,
}

/// The result of following a message.
#[derive(Debug)]
pub(crate) enum Followed {
    Ended(RunEnd),
    /// Only with [`FollowedMessage::until_started`].
    Started {
        run_id: String,
    },
    /// It was stopped, as Ctrl-C asked.
    Stopped,
    /// The message continues, and the program stops waiting.
    Left,
}

type Aborting<'a> = Pin<Box<dyn Future<Output = Result<Vec<String>, AskError>> + Send + 'a>>;

impl<'a> FollowedMessage<'a> {
    /// Shows a message's progress to its end.
    pub(crate) async fn follow(
        &self,
        mut following: MessageHandle,
        screen: &mut TurnScreen<'_>,
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
                    screen.notice("stopping; press Ctrl-C again to exit at once");
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

fn tell_abort(ended: &Result<Vec<String>, AskError>, screen: &mut TurnScreen<'_>) {
    match ended {
        // The run's own end says the rest.
        Ok(runs) if !runs.is_empty() => {}
        Ok(_) => screen.notice("the gateway has nothing to stop: the run is over, or has not begun"),
        Err(error) => screen.notice(&format!("not stopped: {error}")),
    }
}

/// The bound of markers that wait to be shown: more cuts than a person reads.
const MARKERS: usize = 64;

/// Cuts, restarts and refusals, in words.
pub(crate) struct Notices {
    markers: Subscription,
    status: Receiver<LineStatus>,
    /// The refusal that was told last: told once, not once per attempt.
    told: Option<String>,
}

impl Notices {
    /// Those of a line that is up.
    pub(crate) fn of(gateway: &Gateway) -> Self {
        let mut status = gateway.status();
        status.mark_unchanged();
        // Markers pass every filter; the one event that is let through with them is rare.
        let filter = EventFilter::all().name("shutdown");
        Self {
            markers: gateway.events_bounded(filter, MARKERS),
            status,
            told: None,
        }
    }

    /// The next one. May be dropped and asked again.
    pub(crate) async fn next(&mut self) -> String {
        loop {
            tokio::select! {
                item = self.markers.next() => match item {
                    Some(LineEvent::Marker(marker)) => {
                        if let Some(words) = words(&marker) {
                            return words;
                        }
                    }
                    Some(LineEvent::Event(_)) => {}
                    None => std::future::pending().await,
                },
                changed = self.status.changed() => {
                    if changed.is_err() {
                        std::future::pending::<()>().await;
                    }
                    if let Some(words) = self.refusal() {
                        return words;
                    }
                }
            }
        }
    }

    /// Why the line does not come back by itself.
    fn refusal(&mut self) -> Option<String> {
        let status = self.status.borrow_and_update().clone();
        let LineState::Paused { .. } = status.state else {
            if status.is_up() {
                self.told = None;
            }
            return None;
        };
        let words = advice_line(&status.last_error?.advice);
        if self.told.as_ref() == Some(&words) {
            return None;
        }
        self.told = Some(words.clone());
        Some(words)
    }
}

fn words(marker: &Marker) -> Option<String> {
    match marker {
        Marker::Disconnected { .. } => Some("the line broke; connecting again".to_owned()),
        Marker::Reconnected {
            generation,
            gateway_restarted,
        } if generation.number() > 1 => Some(
            match gateway_restarted {
                Some(true) => "connected again; the gateway was restarted meanwhile",
                _ => "connected again",
            }
            .to_owned(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use windlass_protocol::Generation;

    use super::*;

    #[test]
    fn cuts_and_restarts_are_told_and_the_first_connection_is_not() {
        let connected = |number, gateway_restarted| {
            words(&Marker::Reconnected {
                generation: Generation::new(number),
                gateway_restarted,
            })
        };
        assert_eq!(connected(1, None), None);
        assert!(connected(2, Some(true)).unwrap().contains("restarted"));
        assert_eq!(connected(3, Some(false)).unwrap(), "connected again");
        let generation = Generation::new(1);
        assert!(words(&Marker::Disconnected { generation }).unwrap().contains("broke"));
    }
}
