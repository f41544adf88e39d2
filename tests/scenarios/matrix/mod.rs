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
//! `WINDLASS_MATRIX` chooses the cells:
//!
//! | value | cells |
//! |---|---|
//! | none | a third of them, another one for each `WINDLASS_SEED` |
//! | `1/3`, `2/3`, `3/3` | this third; the seed stays 1, so the page is compared |
//! | `all` | all of them; with `SNAPSHOTS=overwrite` the page is written anew |
//! | another word, such as `tear` | the cells with this word in their names, with a report of each |

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

/// Whether a cell belongs to a third, by its row and column together.
const fn third(place: u64, number: u64) -> bool {
    place % THIRDS == number % THIRDS
}

fn cells(generation: Generation, seed: u64) -> Vec<Cell> {
    let wanted = wanted();
    let mut cells = Vec::new();
    for (row, case) in Case::all().into_iter().enumerate() {
        for (column, load) in Load::ALL.into_iter().enumerate() {
            let place = (row + column) as u64;
            let cell = Cell {
                case: case.clone(),
                load,
                generation,
                seed,
            };
            let plays = match wanted.as_deref() {
                None => third(place, seed),
                Some("all") => true,
                Some("1/3") => third(place, 1),
                Some("2/3") => third(place, 2),
                Some("3/3") => third(place, 3),
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
