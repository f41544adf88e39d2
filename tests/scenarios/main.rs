//! What a user of the library can observe, against simulated gateways, in virtual time unless a file says otherwise.

mod bench;
mod calls;
mod events;
mod reconnect;
mod refusals;
mod secrets;
mod shutdown;
mod storm;
mod supervision;
mod threads;
mod tls;
mod typed;
mod wire;
