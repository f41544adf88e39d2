//! What follows from which end of what: the cells of docs/supervision.md that need a panic in a chosen place.

mod connection;
mod registry;
