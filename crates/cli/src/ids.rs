//! Ids of records: random ones for new records, and the short form that tables show.

use std::fmt::Display;

use rand::TryRng as _;
use rand::rngs::SysRng;

use crate::exit::Failure;

/// Shortest beginning of an id that is taken for the id: shorter ones are more likely meant as names.
pub(crate) const SHORTEST_PREFIX: usize = 4;

/// How much of an id tables show; any unique beginning names the record.
pub(crate) const SHOWN_ID: usize = 8;

/// The first characters of an id, which name its record as long as no other begins so.
pub(crate) fn short(id: impl Display) -> String {
    id.to_string().chars().take(SHOWN_ID).collect()
}

/// An id for a new record.
pub(crate) fn new_id<T>(make: fn([u8; 16]) -> T) -> Result<T, Failure> {
    Ok(make(random()?))
}

/// Bytes of the system's randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
        Failure::usage(
            format!("The system's random numbers can't be read: {error}"),
            "Check /dev/urandom.",
        )
    })?;
    Ok(bytes)
}
