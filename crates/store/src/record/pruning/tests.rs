use super::*;

#[test]
fn a_stamp_moves_with_each_step_after_its_entry() {
    let steps = [
        ClockStep {
            upto: Cursor::new(10),
            by_ms: 1_000,
        },
        ClockStep {
            upto: Cursor::new(20),
            by_ms: -300,
        },
    ];
    let at = |cursor| corrected(Timestamp::from_millis(5), Cursor::new(cursor), &steps).as_millis();
    assert_eq!([10, 11, 20, 21].map(at), [705, -295, -295, 5]);
    let far = ClockStep {
        upto: Cursor::new(1),
        by_ms: i64::MAX,
    };
    assert_eq!(
        corrected(Timestamp::from_millis(7), Cursor::new(1), &[far]).as_millis(),
        i64::MAX
    );
}

fn gateway(number: u8) -> GatewayUid {
    GatewayUid::from_bytes([number; 16])
}

fn candidate(cursor: i64, of: u8, stands_for: Option<Hole>) -> Candidate {
    Candidate {
        cursor: Cursor::new(cursor),
        gateway: gateway(of),
        size: 1_000,
        at: Timestamp::from_millis(cursor),
        generation: 3,
        stands_for,
    }
}

fn shares(of: &[(u8, u64, i64)]) -> BTreeMap<GatewayUid, Share> {
    let share = |&(id, entries, before): &(u8, u64, i64)| {
        let share = Share {
            entries,
            bytes: entries * 1_000,
            before: Cursor::new(before),
        };
        (gateway(id), share)
    };
    of.iter().map(share).collect()
}

fn went(plan: &PrunePlan, of: u8) -> Vec<i64> {
    let run = plan.runs.get(&gateway(of));
    run.map(|run| run.cursors.iter().map(|cursor| cursor.number()).collect())
        .unwrap_or_default()
}

#[test]
fn the_gateway_that_takes_too_much_loses_its_oldest_and_the_others_keep_theirs() {
    let shares = shares(&[(1, 2, 0), (2, 6, 2)]);
    let order = [1, 1, 2, 2, 2, 2, 2, 2];
    let candidates = || (1..).zip(order).map(|(cursor, of)| candidate(cursor, of, None));
    assert_eq!(prune_from(&shares, 6_000), Some(Cursor::new(2)));
    let plan = PrunePlan::make(&shares, candidates(), 6_000, 2_000, 100);
    assert_eq!((went(&plan, 1), went(&plan, 2)), (vec![], vec![3, 4]));
    assert_eq!(plan.scanned, Some(Cursor::new(4)));
    let plan = PrunePlan::make(&shares, candidates(), 6_000, 2_000, 1);
    assert_eq!((went(&plan, 2), plan.entries), (vec![3], 1));
}

#[test]
fn gateways_that_take_the_same_lose_what_is_oldest() {
    let shares = shares(&[(1, 4, 0), (2, 5, 0)]);
    let candidates = (1..=9).map(|cursor| candidate(cursor, 1 + u8::from(cursor % 2 == 1), None));
    let plan = PrunePlan::make(&shares, candidates, 4_500, 4_500, 100);
    assert_eq!((went(&plan, 2), went(&plan, 1)), (vec![1, 3, 5], vec![2, 4]));
    assert_eq!(prune_from(&shares, 100_000), None);
}

#[test]
fn a_marker_stands_for_the_marker_before_it_too() {
    let before = Hole {
        first: Cursor::new(1),
        entries: 40,
    };
    let shares = shares(&[(1, 2, 0)]);
    let candidates = [candidate(3, 1, Some(before)), candidate(9, 1, None)];
    let plan = PrunePlan::make(&shares, candidates.into_iter(), 0, 2_000, 9);
    let run = &plan.runs[&gateway(1)];
    let marker = run.marker(gateway(1));
    let hole: Hole = marker.body.decode().unwrap();
    assert_eq!(
        (hole.first, hole.entries, run.last()),
        (Cursor::new(1), 41, Cursor::new(9))
    );
    assert_eq!((marker.kind, marker.generation), (EntryLabel::marker("pruned"), 3));
}
