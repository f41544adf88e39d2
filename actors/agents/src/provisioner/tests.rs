//! The provisioner on a store and gateways in memory, in virtual time.

pub(crate) mod bench;
mod crash;
mod fleet;
mod housekeeping;
mod provision;
mod reconcile;
mod records;
mod supervised;
mod sync;
