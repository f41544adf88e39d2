//! Events came in order, and markers report the missing ones.

use std::collections::{BTreeSet, HashSet};

use super::{Promise, Verdict};
use crate::cast::Item;
use crate::world::WireProfile;

/// Checks the items of one subscriber.
///
/// If two events come in the wrong order and the first of them is lost, its marker stands in its place: before the other event,
/// and the hole in the numbers appears after it. So holes are not checked then.
pub(crate) fn in_order(verdict: &mut Verdict, reader: &str, items: &[Item], wire: WireProfile) {
    let (mut highest, mut told) = (0, false);
    let (mut missing, mut seen) = (BTreeSet::new(), HashSet::new());
    let mut holds = |kept, otherwise: &dyn Fn() -> String| {
        verdict.holds(Promise::EventsTold, kept, || format!("{reader}: {}", otherwise()));
    };
    for item in items {
        match item {
            Item::Marker(_) => told = true,
            Item::Sessions(_) => {}
            Item::Pulse(None) => holds(false, &|| "an event came without its contents".into()),
            Item::Pulse(Some(n)) => {
                if *n > highest {
                    // A hole that no marker tells may still be filled, where holes mean nothing.
                    let hole = highest + 1..*n;
                    missing.extend(hole.filter(|_| !told));
                } else {
                    missing.remove(n);
                    holds(told, &|| format!("event {n} came after {highest} without a marker"));
                }
                holds(seen.insert(*n), &|| format!("event {n} came twice"));
                (highest, told) = (highest.max(*n), false);
            }
        }
    }
    holds(wire.reorders || missing.is_empty(), &|| {
        format!("no marker tells that {missing:?} are missing")
    });
}

/// Judges whether the sessions were loaded at the last connection, after all that was lost.
pub(crate) fn declared(verdict: &mut Verdict, reader: &str, items: &[Item], generation: u64) {
    let last_load = items.iter().rposition(|item| *item == Item::Sessions(generation));
    let losses = ["gap", "disconnected", "unreadable"];
    let last_loss = items
        .iter()
        .rposition(|item| matches!(item, Item::Marker(name) if losses.contains(name)));
    let loaded = last_load.is_some() && last_load > last_loss;
    verdict.holds(Promise::Declared, loaded, || {
        format!("{reader}: the sessions were not loaded again at connection {generation}: {items:?}")
    });
}

#[cfg(test)]
mod tests {
    use super::{Item, Verdict, WireProfile, in_order};
    use crate::world::HiddenData;

    const HONEST: WireProfile = WireProfile {
        hides: HiddenData::Nothing,
        repeats: false,
        reorders: false,
        mixes: false,
    };

    fn broken(items: &[Item]) -> usize {
        let mut verdict = Verdict::default();
        in_order(&mut verdict, "reader", items, HONEST);
        verdict.0.len()
    }

    const fn pulse(n: u64) -> Item {
        Item::Pulse(Some(n))
    }

    #[test]
    fn a_hole_is_fine_with_a_marker_and_broken_without() {
        assert_eq!(broken(&[pulse(1), Item::Marker("gap"), pulse(3)]), 0);
        assert_eq!(broken(&[pulse(1), pulse(3)]), 1);
    }

    #[test]
    fn an_event_that_comes_twice_or_late_is_broken() {
        assert_eq!(broken(&[pulse(1), Item::Marker("gap"), pulse(1)]), 1);
        assert_eq!(broken(&[pulse(1), pulse(3), pulse(2)]), 1);
    }
}
