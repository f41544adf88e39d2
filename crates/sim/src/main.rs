//! Plays worlds made from seeds against the whole of Windlass.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_sim::cli::main()
}
