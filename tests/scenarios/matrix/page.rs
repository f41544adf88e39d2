//! Compares `docs/fault-matrix.md` with the outcomes of a run, or writes it.

use std::fmt::Write as _;
use std::path::Path;

use windlass_testkit::Generation;

use super::GENERATIONS;
use super::case::{Case, Hides};
use super::cell::{Cell, Outcome};
use super::load::Load;

const HEAD: &str = "# Fault matrix

This page shows the result of each fault of the chaos proxy, under each load, with both protocols. This command writes it:
`WINDLASS_MATRIX=all SNAPSHOTS=overwrite cargo test --test scenarios matrix`. Each run of the tests compares a third of it.

In each cell, a line to a simulated gateway runs through the proxy in virtual time. The fault comes 150 ms after the start of the load (a
fault that hits a request comes at once). It is taken back after 20 s (after 90 s if only silence shows the fault). Then the test checks the
[guarantees](../README.md#guarantees):

- Each call ended once and in time, and its outcome is true.
- Nothing was done twice.
- Events came in order, and a marker stands in the place of missing events.
- Topics were loaded again.
- The line came back by itself.
- Nothing was left behind.
- The trace has no secret.

A cell shows whether the line *stayed* up or came *back*, and the outcomes of its callers. Several words in one cell are the outcomes of
different callers.

- 1 call: the creation of an agent, which cannot be sent again.
- 200 calls: reads, messages with an idempotency key, and creations of agents.
- Chat run: a message that is followed to its end.
- Provisioning: three agents. *Done at the second run* means that the first run ended with an error for some of them, and that a
  second run completed the work without doing anything twice.
- †: the wire does not show this fault. A frame never arrives, with a protocol whose events have no numbers of their own; or a text was
  changed and is still JSON. Neither happens with TCP and TLS. The test checks the guarantees that can hold in this case.
";

/// The text of a cell that was not played.
const NOT_PLAYED: &str = " ? ";

/// Compares the page with the cells that were played, or writes it.
pub(super) fn check(outcomes: &[(Cell, Outcome)]) {
    let mut page = HEAD.to_owned();
    for generation in GENERATIONS {
        write_table(&mut page, generation, outcomes);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fault-matrix.md");
    if std::env::var_os("SNAPSHOTS").is_some_and(|value| value == "overwrite") {
        assert!(
            !page.contains(NOT_PLAYED),
            "WINDLASS_MATRIX=all is needed to write the page"
        );
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
        "docs/fault-matrix.md differs from the run; if this is intended, write it with WINDLASS_MATRIX=all SNAPSHOTS=overwrite: \
         {differ:#?}"
    );
}

/// Whether a line of the page is equal to the line of the run, except for cells that were not played.
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
