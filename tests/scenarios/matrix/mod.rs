//! Every fault, under every load, on both generations of the protocol: what comes of it, and that no promise is broken.
//!
//! | module | what |
//! |---|---|
//! | `case` | the faults, and for how long |
//! | `cell` | one fault under one load on one generation |
//! | `load` | what the line is busy with |
//! | `fleet` | records of agents, for the load that provisions |
//! | `observer` | what a subscriber sees |
//! | `oracle` | what was promised |
//! | `page` | `docs/fault-matrix.md` |
//!
//! By itself it plays a third of the cells, another third for each seed (`WINDLASS_SEED`). `WINDLASS_MATRIX=all` plays all of them, and
//! with `SNAPSHOTS=overwrite` writes the page anew; `WINDLASS_MATRIX=tear` plays those whose names hold this word, and tells what
//! happened in each.

mod case;
mod cell;
mod fleet;
mod load;
mod observer;
mod oracle;
mod page;

use std::sync::Mutex;
use std::thread;

use windlass_testkit::Generation;

use self::case::Case;
use self::cell::Cell;
use self::load::Load;
use crate::bench::seed;
use crate::secrets::LogWatch;

/// Threads that play cells: one for each generation, so that a run keeps no machine from other tests.
const GENERATIONS: [Generation; 2] = [Generation::V3, Generation::V4];

/// A test run plays one cell in so many.
const THIRDS: u64 = 3;

/// Which cells are wanted, where that is said.
fn wanted() -> Option<String> {
    std::env::var("WINDLASS_MATRIX").ok()
}

fn cells(generation: Generation, seed: u64) -> Vec<Cell> {
    let wanted = wanted();
    let mut cells = Vec::new();
    for (row, case) in Case::all().into_iter().enumerate() {
        for (column, load) in Load::ALL.into_iter().enumerate() {
            let third = (row + column) as u64 % THIRDS == seed % THIRDS;
            let cell = Cell {
                case: case.clone(),
                load,
                generation,
                seed,
            };
            let plays = match wanted.as_deref() {
                None => third,
                Some("all") => true,
                Some(word) => cell.name().contains(word),
            };
            if plays {
                cells.push(cell);
            }
        }
    }
    cells
}

#[test]
fn no_fault_under_any_load_breaks_a_promise() {
    LogWatch::start();
    let seed = seed();
    let (outcomes, broken) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for generation in GENERATIONS {
            let (outcomes, broken) = (&outcomes, &broken);
            scope.spawn(move || {
                for cell in cells(generation, seed) {
                    match cell.play() {
                        Ok(outcome) => outcomes.lock().unwrap().push((cell, outcome)),
                        Err(told) => broken.lock().unwrap().push(told),
                    }
                }
            });
        }
    });
    LogWatch::assert_clean();
    let broken = broken.into_inner().unwrap();
    assert!(
        broken.is_empty(),
        "{} cells broke a promise:\n\n{}",
        broken.len(),
        broken.join("\n\n")
    );
    // Another seed's waits may end a call in another way, as long as no promise is broken.
    if seed == 1 {
        page::check(&outcomes.into_inner().unwrap());
    }
}
