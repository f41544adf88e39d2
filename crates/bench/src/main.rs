//! The benchmarks.

use std::process::ExitCode;

fn main() -> ExitCode {
    windlass_bench::main(windlass_bench::allocations::Allocations::default())
}
