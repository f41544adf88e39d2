//! Fuzz targets: each takes bytes, makes of them what may come from a gateway, a file or a person, and panics where something
//! does not hold that must hold for all of them.
//!
//! Written once, driven twice: by libFuzzer (`fuzz/`, guided by coverage, for hours) and by `tests/it` (in CI, for seconds, from
//! seeds that are changed by chance). `docs/fuzzing.md` says what each one asserts.
//!
//! | what the bytes are | targets |
//! |---|---|
//! | a text, as it comes | `frame`, `hello`, `error`, `event`, `session`, `endpoint`, `config_file`, `chaos_plan`, `device_file`, `template`, `tools`, `names` |
//! | a list of steps | `calls`, `run`, `roster` |

pub mod seeds;
mod shared;
mod targets;

pub use targets::{TARGETS, Target, target};
