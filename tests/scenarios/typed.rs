//! Calls by type: the same calls, with the answer's shape checked.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windlass::request::{
    AgentWait, AgentWaitStatus, AgentsFilesGet, AgentsFilesList, AgentsFilesSet, AgentsList, Change, ChatAbort,
    ChatHistory, ChatMessage, ChatSend, ChatSendReply, ChatSendStatus, DevicePairApprove, DevicePairList,
    GatewayIdentityGet, Health, SessionsList, SessionsPatch,
};
use windlass::{CallError, DeviceIdentity, Gateway, GatewayId, LineState, LineStatus, NotSent, ReplyError};
use windlass_testkit::Generation;

use crate::bench::{Bench, Stopwatch, play, sim, spec};

const SESSION: &str = "agent:main:main";

async fn ask_about_the_gateway(gateway: &Gateway) {
    let health = gateway.request(Health::new().probe(true)).await.unwrap();
    assert_eq!(
        (health.ok, health.default_agent_id.as_deref()),
        (Some(true), Some("main"))
    );
    assert_eq!(
        gateway
            .request(GatewayIdentityGet::new())
            .await
            .unwrap()
            .device_id
            .len(),
        64
    );
    let roster = gateway.request(AgentsList::new()).await.unwrap();
    assert_eq!(
        (roster.default_id.as_str(), roster.agents[0].id.as_str()),
        ("main", "main")
    );
    let devices = gateway.request(DevicePairList::new()).await.unwrap();
    assert!(devices.pending.is_empty());
}

async fn write_a_file(gateway: &Gateway) {
    let written = gateway
        .request(AgentsFilesSet::new("main", "SOUL.md", "be kind"))
        .await
        .unwrap();
    assert!(!written.file.missing);
    let listed = gateway.request(AgentsFilesList::new("main")).await.unwrap();
    assert!(listed.files.iter().any(|file| file.name == "SOUL.md" && !file.missing));
    let read = gateway.request(AgentsFilesGet::new("main", "SOUL.md")).await.unwrap();
    assert_eq!(read.file.content.as_deref(), Some("be kind"));
}

async fn hold_a_conversation(gateway: &Gateway) {
    let patched = gateway
        .request(SessionsPatch::new(SESSION).label("first").thinking_level("low"))
        .await
        .unwrap();
    assert_eq!(
        (patched.key.as_str(), patched.entry.label.as_deref()),
        (SESSION, Some("first"))
    );
    let sent = gateway
        .request(ChatSend::new(SESSION, "hello"))
        .idempotency_key("run-1")
        .await
        .unwrap();
    let ChatSendReply::Run(sent) = sent else {
        panic!("{sent:?}")
    };
    assert_eq!((sent.run_id.as_str(), sent.status), ("run-1", ChatSendStatus::Started));
    let waited = gateway
        .request(AgentWait::new("run-1").timeout_ms(9_000_u64))
        .await
        .unwrap();
    assert_eq!(waited.status, AgentWaitStatus::Ok);
    let history = gateway.request(ChatHistory::new(SESSION).limit(10_u32)).await.unwrap();
    let texts: Vec<_> = history.messages.iter().filter_map(ChatMessage::text).collect();
    assert!(
        texts.iter().any(|text| text == "hello") && texts.len() == 2,
        "{texts:?}"
    );
    let stopped = gateway.request(ChatAbort::new(SESSION).run_id("run-1")).await.unwrap();
    assert!(!stopped.aborted);
    let sessions = gateway
        .request(SessionsList::new().limit(5_u32))
        .await
        .unwrap()
        .sessions;
    assert_eq!(sessions[0].key, SESSION);
}

