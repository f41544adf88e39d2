//! The workspace files of agents: strict rendering, and which content goes where on which gateway.
//!
//! A fleet agent has eight texts ([`Content`]), such as its identity, its tools and its heartbeat. [`Templates`] renders them from
//! [`Variables`], all or nothing: an unknown variable is an error with template, line and name. [`Layout`] then decides, by the files
//! that the gateway lists and never by its version, which text becomes a file of its own, which a section of `AGENTS.md`, and which
//! goes into the scratch of the heartbeat. [`tool_values`] reads the `KEY=value` lines back from any of these places.
//!
//! ```
//! use windlass_templates::{Layout, Templates, tool_values};
//!
//! // A message of a shipped template.
//! let cleanup = Templates::shipped().cleanup_message("Ada", "/srv/agents/ada")?;
//! assert!(cleanup.contains("Ada"));
//!
//! // The place of a text on a gateway that lists all files.
//! let layout = Layout::of(&["AGENTS.md", "TOOLS.md", "HEARTBEAT.md"], false);
//! assert_eq!(layout.holder_of_token(), "TOOLS.md");
//! assert_eq!(tool_values("BASE_URL=https://example.org\n").get("BASE_URL"), Some("https://example.org"));
//! # Ok::<(), windlass_templates::TemplateError>(())
//! ```
//!
//! This crate uses no network, clock or store. Its only IO is reading a user's folder ([`Templates::with_folder`]).
//!
//! A user's text is harmless: a template cannot read files, and its work ([`MAX_WORK`]) and its rendered text ([`MAX_RENDERED`]) are
//! bounded; a *value* is never evaluated as template text; values that machines read back are refused if they hold a line break, and
//! values that people read are put on one line ([`Variables`]). No error and no `Debug` shows a rendered text or a value.

mod content;
mod context;
mod coordination;
mod engine;
mod error;
mod grammar;
mod layout;
mod markdown;
mod sources;
mod templates;
mod variables;

pub use content::{Content, MAX_FILE, Rendered, TemplateRole, UnknownContent};
pub use context::{MAX_VALUE, VARIABLE_NAMES};
pub use coordination::{MessageKind, MessageVariables};
pub use engine::{MAX_RENDERED, MAX_WORK};
pub use error::TemplateError;
pub use grammar::{MAX_BRANCHES, MAX_TEMPLATE, MAX_TOKENS};
pub use layout::{Home, Layout, Placement};
pub use markdown::{MAX_TOOL_VALUES, ToolValues, tool_values};
pub use templates::{MAX_REFERENCE, Override, Overrides, Templates};
pub use variables::{
    AgentVariables, AuthToken, BoardRuleVariables, BoardVariables, DEFAULT_COMMUNICATION_STYLE, DEFAULT_EMOJI,
    DEFAULT_ROLE, IDENTITY_KEYS, IdentityVariables, UserVariables, Variables,
};
