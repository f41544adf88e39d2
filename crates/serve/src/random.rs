//! Bytes of the system's randomness, for ids and tokens.

use rand::TryRng as _;
use rand::rngs::SysRng;
use windlass_operations::{OperationError, OperationErrorCode};

/// Random bytes.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], OperationError> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
        OperationError::new(
            OperationErrorCode::Internal,
            format!("The system's random numbers can't be read: {error}"),
            "Check /dev/urandom on the host of the service.",
        )
    })?;
    Ok(bytes)
}
