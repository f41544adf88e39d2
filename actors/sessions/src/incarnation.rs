//! Which gateway process an attempt went to, in a form that outlives our own process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use windlass_protocol::connection::Continuity;

use windlass_line::{LineState, LineStatus};

/// What is known of the gateway process behind a line that is up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct GatewayIncarnation {
    /// Changes with each start (from 2026.8.2 on).
    #[serde(skip_serializing_if = "Option::is_none")]
    boot_id: Option<String>,
    /// When the process said that it started, in ms since 1970 by our clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    started_ms: Option<u64>,
}

impl GatewayIncarnation {
    /// How far two readings of the same start may lie apart: what the system's clock may have been set by between our two
    /// processes. Between connections of one process a finer rule holds
    /// ([`BootIdentity`](windlass_protocol::connection::BootIdentity)).
    const TOLERANCE: Duration = Duration::from_secs(10);

    #[cfg(test)]
    pub(super) fn new(boot_id: Option<&str>, started_ms: Option<u64>) -> Self {
        Self {
            boot_id: boot_id.map(str::to_owned),
            started_ms,
        }
    }

    /// Reads it off a line; of one that is not up nothing is known.
    pub(super) fn of(status: &LineStatus) -> Self {
        let LineState::Up { hello } = &status.state else {
            return Self::default();
        };
        let uptime = hello.snapshot.uptime_ms.map(Duration::from_millis);
        Self {
            boot_id: hello.server.boot_id.clone(),
            started_ms: uptime.and_then(|uptime| millis(status.since.checked_sub(uptime)?)),
        }
    }

    /// Compares with an earlier life. The boot id decides where there is one; elsewhere a start that moved proves a restart, and
    /// nothing proves the contrary: one inside the process keeps its uptime (2026.3.13).
    pub(super) fn since(&self, before: &Self) -> Continuity {
        if let (Some(now), Some(before)) = (&self.boot_id, &before.boot_id) {
            return if now == before {
                Continuity::Same
            } else {
                Continuity::Restarted
            };
        }
        match (self.started_ms, before.started_ms) {
            (Some(now), Some(before)) if Duration::from_millis(now.abs_diff(before)) > Self::TOLERANCE => {
                Continuity::Restarted
            }
            _ => Continuity::Unknown,
        }
    }
}

fn millis(time: SystemTime) -> Option<u64> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    u64::try_from(since.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_id_decides_where_there_is_one_and_a_start_that_moved_elsewhere() {
        let life = |boot, seconds: u64| GatewayIncarnation::new(boot, Some(seconds * 1000));
        assert_eq!(life(Some("a"), 900).since(&life(Some("a"), 100)), Continuity::Same);
        assert_eq!(life(Some("b"), 100).since(&life(Some("a"), 100)), Continuity::Restarted);
        assert_eq!(life(None, 100).since(&life(None, 105)), Continuity::Unknown);
        assert_eq!(life(None, 100).since(&life(None, 120)), Continuity::Restarted);
        assert_eq!(
            life(None, 100).since(&GatewayIncarnation::default()),
            Continuity::Unknown
        );
    }
}
