//! Days of a light load.

use windlass_sim::soak::{DayReport, Plan, grown, soak};

#[test]
fn days_of_a_light_load_with_restarts_leave_nothing_behind() {
    let plan = Plan {
        days: 6,
        gateways: 1,
        seed: 1,
    };
    let mut told = 0;
    let midnights = soak(plan, |_| told += 1);
    assert_eq!((midnights.len(), told), (6, 6));
    assert!(midnights.iter().all(|midnight| midnight.ok > 100), "{midnights:#?}");
    assert!(
        midnights.iter().all(|midnight| midnight.connections >= 1),
        "{midnights:#?}"
    );
    let last = &midnights[5];
    assert!(
        last.journal_rows > 0 && last.sends > 0 && last.subscribers > 0,
        "{last:?}"
    );
    // Other tests of this process have memory of their own.
    let settled: Vec<_> = midnights
        .into_iter()
        .map(|day| DayReport { rss_kib: None, ..day })
        .collect();
    assert_eq!(grown(&settled), Vec::<String>::new(), "{settled:#?}");
}

#[test]
fn what_grows_is_told_by_its_name() {
    let day = |day: u32| DayReport {
        day,
        pending: 0,
        subscribers: day as usize,
        topics: 0,
        tasks: 0,
        journal_rows: 0,
        sends: 0,
        rss_kib: None,
        ok: 0,
        not_ok: 0,
        connections: 0,
    };
    let days: Vec<_> = (1..=8).map(day).collect();
    assert_eq!(
        grown(&days),
        ["subscribers: at most 5 in the first half, 8 in the second"]
    );
}
