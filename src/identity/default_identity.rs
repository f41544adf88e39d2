//! The identity of this machine, for hosts that have no wish of their own.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use rand::TryRng as _;
use rand::rngs::SysRng;
use windlass_line::{Clock as _, TokioClock};
use windlass_protocol::DeviceIdentity;

use super::{DevicePathError, IdentityError, default_identity_path, load_or_create};

/// Why there is no default identity.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DefaultIdentityError {
    /// There is no place for it.
    #[error(transparent)]
    Path(#[from] DevicePathError),
    /// Its file can't be used or made.
    #[error(transparent)]
    File(#[from] IdentityError),
    /// The system gave no randomness for a new one.
    #[error("the system's random numbers can't be read: {0}")]
    Random(String),
}

/// Reads this machine's device identity, and creates it where there is none: at `OPENCLAW_GATEWAY_DEVICE_IDENTITY_PATH`, else
/// at `~/.openclaw/identity/device.json`, which OpenClaw's own clients use too. Blocks for a small file's time.
///
/// ```no_run
/// # fn example(spec: &mut windlass::GatewaySpec) -> Result<(), Box<dyn std::error::Error>> {
/// spec.device = Some(windlass::identity::load_default()?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`DefaultIdentityError`] names the file. An identity that is there and can't be used is never replaced.
pub fn load_default() -> Result<Arc<DeviceIdentity>, DefaultIdentityError> {
    let path = default_identity_path(|name| std::env::var_os(name))?;
    let mut seed = [0; 32];
    SysRng
        .try_fill_bytes(&mut seed)
        .map_err(|error| DefaultIdentityError::Random(error.to_string()))?;
    let since = TokioClock::start()
        .wall()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Ok(Arc::new(load_or_create(&path, now_ms, seed)?))
}
