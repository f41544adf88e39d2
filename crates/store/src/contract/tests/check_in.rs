//! Check-ins, activity, deadlines.

use crate::{Agent, AgentStatus, AgentUid, CheckIn, Creator, RunKind, StoreError, Timestamp};

use super::world::{Shared, agent_id, at, furnish, worker};

/// An agent that was woken at second 100 and has until 130.
async fn woken(store: &Shared, number: u16) -> Agent {
    let mut agent = worker(number, 1, &format!("agent {number}"));
    agent.status = AgentStatus::Updating;
    agent.wake_attempts = 2;
    agent.last_wake_sent_at = Some(at(100));
    agent.checkin_deadline_at = Some(at(130));
    agent.last_provision_error = Some("did not answer".into());
    store.insert_agent(&agent, Creator::Operator).await.unwrap()
}

async fn read(store: &Shared, id: AgentUid) -> Agent {
    store.agent(id).await.unwrap().unwrap()
}

fn said(seconds: i64) -> CheckIn {
    CheckIn {
        at: at(seconds),
        status: None,
    }
}

pub(crate) async fn a_check_in_clears_what_was_pending(store: &Shared) {
    furnish(store).await;
    let before = woken(store, 1).await;
    let after = store.check_in(before.id, said(110)).await.unwrap().unwrap();
    let expected = Agent {
        status: AgentStatus::Online,
        last_seen_at: Some(at(110)),
        wake_attempts: 0,
        checkin_deadline_at: None,
        last_provision_error: None,
        revision: 2,
        ..before
    };
    assert_eq!(after, expected);
    assert_eq!(read(store, after.id).await, expected);
}

pub(crate) async fn a_check_in_takes_the_status_given_but_never_goes_back_in_time(store: &Shared) {
    furnish(store).await;
    let id = woken(store, 1).await.id;
    store
        .check_in(
            id,
            CheckIn {
                at: at(110),
                status: Some(AgentStatus::Offline),
            },
        )
        .await
        .unwrap();
    assert_eq!(read(store, id).await.status, AgentStatus::Offline);
    let late = store.check_in(id, said(50)).await.unwrap().unwrap();
    assert_eq!((late.status, late.last_seen_at), (AgentStatus::Online, Some(at(110))));
    let error = store
        .check_in(
            id,
            CheckIn {
                at: at(120),
                status: Some(AgentStatus::Deleting),
            },
        )
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Invalid {
                field: "check_in.status",
                ..
            }
        ),
        "{error:?}"
    );
}

pub(crate) async fn an_agent_on_its_way_out_is_not_brought_back(store: &Shared) {
    furnish(store).await;
    let mut agent = woken(store, 1).await;
    agent.status = AgentStatus::Deleting;
    let agent = store.update_agent(&agent).await.unwrap();
    assert_eq!(
        store.check_in(agent.id, said(110)).await.unwrap().as_ref(),
        Some(&agent)
    );
    assert!(!store.touch(agent.id, at(500)).await.unwrap());
    assert_eq!(read(store, agent.id).await, agent);
    assert_eq!(store.next_deadline().await.unwrap(), None);
    assert_eq!(store.due(at(500), 10).await.unwrap(), []);
}

pub(crate) async fn a_check_in_of_nobody_is_none(store: &Shared) {
    furnish(store).await;
    assert_eq!(store.check_in(agent_id(9), said(1)).await.unwrap(), None);
}

pub(crate) async fn a_check_in_fences_who_read_before(store: &Shared) {
    furnish(store).await;
    let stale = woken(store, 1).await;
    store.check_in(stale.id, said(110)).await.unwrap();
    // Written back, the stale record would undo the check-in.
    assert!(matches!(
        store.update_agent(&stale).await,
        Err(StoreError::Conflict { .. })
    ));
    assert_eq!(read(store, stale.id).await.last_seen_at, Some(at(110)));
}

