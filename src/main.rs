//! The `windlass` program; all of it is in [`windlass::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass::cli::main()
}
