//! The control plane of a gateway and its session API act alike on the gateway's sessions.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windlass::agents::Agents;
use windlass::agents::control_plane::{AgentMessage, ControlPlane};
use windlass::protocol::run::Loss;
use windlass::request::SessionsPatch;
use windlass::sessions::{DeleteOutcome, RunEnd, SessionKey};
use windlass::store::{Gateway as GatewayRecord, GatewayUid, MemoryStore, OrganizationId, Timestamp};
use windlass::{Clock as _, Gateway, GatewayId, Secret, TokioClock, Windlass};
use windlass_testkit::{ChatPlan, Outcome, SideEffect, SimGateway, SimGatewayBuilder, WireError};

use crate::bench::{TOKEN, device, play, spec};
use crate::secrets::LogWatch;

/// One simulated gateway with two lines: `plane` and `gateway` share the first, `other` is another client.
struct Bench {
    windlass: Windlass,
    _agents: Agents,
    plane: Arc<dyn ControlPlane>,
    gateway: Gateway,
    other: Gateway,
    sim: SimGateway,
}

impl Bench {
    async fn of(release: &str) -> Self {
        Self::with(SimGateway::builder().release(release)).await
    }

    async fn with(sim: SimGatewayBuilder) -> Self {
        let sim = sim.token(TOKEN).start_pipe();
        let windlass = crate::bench::windlass([("gw".to_owned(), sim.clone())]);
        let agents = windlass
            .agents(Arc::new(MemoryStore::new()))
            .device(Arc::new(device()))
            .secrets(|name| (name == "gateway").then(|| Secret::new(TOKEN)))
            .supervise(false)
            .start()
            .await
            .unwrap();
        let record = record();
        let plane = agents.control_plane(&record).await.unwrap();
        plane.health().await.unwrap();
        let line = GatewayId::new(record.id.to_string()).unwrap();
        let other = windlass.add(spec("gw")).await.unwrap();
        other.wait_until_up(Duration::from_secs(60)).await.unwrap();
        Self {
            gateway: windlass.gateway(&line).unwrap(),
            windlass,
            _agents: agents,
            plane,
            other,
            sim,
        }
    }

    async fn run_once(&self, session: &SessionKey, text: &str) {
        let message = self.gateway.message(session.clone(), text);
        let end = self.gateway.send_and_wait(message).await.unwrap();
        assert!(matches!(end, RunEnd::Final(_)), "{end:?}");
        // Until a repetition of the text is no repetition any more (2026.6).
        tokio::time::sleep(Duration::from_secs(3)).await;
    }

    fn count(&self, wanted: impl Fn(&SideEffect) -> bool) -> usize {
        self.sim.journal().count(wanted)
    }

    fn resets(&self) -> usize {
        self.count(|effect| matches!(effect, SideEffect::SessionReset { .. }))
    }

    async fn finish(self) {
        LogWatch::assert_clean();
        self.windlass.shutdown(Duration::from_secs(1)).await;
        let closed = self.sim.wait_for(|journal| journal.open_connections() == 0);
        closed.await.unwrap();
        self.sim.shutdown().await;
    }
}

fn record() -> GatewayRecord {
    GatewayRecord {
        id: GatewayUid::from_bytes([1; 16]),
        organization_id: OrganizationId::from_bytes([2; 16]),
        name: "gw".into(),
        url: "ws://gw".into(),
        token: Some("host:gateway".parse().unwrap()),
        workspace_root: Some("/srv/agents".into()),
        base_url: None,
        allow_insecure_tls: false,
        tls_fingerprint: None,
        disable_device_pairing: false,
        created_at: Timestamp::from(TokioClock::start().wall()),
    }
}

fn session(name: &str) -> SessionKey {
    format!("agent:main:{name}").parse().unwrap()
}

fn hanging(release: &str) -> SimGatewayBuilder {
    SimGateway::builder().release(release).chat(ChatPlan {
        outcome: Outcome::Hang,
        ..ChatPlan::default()
    })
}

