//! Agents on gateways: provisioned, kept up to date, and coordinated.
//!
//! | module | contents |
//! |---|---|
//! | [`control_plane`] | agents, files and sessions of one gateway |
//! | [`provisioner`] | agents, brought to their gateways and looked after |
//! | [`coordinator`] | messages between people and agents, and their permissions |

pub mod control_plane;
pub mod coordinator;
mod offload;
pub mod provisioner;
