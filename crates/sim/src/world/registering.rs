//! One more gateway that comes and goes.

use std::time::Duration;

use crate::dice::Dice;

/// One world in so many has one.
const COMES_AND_GOES: u32 = 6;

/// Separates these draws from the other draws, so that the other parts of a world stay unchanged.
const APART: u64 = 0x5eed_0f0e_a7e2_a117;

/// An operation on the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegistryRequest {
    Add,
    Update,
    /// With the time for the work in flight.
    Remove(Duration),
}

/// One operation.
#[derive(Clone, Debug)]
pub(crate) struct RegistryPlan {
    pub(crate) at: Duration,
    pub(crate) wish: RegistryRequest,
    /// Its future is dropped then; nothing where it is waited for.
    pub(crate) patience: Option<Duration>,
}

impl RegistryPlan {
    /// The operations of a world; none in most. Many at the same moments: that is where they meet.
    pub(super) fn all(seed: u64, span: Duration) -> Vec<Self> {
        let mut dice = Dice::new(seed ^ APART);
        if !dice.one_in(COMES_AND_GOES) {
            return Vec::new();
        }
        let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(2);
        let moments: Vec<_> = (0..dice.count(1..6)).map(|_| dice.millis(0..span)).collect();
        let count = dice.count(2..16);
        (0..count).map(|_| Self::draw(&mut dice, &moments)).collect()
    }

    fn draw(dice: &mut Dice, moments: &[Duration]) -> Self {
        let wish = match dice.count(0..5) {
            0 | 1 => RegistryRequest::Add,
            2 => RegistryRequest::Update,
            _ => RegistryRequest::Remove(dice.millis(0..3_000)),
        };
        Self {
            at: dice.pick(moments),
            wish,
            patience: dice.one_in(2).then(|| dice.millis(0..4)),
        }
    }
}