#[tokio::test(start_paused = true)]
async fn activity_in_a_session_is_not_taken_for_its_reset() {
    for release in ["2026.3.13", "2026.9.6"] {
        play(async {
            let (bench, work) = (Bench::of(release).await, session("work"));
            bench.run_once(&work, "hello").await;
            let script = bench.sim.script().once();
            script.drop_connection_before_execution("sessions.reset");
            let (plane, key) = (Arc::clone(&bench.plane), work.clone());
            let reset = tokio::task::spawn_local(async move { plane.reset_session(&key).await });
            let asked = bench
                .sim
                .wait_for(|journal| journal.requests("sessions.reset").len() == 1);
            asked.await.unwrap();
            // Another client changes the session before the control plane can look at it again.
            let patch = SessionsPatch::new(work.as_str()).thinking_level("low");
            bench.other.request(patch).await.unwrap();
            assert!(reset.await.unwrap().unwrap());
            assert_eq!(
                bench.resets(),
                1,
                "{release}: the reset was reported and did not happen"
            );
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_gateway_does_not_delete_is_reset_where_sessions_are_deleted_instead() {
    play(async {
        let (bench, main) = (Bench::of("2026.6.11").await, session("main"));
        bench.run_once(&main, "hello").await;
        assert!(bench.plane.reset_session(&main).await.unwrap());
        assert_eq!(bench.resets(), 1);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_whose_session_the_control_plane_resets_or_deletes_ends_soon() {
    for release in ["2026.3.13", "2026.9.6"] {
        for delete in [false, true] {
            play(async {
                let bench = Bench::with(hanging(release)).await;
                let work = session("work");
                let message = bench.gateway.message(work.clone(), "hello");
                let following = bench.gateway.send(message).await.unwrap();
                let sent = bench.sim.wait_for(|journal| journal.runs_of("hello") == 1);
                sent.await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
                let done = if delete {
                    bench.plane.delete_session(&work).await.unwrap()
                } else {
                    bench.plane.reset_session(&work).await.unwrap()
                };
                assert!(done);
                let end = tokio::time::timeout(Duration::from_secs(15), following.end()).await;
                let end = end.unwrap_or_else(|_| panic!("{release}: it still waits, delete: {delete}"));
                let over = matches!(end, Ok(RunEnd::Aborted { .. } | RunEnd::Lost(Loss::SessionReplaced)));
                assert!(over, "{release} {delete}: {end:?}");
                bench.finish().await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_in_which_a_run_goes_on_is_deleted_when_it_is_over() {
    play(async {
        let (bench, work) = (Bench::of("2026.4.15").await, session("work"));
        let refuse = || {
            let active = "Session agent:main:work is still active; try again in a moment.";
            let script = bench.sim.script().times(6);
            script.fail("sessions.delete", WireError::new("UNAVAILABLE", active));
        };
        bench.run_once(&work, "hello").await;
        refuse();
        assert!(bench.plane.delete_session(&work).await.unwrap());
        bench.run_once(&work, "hello").await;
        refuse();
        let deleted = bench.gateway.sessions().delete(&work).await.unwrap();
        assert!(matches!(deleted, DeleteOutcome::Deleted { .. }), "{deleted:?}");
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_taken_for_a_repetition_again_and_again_is_run_once() {
    play(async {
        let (bench, main) = (Bench::of("2026.6.11").await, session("main"));
        let script = bench.sim.script().times(5);
        script.reply("chat.send", json!({"runId": "older", "status": "in_flight"}));
        let message = AgentMessage {
            key: main,
            text: "good morning".into(),
            deliver: false,
            idempotency_key: "run-1".into(),
            tried_before: false,
            within: Duration::from_secs(60),
        };
        bench.plane.send(&message).await.unwrap();
        assert_eq!(bench.sim.journal().runs_of("good morning"), 1);
        bench.finish().await;
    })
    .await;
}
