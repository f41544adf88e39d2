//! Identifiers from a seeded generator: the same seed gives the same run.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// The gateway's only source of randomness.
#[derive(Debug)]
pub(crate) struct Random(StdRng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    /// A version 4 UUID in its usual text form.
    pub(crate) fn uuid(&mut self) -> String {
        let bits: u128 = self.0.random();
        let hex = format!(
            "{:032x}",
            (bits & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62)
        );
        format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
    }

    /// 32 random bytes as base64url: the form of device tokens.
    pub(crate) fn token(&mut self) -> String {
        URL_SAFE_NO_PAD.encode(self.0.random::<[u8; 32]>())
    }
}

#[cfg(test)]
mod tests {
    use super::Random;

    #[test]
    fn the_same_seed_gives_the_same_version_4_uuid() {
        let id = Random::new(7).uuid();
        assert_eq!(id, Random::new(7).uuid());
        assert_ne!(id, Random::new(8).uuid());
        assert_eq!((id.len(), &id[14..15]), (36, "4"));
        assert!("89ab".contains(&id[19..20]), "variant of {id}");
    }
}
