//! The states of all lines, each with the number of its last change.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use tokio::sync::watch;
use windlass::{GatewayId, LineStatus};
use windlass_store::GatewayUid;

use super::ring::BATCH;
use crate::gateways::LineView;
use crate::service::Service;

/// The interval between two looks for lines that are new.
const LOOK: std::time::Duration = std::time::Duration::from_secs(1);

/// A state of a line, written once for all viewers.
#[derive(Debug, Clone)]
pub(crate) struct LineChange {
    pub(crate) gateway: GatewayUid,
    pub(crate) data: Arc<str>,
}

/// The last change of each line. Quick changes of one line are seen as one.
#[derive(Debug, Default)]
pub(crate) struct LineBoard {
    changes: BTreeMap<u64, LineChange>,
    numbers: HashMap<GatewayUid, u64>,
    last: u64,
}

impl LineBoard {
    pub(super) fn put(&mut self, change: LineChange) {
        self.last += 1;
        if let Some(before) = self.numbers.insert(change.gateway, self.last) {
            self.changes.remove(&before);
        }
        self.changes.insert(self.last, change);
    }

    /// Changes after a number, a batch of them, with their numbers.
    pub(crate) fn after(&self, number: u64) -> Vec<(u64, LineChange)> {
        let later = self.changes.range(number + 1..);
        later
            .take(BATCH)
            .map(|(number, change)| (*number, change.clone()))
            .collect()
    }
}

#[derive(Serialize)]
struct LineData<'a> {
    kind: &'static str,
    gateway: &'a str,
    line: LineView,
}

type Changed = (GatewayId, watch::Receiver<LineStatus>, bool);

/// Keeps the board true. Never ends.
pub(crate) async fn follow(service: Service) {
    let mut followed: HashSet<GatewayId> = HashSet::new();
    let mut changes = FuturesUnordered::new();
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = look.tick() => {
                for line in service.windlass().gateways() {
                    if followed.insert(line.id().clone()) {
                        let mut status = line.status();
                        note(&service, line.id(), &mut status);
                        changes.push(changed(line.id().clone(), status));
                    }
                }
            }
            Some((id, mut status, goes_on)) = changes.next(), if !changes.is_empty() => {
                note(&service, &id, &mut status);
                if goes_on {
                    changes.push(changed(id, status));
                } else {
                    // A line that is opened anew under this id is found by the next look.
                    followed.remove(&id);
                }
            }
        }
    }
}

async fn changed(id: GatewayId, mut status: watch::Receiver<LineStatus>) -> Changed {
    let goes_on = status.changed().await.is_ok();
    (id, status, goes_on)
}

fn note(service: &Service, id: &GatewayId, status: &mut watch::Receiver<LineStatus>) {
    let line = LineView::of(&status.borrow_and_update());
    let data = LineData {
        kind: "line",
        gateway: id.as_str(),
        line,
    };
    if let Ok(data) = serde_json::to_string(&data) {
        service.feed().change_line(LineChange {
            gateway: GatewayUid::of_line(id),
            data: data.into(),
        });
    }
}
