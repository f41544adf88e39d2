//! The runner's binary; all work is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_interop::commands::main()
}
