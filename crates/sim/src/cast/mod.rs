//! The users of a line while the faults happen, and their records.

mod caller;
mod crew;
mod meddler;
mod reader;
mod registrar;
mod speaker;

pub(crate) use self::caller::{Called, End, call_all};
pub(crate) use self::crew::Agents;
pub(crate) use self::meddler::meddle;
pub(crate) use self::reader::{Item, Notebook};
pub(crate) use self::registrar::{is_whole, register_all};
pub(crate) use self::speaker::{Ended, Said, speak_all};
