//! The control plane against simulated gateways, in virtual time.

#![cfg(test)]

mod agents;
mod bench;
mod contract;
mod sessions;
mod writes;
