//! Agents on gateways: provisioned, kept up to date, and coordinated.
//!
//! | where | what |
//! |---|---|
//! | [`control_plane`] | what a gateway is told about its agents |
//! | [`provisioner`] | agents, brought to their gateways and looked after |
//! | [`coordinator`] | who may say what to whom, and saying it |

pub mod control_plane;
pub mod coordinator;
pub mod provisioner;
mod rendering;
mod verifying;
