//! The workspace files of agents: strict rendering, and which content goes where on which gateway.
