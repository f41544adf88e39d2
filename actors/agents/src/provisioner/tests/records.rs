//! Agents that a board or a gateway must have.

use windlass_store::{AgentRole, Agents as _, StepName};

use super::bench::{Bench, play};
use crate::control_plane::{ControlError, FakeOperation, FakeRelease, Fault};
use crate::provisioner::{Ensure, Ensured, LEAD_NAME, RunOptions};

async fn ensure(life: &super::bench::Life, wanted: Ensure) -> Ensured {
    let operation = life.handle.ensure(wanted, RunOptions::default()).await.unwrap();
    operation.report().await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_board_gets_one_lead_and_keeps_it() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (board, life) = (bench.add_board("Engine room").await, bench.start());
        let wanted = |name: Option<&str>| Ensure::Lead {
            board,
            name: name.map(str::to_owned),
        };
        let first = ensure(&life, wanted(None)).await;
        assert!(first.created && first.report.is_some());
        assert_eq!(bench.agent(first.agent).await.name, LEAD_NAME);
        let second = ensure(&life, wanted(Some("Chief"))).await;
        assert_eq!((second.agent, second.created), (first.agent, false));
        let lead = bench.agent(first.agent).await;
        assert_eq!((lead.name.as_str(), lead.role()), ("Chief", AgentRole::Lead));
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_lead_whose_provisioning_failed_is_tried_again_under_the_same_identity() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (board, life) = (bench.add_board("Engine room").await, bench.start());
        let refused = ControlError::NotOffered {
            method: "agents.create",
        };
        bench.fake().fault(FakeOperation::CreateAgent, Fault::Before(refused));
        let wanted = || Ensure::Lead { board, name: None };
        let first = ensure(&life, wanted()).await;
        assert_eq!(first.report.unwrap().failure.unwrap().step, StepName::Agent);
        let second = ensure(&life, wanted()).await;
        assert_eq!((second.agent, second.created), (first.agent, false));
        assert!(second.report.unwrap().failure.is_none());
        life.kill().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_gets_one_agent_of_its_own_however_many_ask() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let life = bench.start();
        let wanted = || Ensure::Main { gateway: bench.gateway };
        let (one, two) = tokio::join!(ensure(&life, wanted()), ensure(&life, wanted()));
        assert_eq!(one.agent, two.agent);
        assert!(one.created != two.created);
        let main = bench.store.agent(one.agent).await.unwrap().unwrap();
        assert!(main.name.ends_with("Gateway Agent"));
        assert_eq!(bench.sent(), 1);
        life.kill().await;
    })
    .await;
}
