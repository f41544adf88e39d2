//! The simulated gateway and the chaos proxy, seen through a tiny WebSocket client.

mod chaos;
mod chaos_frames;
mod chat;
mod client;
mod config;
mod control;
mod events;
mod handshake;
mod methods;
#[cfg(feature = "schema")]
mod schema;
mod script;
mod smoke;

/// Ends the gateway and asserts that nothing of it is left in the runtime.
async fn leaves_nothing(sim: windlass_testkit::SimGateway) {
    sim.shutdown().await;
    assert_eq!(sim.journal().open_connections(), 0, "connections are left");
    let alive = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    assert_eq!(alive, 0, "tasks are left");
}

/// Tokio time, to measure how long something took.
#[expect(clippy::disallowed_methods, reason = "tests have no clock to be given")]
fn now() -> tokio::time::Instant {
    tokio::time::Instant::now()
}
