//! No metrics: the same interface, compiled to nothing.

use std::time::{Duration, SystemTime};

use windlass_protocol::{GatewayId, Generation, MethodName};

use super::Metering;

/// Gives the recorder a description of each metric; here there is none.
pub const fn describe() {}

#[derive(Debug)]
pub(crate) struct CallMeter;

#[expect(clippy::unused_self, reason = "the interface of the other one")]
impl CallMeter {
    pub(crate) const fn new(_gateway: &GatewayId, _metering: Metering) -> Self {
        Self
    }

    pub(crate) const fn of(&self, _method: &MethodName) -> Option<MethodMeter> {
        None
    }
}

/// There is none.
#[derive(Debug)]
pub(crate) enum MethodMeter {}

impl MethodMeter {
    pub(crate) const fn ended(&self, _outcome: &'static str, _took: Duration) {
        match *self {}
    }
}

#[derive(Debug, Default)]
pub(crate) struct LineMeter;

#[expect(clippy::unused_self, reason = "the interface of the other one")]
impl LineMeter {
    pub(crate) const fn new(_id: &GatewayId, _metering: Metering) -> Self {
        Self
    }

    pub(crate) const fn calls(&self, _in_flight: usize, _waiting: usize) {}

    pub(crate) const fn event(&self) {}

    pub(crate) const fn gap(&self, _lost: u64) {}

    pub(crate) const fn lagged(&self, _dropped: u64) {}

    pub(crate) const fn up(&self, _generation: Generation, _at: SystemTime) {}

    pub(crate) const fn ended(&self, _reason: &'static str) {}
}

pub(crate) const fn restarted(_what: &'static str) {}

pub(crate) const fn blocked(_what: &'static str) {}
