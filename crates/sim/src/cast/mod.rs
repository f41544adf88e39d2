//! The users of a line while the faults happen, and their records.

mod caller;
mod operator;
mod provisioner;
mod reader;
mod registrar;
mod sender;

pub(crate) use self::caller::{CallRecord, End, call_all};
pub(crate) use self::operator::meddle;
pub(crate) use self::provisioner::Agents;
pub(crate) use self::reader::{Item, ReadLog};
pub(crate) use self::registrar::{is_whole, register_all};
pub(crate) use self::sender::{Ended, MessageRecord, speak_all};
