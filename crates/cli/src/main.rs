//! The program `windlass`; all of it is in the library `windlass_cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_cli::main()
}
