//! The workspace files of agents: strict rendering, and which content goes where on which gateway.
//!
//! A fleet agent lives by eight texts ([`Content`]): who it is, how it works, how it reaches its board. [`Templates`]
//! renders them from [`Variables`], all or nothing: a variable that does not exist is an error naming template, line
//! and variable. [`Layout`] then decides, by what the gateway lists and never by its version, which text becomes a
//! file of its own, which a section of `AGENTS.md`, and which goes into the heartbeat monitor's scratch.
//! [`tool_values`] reads the `KEY=value` lines back from whichever place holds them.
//!
//! Nothing here touches network, clock or store. The only IO is reading a user's folder ([`Templates::with_folder`]).
//!
//! What keeps a user's text harmless: templates cannot read files, their work is bounded ([`MAX_WORK`]), which their values
//! being flat makes true (no list of lists but as it is written), so is what they render ([`MAX_RENDERED`]); a *value* is never evaluated as template text; values that machines read back are
//! refused when they hold a line break, values that people read are put on one line ([`Variables`]). No error and no
//! `Debug` shows a rendered text or a value.

mod bounds;
mod content;
mod context;
mod coordination;
mod engine;
mod error;
mod folder;
mod grammar;
mod layout;
mod markdown;
mod shipped;
mod templates;
mod tools;
mod variables;

pub use bounds::{MAX_BRANCHES, MAX_TEMPLATE, MAX_TOKENS};
pub use content::{Content, Role, UnknownContent};
pub use context::{MAX_VALUE, VARIABLE_NAMES};
pub use coordination::{MessageKind, MessageVariables};
pub use engine::{MAX_RENDERED, MAX_WORK};
pub use error::TemplateError;
pub use layout::{Home, Layout, MAX_FILE, Placement};
pub use templates::{MAX_REFERENCE, Override, Overrides, Rendered, Templates};
pub use tools::{MAX_TOOL_VALUES, ToolValues, tool_values};
pub use variables::{
    AgentVariables, AuthToken, BoardRules, BoardVariables, DEFAULT_COMMUNICATION_STYLE, DEFAULT_EMOJI, DEFAULT_ROLE,
    IDENTITY_KEYS, IdentityVariables, UserVariables, Variables,
};
