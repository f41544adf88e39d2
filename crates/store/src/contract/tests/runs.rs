//! Runs and their steps.

use std::sync::Arc;

use crate::{Agent, AgentStatus, Creator, Run, RunKind, RunState, Step, StepName, StepState, StoreError};
use serde_json::json;

use super::world::{Shared, agent_id, at, furnish, run_id, worker};

async fn agent(store: &Shared, number: u16) -> Agent {
    store
        .insert_agent(&worker(number, 1, &format!("agent {number}")), Creator::Operator)
        .await
        .unwrap()
}

fn run(number: u16, agent: &Agent) -> Run {
    Run::new(
        run_id(number),
        agent.id,
        agent.gateway_id,
        RunKind::Provision,
        1,
        at(i64::from(number)),
    )
}

fn step(run: &Run, name: StepName, state: StepState) -> Step {
    Step {
        run_id: run.id,
        name,
        state,
        attempts: 1,
        detail: json!({"files": ["AGENTS.md"]}),
        at: at(3),
    }
}

pub(crate) async fn a_run_begins_with_its_agent_or_not_at_all(store: &Shared) {
    furnish(store).await;
    let before = agent(store, 1).await;
    let mut run = run(1, &before);
    run.options = json!({"force_bootstrap": true});
    run.wake_key = Some("wake-1".into());
    let mut changed = before.clone();
    changed.lifecycle_generation = 1;
    changed.status = AgentStatus::Provisioning;

    let mut stale = changed.clone();
    stale.revision = 7;
    assert!(matches!(
        store.begin_run(&run, &stale).await,
        Err(StoreError::Conflict { .. })
    ));
    assert_eq!(
        store.run(run.id).await.unwrap(),
        None,
        "the run is not there without its agent"
    );

    let after = store.begin_run(&run, &changed).await.unwrap();
    assert_eq!((after.revision, after.lifecycle_generation), (2, 1));
    assert_eq!(store.agent(before.id).await.unwrap(), Some(after));
    assert_eq!(store.run(run.id).await.unwrap(), Some(run));
}

pub(crate) async fn an_agent_has_one_active_run(store: &Shared) {
    furnish(store).await;
    let ada = agent(store, 1).await;
    let ada = store.begin_run(&run(1, &ada), &ada).await.unwrap();
    let error = store.begin_run(&run(2, &ada), &ada).await.unwrap_err();
    assert!(
        matches!(error, StoreError::RunActive { run } if run == run_id(1)),
        "{error:?}"
    );
    assert_eq!(
        store.agent(ada.id).await.unwrap().as_ref(),
        Some(&ada),
        "nothing was written"
    );
    let bob = agent(store, 2).await;
    let error = store.begin_run(&run(1, &bob), &bob).await.unwrap_err();
    assert!(matches!(error, StoreError::Exists { what: "run", .. }), "{error:?}");
    store.begin_run(&run(2, &bob), &bob).await.unwrap();
    store.end_run(&run(1, &ada).ended(at(9), None), None).await.unwrap();
    store.begin_run(&run(3, &ada), &ada).await.unwrap();
}

pub(crate) async fn of_many_runs_that_begin_at_once_one_does(store: &Shared) {
    furnish(store).await;
    let ada = agent(store, 1).await;
    let begin = |number: u16| {
        let (store, ada) = (Arc::clone(store), ada.clone());
        tokio::spawn(async move { store.begin_run(&run(number, &ada), &ada).await })
    };
    let tasks: Vec<_> = (1..=16).map(begin).collect();
    let mut winners = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => winners += 1,
            Err(error) => assert!(matches!(error, StoreError::RunActive { .. }), "{error:?}"),
        }
    }
    assert_eq!(winners, 1);
    assert_eq!(store.active_runs(100).await.unwrap().len(), 1);
}

