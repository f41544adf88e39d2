//! Tells a reconnect to the same gateway process from one to a restarted gateway.
//!
//! It matters because a gateway remembers idempotency keys in memory only (5 minutes, 1,000 entries; 2026.3.13 and
//! 2026.9.6): after a restart the same key may run a second time.

use std::time::{Duration, Instant};

use crate::HelloOk;

/// The known facts of the gateway process behind a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootIdentity {
    boot_id: Option<String>,
    /// When the process said that it started, by our clock.
    started: Option<Instant>,
}

/// Whether the gateway behind two connections is the same life of the same process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Continuity {
    /// It kept its memory.
    Same,
    /// It was restarted.
    Restarted,
    /// It does not tell.
    Unknown,
}

impl BootIdentity {
    /// The largest difference between two readings of the same start: the delay of a slow line varies so much between two
    /// handshakes. A process that is started again needs at least two seconds until it answers (nine releases of 2026).
    const TOLERANCE: Duration = Duration::from_millis(1500);

    /// Reads it off a hello-ok that came at `now`.
    pub fn new(hello: &HelloOk, now: Instant) -> Self {
        let uptime = hello.snapshot.uptime_ms.map(Duration::from_millis);
        Self {
            boot_id: hello.server.boot_id.clone(),
            started: uptime.and_then(|uptime| now.checked_sub(uptime)),
        }
    }

    /// Compares with the connection before. `announced` is whether that one ended with a `shutdown` event or close
    /// 1012.
    ///
    /// `bootId` decides where there is one (2026.8.2 and later). Elsewhere an announcement, or a start that moved,
    /// proves a restart; nothing proves the contrary, since a restart inside the process keeps its uptime (seen on
    /// 2026.3.13) and may be announced while no client is connected.
    pub fn since(&self, before: &Self, announced: bool) -> Continuity {
        if let (Some(now), Some(before)) = (&self.boot_id, &before.boot_id) {
            return if now == before {
                Continuity::Same
            } else {
                Continuity::Restarted
            };
        }
        let moved = match (self.started, before.started) {
            (Some(now), Some(before)) => apart(now, before) > Self::TOLERANCE,
            _ => false,
        };
        if announced || moved {
            Continuity::Restarted
        } else {
            Continuity::Unknown
        }
    }
}

fn apart(a: Instant, b: Instant) -> Duration {
    a.saturating_duration_since(b).max(b.saturating_duration_since(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(boot_id: Option<&str>, started: Option<u64>) -> BootIdentity {
        #[expect(clippy::disallowed_methods, reason = "an Instant can't be made from nothing")]
        static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
        BootIdentity {
            boot_id: boot_id.map(str::to_owned),
            started: started.map(|seconds| *START + Duration::from_secs(seconds)),
        }
    }

    #[test]
    fn the_boot_id_decides_where_there_is_one() {
        let before = identity(Some("a"), Some(100));
        assert_eq!(identity(Some("a"), Some(900)).since(&before, true), Continuity::Same);
        assert_eq!(
            identity(Some("b"), Some(100)).since(&before, false),
            Continuity::Restarted
        );
    }

    #[test]
    fn without_a_boot_id_a_start_that_moved_is_a_restart_and_one_that_stayed_proves_nothing() {
        let before = identity(None, Some(100));
        assert_eq!(identity(None, Some(101)).since(&before, false), Continuity::Unknown);
        assert_eq!(identity(None, Some(102)).since(&before, false), Continuity::Restarted);
    }

    #[test]
    fn an_announced_restart_inside_the_process_keeps_the_uptime_and_is_a_restart() {
        let before = identity(None, Some(100));
        assert_eq!(identity(None, Some(100)).since(&before, true), Continuity::Restarted);
    }

    #[test]
    fn a_gateway_that_tells_nothing_leaves_it_unknown() {
        assert_eq!(
            identity(None, None).since(&identity(None, None), false),
            Continuity::Unknown
        );
    }
}
