//! What happens to the line while somebody talks over it.

use tokio::sync::watch::Receiver;
use windlass::{Gateway, LineState, LineStatus};
use windlass_line::{EventFilter, LineEvent, Marker, Subscription};

use crate::output::advice_line;

/// Markers that may wait: nobody reads as many cuts.
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
