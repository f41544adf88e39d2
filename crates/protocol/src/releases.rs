//! The rules of single releases, one file a topic and one function a rule, each with the releases that it was seen on.

pub(crate) mod messages;
pub mod refusals;
pub mod runs;
pub mod sessions;
