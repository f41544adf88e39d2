//! `docs/fault-matrix.md`, as the run says.

use std::fmt::Write as _;
use std::path::Path;

use windlass_testkit::Generation;

use super::GENERATIONS;
use super::case::{Case, Hides};
use super::cell::{Cell, Outcome};
use super::load::Load;

const HEAD: &str = "# Fault matrix

What comes of each fault that the chaos proxy knows, under each load, on both generations of the protocol. This page is written by the
run: `WINDLASS_MATRIX=all SNAPSHOTS=overwrite cargo test --test scenarios matrix`, and each run of the tests compares a third of it. In each cell a line to a simulated gateway runs
through the proxy in virtual time; the fault comes 150 ms after the load began (what hits a request: at once), is taken back after 20 s
(90 s for what only silence shows), and then the promises of the [README](../README.md#guarantees) are checked: each call ended once, in its time, and was done as its caller was
told; nothing was done twice; events came in order, and a marker stands where some are missing; what was declared was loaded again;
the line came back by itself; nothing was left behind; no secret in the trace.

A cell says whether the line *stayed* up or came *back*, and what callers were told. Several words in one cell are different callers.

- 1 call: making an agent, which can't be sent again. 200 calls: reads, keyed messages and making agents. Chat run: a message that is followed to its end.
- Provisioning: three agents. *Done at the second run* means that the first run ended with an error for some of them, and that a
  second one finished the work without doing anything twice.
- † The wire does not show it: a frame that never arrives on a generation whose events have no numbers of their own, or a text that
  was changed and is JSON still. TCP and TLS do neither; what can be held there is held.
";

/// Stands in a page where a cell was not played.
const NOT_PLAYED: &str = " ? ";

/// Compares the page with the cells that were played, or writes it.
pub(super) fn check(outcomes: &[(Cell, Outcome)]) {
    let mut page = HEAD.to_owned();
    for generation in GENERATIONS {
        write_table(&mut page, generation, outcomes);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fault-matrix.md");
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        assert!(!page.contains(NOT_PLAYED), "the page is written by WINDLASS_MATRIX=all");
        std::fs::write(&path, &page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let differ: Vec<_> = page
        .lines()
        .zip(written.lines())
        .filter(|(run, page)| !agree(run, page))
        .collect();
    assert!(
        differ.is_empty() && page.lines().count() == written.lines().count(),
        "docs/fault-matrix.md is not what the run says; if this is meant, write it anew with WINDLASS_MATRIX=all SNAPSHOTS=overwrite: \
         {differ:#?}"
    );
}

/// Whether a line of the page is what the run says, as far as it was played.
fn agree(run: &str, page: &str) -> bool {
    let (run, page): (Vec<_>, Vec<_>) = (run.split('|').collect(), page.split('|').collect());
    run.len() == page.len()
        && run
            .iter()
            .zip(&page)
            .all(|(run, page)| run == page || *run == NOT_PLAYED)
}

fn write_table(page: &mut String, generation: Generation, outcomes: &[(Cell, Outcome)]) {
    let (protocol, release) = match generation {
        Generation::V3 => (3, "2026.3.13"),
        Generation::V4 => (4, "2026.9.6"),
    };
    let loads = Load::ALL.map(Load::name).join(" | ");
    let rule = "---|".repeat(Load::ALL.len() + 1);
    let _ = write!(
        page,
        "\n## Protocol {protocol}, as {release} speaks it\n\n| fault | {loads} |\n|{rule}\n"
    );
    for case in Case::all() {
        let unseen = match case.hides {
            Hides::Nothing => false,
            Hides::LostEvents => generation == Generation::V3,
            Hides::Contents => true,
        };
        let _ = write!(page, "| {}{} |", case.name, if unseen { " †" } else { "" });
        for load in Load::ALL {
            let found = outcomes
                .iter()
                .find(|(cell, _)| cell.case.name == case.name && cell.load == load && cell.generation == generation);
            let _ = write!(
                page,
                " {} |",
                found.map_or_else(|| "?".into(), |(_, outcome)| words(outcome))
            );
        }
        page.push('\n');
    }
}

fn words(outcome: &Outcome) -> String {
    let line = if outcome.breaks == 0 { "stayed" } else { "back" };
    if outcome.words.is_empty() {
        line.into()
    } else {
        format!("{line}: {}", outcome.words.join(", "))
    }
}
