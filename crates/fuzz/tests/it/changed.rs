//! Seeds that are changed by chance, as libFuzzer changes them, but without its guidance.
//!
//! A failing input is made smaller and shown by proptest, and played again from then on; `PROPTEST_CASES=n` tries more.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use windlass_fuzz::{Target, seeds, target};

/// Most changes to one seed.
const CHANGES: usize = 6;

/// One change.
#[derive(Clone, Debug)]
enum Change {
    /// Something goes.
    Drop { at: Index, length: usize },
    /// A byte becomes another.
    Set { at: Index, byte: u8 },
    /// A piece of the dictionary comes in.
    Put { at: Index, piece: Vec<u8> },
    /// A part stands there several times.
    Repeat { at: Index, length: usize, times: usize },
    /// The rest is another seed's.
    Splice { at: Index, other: Vec<u8> },
}

fn change(pieces: Vec<Vec<u8>>, seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Change> {
    let at = any::<Index>;
    prop_oneof![
        2 => (at(), 1_usize..12).prop_map(|(at, length)| Change::Drop { at, length }),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set { at, byte }),
        5 => (at(), select(pieces)).prop_map(|(at, piece)| Change::Put { at, piece }),
        1 => (at(), 1_usize..16, 2_usize..90).prop_map(|(at, length, times)| Change::Repeat { at, length, times }),
        1 => (at(), select(seeds)).prop_map(|(at, other)| Change::Splice { at, other }),
    ]
}

impl Change {
    fn make(self, input: &mut Vec<u8>) {
        let place = |at: Index| at.index(input.len() + 1);
        match self {
            Self::Drop { at, length } => {
                let at = place(at);
                drop(input.drain(at..(at + length).min(input.len())));
            }
            Self::Set { at, byte } => {
                let at = place(at);
                if let Some(place) = input.get_mut(at) {
                    *place = byte;
                }
            }
            Self::Put { at, piece } => {
                let at = place(at);
                drop(input.splice(at..at, piece));
            }
            Self::Repeat { at, length, times } => {
                let at = place(at);
                let part = input[at..(at + length).min(input.len())].repeat(times);
                drop(input.splice(at..at, part));
            }
            Self::Splice { at, other } => {
                let at = place(at);
                input.truncate(at);
                input.extend_from_slice(&other[at.min(other.len())..]);
            }
        }
    }
}

/// Texts: seeds with a few changes. Lists of steps: any bytes, for all of them are some list.
fn inputs(target: &Target) -> BoxedStrategy<Vec<u8>> {
    let pieces = seeds::pieces(target).expect("a dictionary");
    if pieces.is_empty() {
        return vec(any::<u8>(), 0..1500).boxed();
    }
    let seeds: Vec<Vec<u8>> = seeds::of(target).expect("seeds").into_values().collect();
    let changes = vec(change(pieces, seeds.clone()), 1..=CHANGES);
    let inputs = (select(seeds), changes).prop_map(|(mut input, changes)| {
        for change in changes {
            change.make(&mut input);
        }
        input
    });
    inputs.boxed()
}

/// A seed shown as bytes can't be read.
fn shown(input: &[u8]) -> String {
    String::from_utf8_lossy(input).into_owned()
}

macro_rules! changed {
    ($($target:ident: $cases:literal,)+) => {
        $(#[test]
        fn $target() {
            let target = target(stringify!($target));
            let mut config = ProptestConfig { source_file: Some(file!()), ..ProptestConfig::default() };
            if std::env::var_os("PROPTEST_CASES").is_none() {
                config.cases = $cases;
            }
            proptest!(config, |(input in inputs(target))| {
                println!("{}", shown(&input));
                (target.run)(&input);
            });
        })+

        #[test]
        fn every_target_is_driven() {
            let driven = [$(stringify!($target)),+];
            for target in windlass_fuzz::TARGETS {
                assert!(driven.contains(&target.name), "{} is not driven", target.name);
            }
        }
    };
}

// All together take CI some ten seconds.
changed! {
    calls: 500,
    chaos_plan: 1000,
    config_file: 1000,
    device_file: 1000,
    endpoint: 1000,
    error: 1000,
    event: 1000,
    frame: 1000,
    hello: 1000,
    names: 1000,
    roster: 400,
    run: 500,
    session: 1000,
    template: 500,
    tools: 1000,
}
