//! Activities and their cursor.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::{Activity, ActivityFilter, NewActivity};

use super::world::{Shared, agent_id, at, board_id};

fn new(number: u16) -> NewActivity {
    NewActivity {
        actor: None,
        source: None,
        kind: "agent.provisioned".into(),
        message: format!("message {number}"),
        agent_id: Some(agent_id(number % 2)),
        board_id: number.is_multiple_of(3).then(|| board_id(1)),
        at: at(i64::from(number)),
    }
}

async fn record(store: &Shared, numbers: std::ops::RangeInclusive<u16>) -> Vec<Activity> {
    let mut recorded = Vec::new();
    for number in numbers {
        recorded.push(store.record(&new(number)).await.unwrap());
    }
    recorded
}

fn ids(activities: &[Activity]) -> Vec<i64> {
    activities.iter().map(|found| found.id).collect()
}

pub(crate) async fn activities_are_numbered_and_read_on_from_a_cursor(store: &Shared) {
    let all = ActivityFilter::default();
    assert_eq!(store.activities(&all, None, 10).await.unwrap(), []);
    // What an activity is about need not be there.
    let recorded = record(store, 1..=5).await;
    assert_eq!(ids(&recorded), [1, 2, 3, 4, 5]);
    let last = store.activities(&all, None, 2).await.unwrap();
    assert_eq!(last, recorded[3..]);
    assert_eq!(store.activities(&all, Some(5), 10).await.unwrap(), []);
    let more = record(store, 6..=8).await;
    assert_eq!(store.activities(&all, Some(5), 2).await.unwrap(), more[..2]);
    assert_eq!(store.activities(&all, Some(7), 2).await.unwrap(), more[2..]);
    assert_eq!(store.activities(&all, Some(0), 100).await.unwrap().len(), 8);
    assert_eq!(store.activities(&all, Some(i64::MAX), 100).await.unwrap(), []);
    assert_eq!(store.activities(&all, Some(i64::MIN), 100).await.unwrap().len(), 8);
}

pub(crate) async fn activities_are_filtered_by_agent_and_board(store: &Shared) {
    record(store, 1..=12).await;
    let of_agent = ActivityFilter {
        agent: Some(agent_id(0)),
        board: None,
        ..ActivityFilter::default()
    };
    let of_board = ActivityFilter {
        agent: None,
        board: Some(board_id(1)),
        ..ActivityFilter::default()
    };
    let of_both = ActivityFilter {
        agent: Some(agent_id(0)),
        board: Some(board_id(1)),
        ..ActivityFilter::default()
    };
    assert_eq!(ids(&store.activities(&of_agent, Some(4), 3).await.unwrap()), [6, 8, 10]);
    assert_eq!(ids(&store.activities(&of_agent, None, 2).await.unwrap()), [10, 12]);
    assert_eq!(
        ids(&store.activities(&of_board, Some(0), 10).await.unwrap()),
        [3, 6, 9, 12]
    );
    assert_eq!(ids(&store.activities(&of_both, None, 10).await.unwrap()), [6, 12]);
    let earlier = ActivityFilter {
        before: Some(10),
        ..of_agent
    };
    assert_eq!(ids(&store.activities(&earlier, None, 2).await.unwrap()), [6, 8]);
    assert_eq!(ids(&store.activities(&earlier, Some(6), 9).await.unwrap()), [8]);
}

pub(crate) async fn a_number_is_never_used_again(store: &Shared) {
    record(store, 1..=3).await;
    assert_eq!(store.prune_activities(at(1), 10).await.unwrap(), 0);
    assert_eq!(
        store.prune_activities(at(1_000), 2).await.unwrap(),
        2,
        "the earliest, as many as asked for"
    );
    assert_eq!(store.prune_activities(at(1_000), 10).await.unwrap(), 1);
    // A reader that stands at 3 must see what comes next.
    assert_eq!(ids(&record(store, 4..=4).await), [4]);
    assert_eq!(
        ids(&store.activities(&ActivityFilter::default(), Some(3), 10).await.unwrap()),
        [4]
    );
}

pub(crate) async fn many_recorders_lose_nothing(store: &Shared) {
    let record = |number: u16| {
        let store = Arc::clone(store);
        tokio::spawn(async move { store.record(&new(number)).await.unwrap().id })
    };
    let tasks: Vec<_> = (1..=50).map(record).collect();
    let mut seen = BTreeSet::new();
    for task in tasks {
        seen.insert(task.await.unwrap());
    }
    assert_eq!(seen, (1..=50).collect());
    assert_eq!(
        ids(&store
            .activities(&ActivityFilter::default(), Some(0), 100)
            .await
            .unwrap())
        .len(),
        50
    );
}
