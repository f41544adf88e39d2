//! What a store can do, a trait for each noun.

mod activities;
mod agents;
mod boards;
mod gateways;
mod journal;
mod organizations;
mod runs;
mod sends;
mod store;

pub use activities::Activities;
pub use agents::Agents;
pub use boards::Boards;
pub use gateways::Gateways;
pub use journal::Journal;
pub use organizations::Organizations;
pub use runs::Runs;
pub use sends::Sends;
pub use store::Store;
