//! The simulated gateway, seen through a tiny WebSocket client.

mod client;
mod smoke;
