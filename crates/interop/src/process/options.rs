//! The options of a gateway.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::SecretString;
use serde_json::Value;

/// How long a gateway may take to accept its first `connect`.
///
/// The slowest first start of the nine measured releases took 30 s (2026.2.26); other builds on
/// the same two cores make it three times that.
pub const READY_DEADLINE: Duration = Duration::from_secs(180);
/// The options of a gateway that a caller may set.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// Merged into the generated configuration, e.g. `{"gateway": {"trustedProxies": [..]}}`.
    pub config: Value,
    /// Used and kept instead of a scratch folder.
    pub state_dir: Option<PathBuf>,
    /// A fixed port instead of a free one.
    pub port: Option<u16>,
    /// A fixed token instead of a random one.
    pub token: Option<SecretString>,
    /// How long the gateway may take to accept a `connect`.
    pub ready_within: Duration,
    /// Where the end of the log goes when the gateway is dropped.
    pub logs: LogShelf,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            config: Value::Object(serde_json::Map::new()),
            state_dir: None,
            port: None,
            token: None,
            ready_within: READY_DEADLINE,
            logs: LogShelf::default(),
        }
    }
}

/// Keeps the ends of the logs of gateways that are gone. A clone is the same shelf.
#[derive(Clone, Debug, Default)]
pub struct LogShelf(Arc<Mutex<Vec<String>>>);

impl LogShelf {
    /// Takes all logs from the shelf, in the order in which their gateways ended.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn put(&self, log: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shelf_gives_its_logs_once() {
        let shelf = LogShelf::default();
        shelf.clone().put("end".to_owned());
        assert_eq!(shelf.take(), ["end"]);
        assert!(shelf.take().is_empty());
    }
}
