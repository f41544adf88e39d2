//! The stable runner: every target on its seeds, on seeds that are changed by chance, and on recorded conversations.

mod changed;
mod known;