pub(crate) async fn steps_are_kept_in_the_order_of_their_beginning(store: &Shared) {
    furnish(store).await;
    let ada = agent(store, 1).await;
    let (bob, run) = (agent(store, 2).await, run(1, &ada));
    store.begin_run(&run, &ada).await.unwrap();
    let other = self::run(2, &bob);
    store.begin_run(&other, &bob).await.unwrap();
    for name in [StepName::Files, StepName::Agent, StepName::DeleteAgent] {
        store.put_step(&step(&run, name, StepState::Begun)).await.unwrap();
        store.put_step(&step(&other, name, StepState::Begun)).await.unwrap();
    }
    let mut done = step(&run, StepName::Files, StepState::Done);
    done.attempts = 3;
    done.detail = json!(null);
    done.at = at(77);
    store.put_step(&done).await.unwrap();
    let expected = [
        done,
        step(&run, StepName::Agent, StepState::Begun),
        step(&run, StepName::DeleteAgent, StepState::Begun),
    ];
    assert_eq!(store.steps(run.id).await.unwrap(), expected);
    assert_eq!(store.steps(other.id).await.unwrap().len(), 3);
}

pub(crate) async fn a_run_ends_with_its_agent_or_not_at_all(store: &Shared) {
    furnish(store).await;
    let ada = agent(store, 1).await;
    let mut run = run(1, &ada);
    let begun = store.begin_run(&run, &ada).await.unwrap();
    run.generation = 99; // What a run began with is not changed by its end.
    run.wake_key = Some("wake".into());
    let ended = run.ended(at(50), Some("template SOUL.md, line 3".into()));
    assert!(matches!(
        store.end_run(&ended, Some(&ada)).await,
        Err(StoreError::Conflict { .. })
    ));
    assert_eq!(
        store.active_runs(10).await.unwrap().len(),
        1,
        "the run goes on without its agent"
    );

    let mut failed = begun.clone();
    failed.status = AgentStatus::Offline;
    failed.last_provision_error.clone_from(&ended.error);
    let after = store.end_run(&ended, Some(&failed)).await.unwrap().unwrap();
    assert_eq!((after.revision, after.status), (3, AgentStatus::Offline));
    assert_eq!(store.agent(ada.id).await.unwrap(), Some(after));
    let stored = store.run(run.id).await.unwrap().unwrap();
    assert_eq!(
        (stored.state, stored.ended_at, stored.generation),
        (RunState::Failed, Some(at(50)), 1)
    );
    assert_eq!((stored.error, stored.wake_key), (ended.error, Some("wake".into())));
    assert_eq!(store.active_runs(10).await.unwrap(), []);
}

pub(crate) async fn what_has_ended_takes_no_more_steps(store: &Shared) {
    furnish(store).await;
    let ada = agent(store, 1).await;
    let run = run(1, &ada);
    let late = step(&run, StepName::Wake, StepState::Done);
    assert!(matches!(
        store.put_step(&late).await,
        Err(StoreError::Unknown { what: "run", .. })
    ));
    assert!(matches!(
        store.end_run(&run.ended(at(5), None), None).await,
        Err(StoreError::Unknown { what: "run", .. })
    ));
    store.begin_run(&run, &ada).await.unwrap();
    assert_eq!(store.end_run(&run.ended(at(5), None), None).await.unwrap(), None);
    assert!(matches!(store.put_step(&late).await, Err(StoreError::RunEnded { .. })));
    assert!(matches!(
        store.end_run(&run.ended(at(6), None), None).await,
        Err(StoreError::RunEnded { .. })
    ));
    assert_eq!(store.run(run.id).await.unwrap().unwrap().ended_at, Some(at(5)));
}

