//! The known facts about methods: the effect of a second send, the scope they need, the number of their answers.
//!
//! Sources: names and answers as seen on 2026.3.13 and 2026.9.6 and in the method lists of nine releases of 2026; scopes and
//! `idempotencyKey` from the gateway's published schema of generation 4. The effect of a method that is sent twice stands in no
//! schema: it was observed, and a row without an observation says [`Effect::SideEffect`].

mod table;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use rustc_hash::FxHashMap;

use crate::MethodName;
use crate::connect::Scope;

/// The effect of sending a request again when its first answer was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Changes nothing: send it as often as needed.
    ReadOnly,
    /// `params.idempotencyKey` (required) tells the gateway that it is the same one: send it again with the same key, on the same
    /// life of the gateway, within [`KEY_MEMORY_SECONDS`]. A restart forgets the keys.
    Keyed,
    /// Sets something to a value: the second time changes nothing more and succeeds as well. Still not the same as `ReadOnly`: when
    /// another client has written in between, the second one overwrites it.
    Idempotent,
    /// May happen twice, or the second one fails although the first one worked: never send it again by itself.
    SideEffect,
}

/// How many responses a request gets under its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answers {
    /// One.
    One,
    /// Up to two: `status: "accepted"` at once, and the outcome when the run ends. A repeated key gets only the second.
    Two,
}

/// A row of the method table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodSpec {
    /// The name on the wire.
    pub name: &'static str,
    /// The effect of a second send.
    pub effect: Effect,
    /// The scope it needs; `None` where that depends on the params. Releases of generation 3 may ask for another one.
    pub scope: Option<Scope>,
    /// How often it answers.
    pub answers: Answers,
    /// The first of the nine measured releases that has it, where some lack it.
    pub since: Option<&'static str>,
}

impl MethodSpec {
    /// Its name, as requests have it.
    pub fn method_name(&self) -> MethodName {
        MethodName::known(self.name)
    }

    /// Whether a request may go out a second time without asking anyone: it changes nothing, or its key sees to it.
    pub fn may_resend(&self) -> bool {
        matches!(self.effect, Effect::ReadOnly | Effect::Keyed)
    }
}

/// How long a gateway remembers idempotency keys, in seconds: 5 min and at most 1000 keys, in memory (both generations).
pub const KEY_MEMORY_SECONDS: u64 = 300;

/// The row of a method, if there is one.
pub fn method(name: &str) -> Option<&'static MethodSpec> {
    /// The rows by name: every call looks its method up, and comparing eight names costs more than hashing one.
    static BY_NAME: LazyLock<FxHashMap<&'static str, &'static MethodSpec>> =
        LazyLock::new(|| table::METHODS.iter().map(|row| (row.name, row)).collect());
    BY_NAME.get(name).copied()
}

/// All rows, sorted by name.
pub fn methods() -> &'static [MethodSpec] {
    table::METHODS
}

/// The effect of a second send of this method; an unknown method is a [`Effect::SideEffect`].
pub fn effect(name: &str) -> Effect {
    method(name).map_or(Effect::SideEffect, |row| row.effect)
}
