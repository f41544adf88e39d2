//! Fuzz targets: each takes bytes as the input from a gateway, a file or a person, and panics if a property does not hold that
//! must hold for every input.
//!
//! Two runners call them: libFuzzer (`fuzz/`, guided by coverage, for hours) and `tests/it` (in CI, for seconds, from seeds that
//! are changed by chance). `docs/fuzzing.md` lists the properties of each target.
//!
//! | meaning of the bytes | targets |
//! |---|---|
//! | an unchanged text | `frame`, `hello`, `error`, `event`, `session`, `endpoint`, `config_file`, `chaos_plan`, `device_file`, `template`, `tools`, `names` |
//! | a list of steps | `calls`, `run`, `roster` |

pub mod seeds;
mod shared;
mod targets;

pub use targets::{TARGETS, Target, target};