pub(crate) async fn a_run_ends_and_its_agent_goes(store: &Shared) {
    furnish(store).await;
    let ada = agent(store, 1).await;
    let run = run(1, &ada);
    store.begin_run(&run, &ada).await.unwrap();
    store
        .put_step(&step(&run, StepName::DeleteAgent, StepState::Done))
        .await
        .unwrap();
    assert!(store.end_run_and_delete(&run.ended(at(5), None)).await.unwrap());
    assert_eq!(store.agent(ada.id).await.unwrap(), None);
    assert_eq!(
        store.runs(ada.id, 10).await.unwrap().len(),
        1,
        "what happened is still known"
    );
    assert_eq!(store.steps(run.id).await.unwrap().len(), 1);
    assert!(matches!(
        store.end_run_and_delete(&run.ended(at(6), None)).await,
        Err(StoreError::RunEnded { .. })
    ));

    // A record that went by another way does not keep its run from ending.
    let bob = agent(store, 2).await;
    let run = self::run(2, &bob);
    store.begin_run(&run, &bob).await.unwrap();
    store.delete_agent(bob.id).await.unwrap();
    assert!(!store.end_run_and_delete(&run.ended(at(5), None)).await.unwrap());
    assert_eq!(store.active_runs(10).await.unwrap(), []);
}

pub(crate) async fn runs_are_listed_oldest_active_and_newest_of_an_agent(store: &Shared) {
    furnish(store).await;
    let mut ada = agent(store, 1).await;
    for number in [1, 2, 3] {
        ada = store.begin_run(&run(number, &ada), &ada).await.unwrap();
        if number < 3 {
            store
                .end_run(&run(number, &ada).ended(at(50), None), None)
                .await
                .unwrap();
        }
    }
    let bob = agent(store, 2).await;
    store.begin_run(&run(0, &bob), &bob).await.unwrap();
    let ids = |runs: Vec<Run>| runs.into_iter().map(|run| run.id).collect::<Vec<_>>();
    assert_eq!(
        ids(store.runs(ada.id, 10).await.unwrap()),
        [run_id(3), run_id(2), run_id(1)]
    );
    assert_eq!(ids(store.runs(ada.id, 1).await.unwrap()), [run_id(3)]);
    assert_eq!(ids(store.active_runs(10).await.unwrap()), [run_id(0), run_id(3)]);
    assert_eq!(ids(store.active_runs(1).await.unwrap()), [run_id(0)]);
}

pub(crate) async fn old_runs_are_pruned_and_active_ones_stay(store: &Shared) {
    furnish(store).await;
    let mut ada = agent(store, 1).await;
    for number in 1..=5 {
        let run = run(number, &ada);
        ada = store.begin_run(&run, &ada).await.unwrap();
        store
            .put_step(&step(&run, StepName::Render, StepState::Done))
            .await
            .unwrap();
        if number < 5 {
            store
                .end_run(&run.ended(at(100 + i64::from(number)), None), None)
                .await
                .unwrap();
        }
    }
    assert_eq!(store.prune_runs(at(101), 10).await.unwrap(), 0);
    assert_eq!(
        store.prune_runs(at(104), 2).await.unwrap(),
        2,
        "the earliest, as many as asked for"
    );
    assert_eq!(store.prune_runs(at(104), 10).await.unwrap(), 1);
    assert_eq!(store.prune_runs(at(1_000_000), 10).await.unwrap(), 1);
    assert_eq!(store.runs(agent_id(1), 10).await.unwrap().len(), 1);
    assert_eq!(store.steps(run_id(5)).await.unwrap().len(), 1);
    assert_eq!(store.steps(run_id(1)).await.unwrap(), [], "steps go with their run");
}

pub(crate) async fn a_run_that_makes_no_sense_is_refused(store: &Shared) {
    furnish(store).await;
    let (ada, bob) = (agent(store, 1).await, agent(store, 2).await);
    let run = run(1, &ada);
    let field = |error: StoreError| match error {
        StoreError::Invalid { field, .. } => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        field(store.begin_run(&run.ended(at(1), None), &ada).await.unwrap_err()),
        "run.state"
    );
    assert_eq!(field(store.begin_run(&run, &bob).await.unwrap_err()), "run.agent_id");
    store.begin_run(&run, &ada).await.unwrap();
    assert_eq!(field(store.end_run(&run, None).await.unwrap_err()), "run.state");
    assert_eq!(
        field(store.end_run(&run.ended(at(1), None), Some(&bob)).await.unwrap_err()),
        "run.agent_id"
    );
    assert_eq!(field(store.end_run_and_delete(&run).await.unwrap_err()), "run.state");
}
