//! A line's event stream, read with deadlines.

use std::time::Duration;

use serde_json::Value;
use windlass::{EventFilter, Gateway, Generation, LineEvent, Marker, Subscription};

use crate::scenario::Failure;

/// Room for everything that a scenario lets happen before it looks: a slow run sends some hundreds.
const QUEUE: usize = 8192;

/// One item of the stream.
#[derive(Clone, Debug)]
pub(in super::super) enum Item {
    /// An event: its name and its payload.
    Event(String, Value),
    /// A word about the stream.
    Marker(Marker),
}

/// A line's events and markers in their order.
pub(in super::super) struct Stream {
    events: Subscription,
}

impl Stream {
    /// Everything of the line from now on.
    pub(in super::super) fn of(gateway: &Gateway) -> Self {
        Self {
            events: gateway.events_bounded(EventFilter::all(), QUEUE),
        }
    }

    /// The end of the connection; tells which one ended.
    pub(in super::super) async fn down(&mut self, within: Duration) -> Result<Generation, Failure> {
        self.find("the end of the connection", within, |item| match item {
            Item::Marker(Marker::Disconnected { generation }) => Some(generation),
            Item::Marker(_) | Item::Event(..) => None,
        })
        .await
    }

    /// The next connection; tells which one it is, and whether the gateway restarted.
    pub(in super::super) async fn back(&mut self, within: Duration) -> Result<(Generation, Option<bool>), Failure> {
        self.find("the next connection", within, |item| match item {
            Item::Marker(Marker::Reconnected {
                generation,
                gateway_restarted,
            }) => Some((generation, gateway_restarted)),
            Item::Marker(_) | Item::Event(..) => None,
        })
        .await
    }

    /// The first thing that `pick` takes, within `within`; `what` names it in the failure.
    pub(in super::super) async fn find<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut pick: impl FnMut(Item) -> Option<T>,
    ) -> Result<T, Failure> {
        let search = async {
            while let Some(item) = self.events.next().await {
                let item = match item {
                    LineEvent::Marker(marker) => match *marker {
                        Marker::Lagged(count) => {
                            return Err(Failure::new(format!("the stream of a quick reader lost {count} items")));
                        }
                        other => Item::Marker(other),
                    },
                    LineEvent::Event(event) => Item::Event(event.name.to_string(), event.decode()?),
                };
                if let Some(found) = pick(item) {
                    return Ok(found);
                }
            }
            Err(Failure::new(format!("the stream ended before {what}")))
        };
        let found = tokio::time::timeout(within, search).await;
        found.unwrap_or_else(|_| {
            let within = within.as_secs();
            Err(Failure::new(format!("{what} did not come within {within} s")))
        })
    }
}