#[tokio::test(start_paused = true)]
async fn every_typed_request_is_taken_and_answered_by_both_generations() {
    play(async {
        for generation in [Generation::V3, Generation::V4] {
            let bench = Bench::up(generation).await;
            ask_about_the_gateway(&bench.gateway).await;
            write_a_file(&bench.gateway).await;
            hold_a_conversation(&bench.gateway).await;
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_line_lets_the_device_of_another_in() {
    play(async {
        for generation in [Generation::V3, Generation::V4] {
            let bench = Bench::new(sim(generation).remote(true).trusted_proxy(true).start_pipe()).await;
            bench
                .wait_state(|status| matches!(status.state, LineState::Paused { .. }))
                .await;
            bench.sim.approve_pairing(&bench.sim.pending_pairings()[0].request_id);
            bench.wait_up().await;
            let mut stranger = spec("gw");
            stranger.id = GatewayId::new("stranger").unwrap();
            stranger.device = Some(Arc::new(DeviceIdentity::from_seed([8; 32])));
            let stranger = bench.windlass.add(stranger).await.unwrap();
            let mut status = stranger.status();
            let paused = |status: &LineStatus| matches!(status.state, LineState::Paused { .. });
            drop(status.wait_for(paused).await.unwrap());
            let waiting = bench.gateway.request(DevicePairList::new()).await.unwrap().pending;
            let request = DevicePairApprove::new(waiting[0].request_id.clone());
            let approved = bench.gateway.request(request.clone()).await.unwrap();
            assert_eq!(approved.device.device_id, waiting[0].device_id);
            stranger.reconnect_now().await.unwrap();
            stranger.wait_until_up(Duration::from_secs(5)).await.unwrap();
            let error = bench.gateway.request(request).await.unwrap_err();
            assert!(matches!(error, ReplyError::Call(CallError::Rejected(_))), "{error:?}");
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_another_shape_is_told_from_a_call_that_failed() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        bench.sim.script().once().reply("agents.list", json!({"agents": []}));
        let error = bench.gateway.request(AgentsList::new()).await.unwrap_err();
        let ReplyError::Shape(why) = &error else {
            panic!("{error:?}")
        };
        assert!(why.to_string().contains("defaultId"), "{why}");
        assert!(bench.gateway.status().borrow().is_up());
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_a_newer_release_adds_reaches_the_caller() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        let answer = json!({"ok": true, "aborted": false, "runIds": [], "sideRuns": 2});
        bench.sim.script().once().reply("chat.abort", answer);
        let reply = bench.gateway.request(ChatAbort::new(SESSION)).await.unwrap();
        assert_eq!(reply.extra["sideRuns"], 2);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_typed_call_has_the_options_of_a_call() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        bench.sim.script().hold("sessions.patch");
        let patch = SessionsPatch::new(SESSION).model(Change::REMOVE);
        let start = Stopwatch::start();
        let late = bench
            .gateway
            .request(patch.clone())
            .timeout(Duration::from_secs(3))
            .await;
        assert!(
            matches!(late, Err(ReplyError::Call(CallError::TimedOut(_)))),
            "{late:?}"
        );
        assert_eq!(start.elapsed().as_secs(), 3);
        // A patch is never sent twice by itself, unless the caller says that it may be.
        let call = bench.gateway.request(patch).resend(windlass::Resend::Always);
        let ongoing = tokio::task::spawn_local(async move { call.await });
        bench.wait_requests("sessions.patch", 2).await;
        bench.sim.script().clear("sessions.patch");
        bench.sim.cut_all();
        assert_eq!(ongoing.await.unwrap().unwrap().key, SESSION);
        assert_eq!(bench.sim.journal().requests("sessions.patch").len(), 3);
        bench.sim.kill().await;
        bench.wait_state(|status| !status.is_up()).await;
        let down = bench.gateway.request(Health::new()).fail_fast().await;
        assert!(
            matches!(down, Err(ReplyError::Call(CallError::NotSent(NotSent::WouldWait)))),
            "{down:?}"
        );
        bench.sim.start_again().await;
        bench.finish().await;
    })
    .await;
}