pub(crate) async fn activity_is_written_down_once_a_minute(store: &Shared) {
    furnish(store).await;
    let id = store
        .insert_agent(&worker(1, 1, "Ada"), Creator::Operator)
        .await
        .unwrap()
        .id;
    assert!(store.touch(id, at(0)).await.unwrap(), "never seen before");
    assert_eq!(read(store, id).await.status, AgentStatus::Online);
    for second in 1..60 {
        assert!(!store.touch(id, at(second)).await.unwrap());
    }
    assert_eq!(read(store, id).await.revision, 2);
    assert!(store.touch(id, at(60)).await.unwrap());
    assert!(!store.touch(id, at(-60)).await.unwrap(), "from before");
    let agent = read(store, id).await;
    assert_eq!((agent.last_seen_at, agent.revision), (Some(at(60)), 3));
}

pub(crate) async fn activity_before_the_wake_is_no_answer_to_it(store: &Shared) {
    furnish(store).await;
    let before = woken(store, 1).await;
    assert!(!store.touch(before.id, at(99)).await.unwrap());
    assert_eq!(read(store, before.id).await, before);
    assert!(store.touch(before.id, at(100)).await.unwrap());
    let after = read(store, before.id).await;
    assert_eq!(
        (after.checkin_deadline_at, after.wake_attempts, after.status),
        (None, 0, AgentStatus::Online)
    );
}

pub(crate) async fn activity_during_a_run_counts_however_lately_the_agent_was_seen(store: &Shared) {
    furnish(store).await;
    let mut agent = worker(1, 1, "Ada");
    agent.status = AgentStatus::Updating;
    agent.provision_action = Some(RunKind::Update);
    agent.last_seen_at = Some(at(100));
    store.insert_agent(&agent, Creator::Operator).await.unwrap();
    assert!(!store.touch(agent.id, at(100)).await.unwrap(), "nothing new");
    assert!(store.touch(agent.id, at(101)).await.unwrap());
    assert_eq!(read(store, agent.id).await.last_seen_at, Some(at(101)));
}

pub(crate) async fn activity_brings_an_offline_agent_back(store: &Shared) {
    furnish(store).await;
    let mut agent = worker(1, 1, "Ada");
    agent.status = AgentStatus::Offline;
    agent.last_seen_at = Some(at(100));
    agent.last_provision_error = Some("3 wakes without an answer".into());
    store.insert_agent(&agent, Creator::Operator).await.unwrap();
    assert!(!store.touch(agent.id, at(100)).await.unwrap(), "nothing new");
    assert!(store.touch(agent.id, at(101)).await.unwrap());
    let agent = read(store, agent.id).await;
    assert_eq!((agent.status, agent.last_provision_error), (AgentStatus::Online, None));
}

pub(crate) async fn the_earliest_deadline_comes_first(store: &Shared) {
    furnish(store).await;
    let set = |number: u16, deadline: Option<Timestamp>| async move {
        let mut agent = worker(number, 1, &format!("agent {number}"));
        agent.checkin_deadline_at = deadline;
        store.insert_agent(&agent, Creator::Operator).await.unwrap()
    };
    set(1, Some(at(20))).await;
    let first = set(2, Some(at(10))).await;
    set(3, None).await;
    set(4, Some(at(30))).await;
    assert_eq!(store.next_deadline().await.unwrap(), Some((first.id, at(10))));
    store.check_in(first.id, said(5)).await.unwrap();
    assert_eq!(store.next_deadline().await.unwrap(), Some((agent_id(1), at(20))));
}

pub(crate) async fn deadlines_are_due_when_they_are_reached(store: &Shared) {
    furnish(store).await;
    for (number, second) in [(1, 30), (2, 10), (3, 20), (4, 40)] {
        let mut agent = worker(number, 1, &format!("agent {number}"));
        agent.checkin_deadline_at = Some(at(second));
        store.insert_agent(&agent, Creator::Operator).await.unwrap();
    }
    let due = |second: i64, limit: usize| async move {
        let due = store.due(at(second), limit).await.unwrap();
        due.into_iter().map(|agent| agent.name).collect::<Vec<_>>()
    };
    assert!(due(9, 10).await.is_empty());
    assert_eq!(due(10, 10).await, ["agent 2"]);
    assert_eq!(due(35, 10).await, ["agent 2", "agent 3", "agent 1"]);
    assert_eq!(due(35, 2).await, ["agent 2", "agent 3"]);
    assert_eq!(due(35, 0).await, ["agent 2"], "a page has one record at least");
    assert_eq!(due(1000, usize::MAX).await.len(), 4);
}
