//! Guards of what was reached: what a call and an idle line may cost, in counts that no clock has a say in.
//!
//! A guard that fails says that something costs more than it did. Find out why; where the cost is worth it, raise the bound
//! in the same commit and say what for.

use std::io::{Write as _, stderr};
use std::path::PathBuf;
use std::process::{Command, Output};

use serde::de::DeserializeOwned;
use windlass_bench::probe::{CallsTook, LinesTake};

/// The program that counts allocations.
const COUNTING: &str = env!("CARGO_BIN_EXE_windlass-bench-counting");
/// The program without, for the instructions.
const PLAIN: &str = env!("CARGO_BIN_EXE_windlass-bench");

fn probe<T: DeserializeOwned>(args: &[&str]) -> T {
    let output = Command::new(COUNTING).args(args).output().expect("the probe starts");
    serde_json::from_slice(&succeeded(output).stdout).expect("the probe prints what it counted")
}

fn succeeded(output: Output) -> Output {
    assert!(
        output.status.success(),
        "the probe failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn calls(depth: &str) -> CallsTook {
    probe(&["probe-calls", "--depth", depth, "--requests", "16384"])
}

#[expect(clippy::cast_precision_loss, reason = "counts of a short run")]
fn each(count: u64, of: u64) -> f64 {
    count as f64 / of as f64
}

/// A turn reads 32 answers, so 32 callers go on, and their calls share a write. Another flush in a turn would be twice as many.
#[test]
fn calls_that_come_in_one_turn_share_a_write() {
    let took = calls("64");
    let writes = each(took.writes, took.requests);
    eprintln!("writes per request at depth 64: {writes:.4}");
    assert!(writes <= 1.2 / 32.0, "{took:?}");
}

/// Answers come in two lots of 32, about 7 kB each: two reads, and one that finds nothing more.
#[test]
fn the_answers_of_sixty_four_calls_take_three_reads() {
    let took = calls("64");
    let reads = each(took.reads, took.requests);
    eprintln!("reads per request at depth 64: {reads:.4}");
    assert!(reads <= 3.2 / 64.0, "{took:?}");
}

/// With many calls under way a turn reads 128 answers or more (0.0078 when this was written).
#[test]
fn a_thousand_calls_at_a_time_share_few_writes() {
    let took = calls("1024");
    let writes = each(took.writes, took.requests);
    eprintln!("writes per request at depth 1024: {writes:.4}");
    assert!(writes <= 1.2 / 128.0, "{took:?}");
}

/// A thousand answers are 220 kB: reads of 16 KiB, as far as the turns let them be whole (0.030 when this was written; 0.105 with
/// blocks of one frame each, as the WebSocket takes them after its handshake).
#[test]
fn the_answers_of_a_thousand_calls_are_read_in_large_pieces() {
    let took = calls("1024");
    let reads = each(took.reads, took.requests);
    eprintln!("reads per request at depth 1024: {reads:.4}");
    assert!(reads <= 0.033, "{took:?}");
}

/// Three: the parameters as text, the reply, the call. What is read is shared by many, and frames are written in one place.
#[test]
fn a_call_allocates_no_more_than_it_did() {
    let took = calls("64");
    let allocations = each(took.allocations.expect("allocations are counted"), took.requests);
    eprintln!("allocations per request at depth 64: {allocations:.2}");
    assert!(allocations <= 3.1, "{took:?}");
}

/// The read buffer is 1 KiB of it (9,466 when this was written; a tenth more is somebody's new field in every line).
#[test]
fn an_idle_line_stays_small() {
    let take: LinesTake = probe(&["probe-idle", "--lines", "256"]);
    let bytes = take.bytes.expect("bytes are counted") / take.lines;
    eprintln!("bytes on the heap per idle line: {bytes}");
    assert!(bytes <= 10_400, "{take:?}");
}

/// What a gateway says of itself is kept once for all lines that hear the same, and the read buffer that has grown for it is
/// given back (9,462 when this was written; 71,700 when each line kept both).
#[test]
fn a_talkative_gateway_costs_its_lines_little_more() {
    let take: LinesTake = probe(&["probe-idle", "--lines", "256", "--hello", "full"]);
    let bytes = take.bytes.expect("bytes are counted") / take.lines;
    eprintln!("bytes on the heap per idle line to a gateway with 466 methods: {bytes}");
    assert!(bytes <= 10_400, "{take:?}");
}

/// Of a build without optimisation, since that is what CI has: not a figure of the product, but one that moves with it (70,035
/// when this was written; compilers differ by a few percent).
#[test]
fn a_call_takes_no_more_instructions_than_it_did() {
    let Some(instructions) = instructions_per_call() else {
        return;
    };
    eprintln!("instructions per request at depth 64, without optimisation: {instructions}");
    assert!(instructions <= 78_000, "{instructions} instructions per call");
}

/// The difference of two runs, so that the start is not counted; nothing where valgrind is missing.
fn instructions_per_call() -> Option<u64> {
    const FEW: u64 = 256;
    const MANY: u64 = 1024;
    let (few, many) = (instructions(FEW)?, instructions(MANY)?);
    Some((many - few) / (MANY - FEW))
}

fn instructions(requests: u64) -> Option<u64> {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("callgrind.{requests}.{}", std::process::id()));
    let started = Command::new("valgrind")
        .args(["--tool=callgrind", "-q"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .args([
            PLAIN,
            "probe-calls",
            "--depth",
            "64",
            "--requests",
            &requests.to_string(),
        ])
        .output();
    let Ok(output) = started else {
        // Past the test harness, which keeps what passing tests print to itself.
        let _ = writeln!(
            stderr(),
            "skipped: instructions are counted by valgrind, which is not installed"
        );
        return None;
    };
    succeeded(output);
    let text = std::fs::read_to_string(&file).expect("valgrind writes what it counted");
    let _ = std::fs::remove_file(&file);
    let line = text
        .lines()
        .rfind(|line| line.starts_with("totals:"))
        .expect("the file has a sum");
    line.split_whitespace().nth(1)?.parse().ok()
}
