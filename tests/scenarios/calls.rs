//! A call ends exactly once, within its deadline, in one of five ways.

use std::time::Duration;

use serde_json::json;
use windlass::{CallError, NotSent, RetryPolicy};
use windlass_testkit::{Generation, WireError};

use crate::bench::{Bench, Stopwatch, chat, end, play, sim};

#[tokio::test(start_paused = true)]
async fn a_thousand_calls_from_sixteen_tasks_are_answered_to_the_right_caller() {
    play(async {
        for generation in [Generation::V3, Generation::V4] {
            let bench = Bench::up(generation).await;
            let callers = (0..16).map(|caller| {
                let gateway = bench.gateway.clone();
                tokio::task::spawn_local(async move {
                    for n in 0..63 {
                        let key = format!("agent:main:caller-{caller}-{n}");
                        let reply = gateway.call("sessions.patch", json!({ "key": key })).await.unwrap();
                        assert_eq!(reply.decode::<serde_json::Value>().unwrap()["key"], key);
                    }
                })
            });
            for caller in callers.collect::<Vec<_>>() {
                caller.await.unwrap();
            }
            assert_eq!(bench.sim.journal().executions("sessions.patch"), 16 * 63);
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_carries_the_gateways_code_and_is_not_the_lines_failure() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        let error = bench.gateway.call("no.such.method", ()).await.unwrap_err();
        let CallError::Rejected(rejected) = error else {
            panic!("{error:?}")
        };
        assert_eq!(rejected.error.code.as_str(), "INVALID_REQUEST");
        assert!(bench.gateway.status().borrow().is_up());
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_unanswered_call_times_out_at_its_deadline_and_a_late_answer_does_no_harm() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        bench.sim.script().once().hold("health");
        let start = Stopwatch::start();
        let error = bench
            .gateway
            .call("health", ())
            .timeout(Duration::from_secs(7))
            .await
            .unwrap_err();
        assert!(matches!(error, CallError::TimedOut(_)), "{error:?}");
        assert_eq!(start.elapsed().as_secs(), 7);
        bench.sim.script().release("health");
        bench.gateway.call("health", ()).await.unwrap();
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_frees_its_place_at_once() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        bench.sim.script().hold("health");
        let ongoing = bench.call("health", json!({}));
        bench.wait_requests("health", 1).await;
        assert_eq!(bench.gateway.inspect().await.unwrap().in_flight, 1);
        ongoing.abort();
        assert!(ongoing.await.unwrap_err().is_cancelled());
        let left = bench.gateway.inspect().await.unwrap();
        assert_eq!((left.in_flight, left.calls.abandoned), (0, 1));
        bench.sim.script().clear("health");
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn while_the_line_is_down_a_call_waits_for_its_deadline_or_fails_fast() {
    play(async {
        let bench = Bench::new(sim(Generation::V4).start_pipe()).await;
        bench.wait_up().await;
        bench.sim.kill().await;
        bench.wait_state(|status| !status.is_up()).await;
        let impatient = bench.gateway.call("health", ()).fail_fast().await.unwrap_err();
        assert_eq!(impatient, NotSent::WouldWait.into());
        let start = Stopwatch::start();
        let patient = bench
            .gateway
            .call("health", ())
            .timeout(Duration::from_secs(9))
            .await
            .unwrap_err();
        assert_eq!(
            patient,
            NotSent::NotReady {
                waited: Duration::from_secs(9)
            }
            .into()
        );
        assert_eq!(start.elapsed().as_secs(), 9);
        let early = bench.call("health", json!({}));
        bench.sim.start_again().await;
        end(early).await.unwrap();
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_the_gateways_limit_is_not_sent_and_the_line_stays() {
    play(async {
        let sim = sim(Generation::V3).release("2026.1.30").start_pipe();
        let bench = Bench::new(sim).await;
        let before = bench.wait_up().await;
        let error = bench
            .gateway
            .call("chat.send", chat(&"x".repeat(600_000)))
            .await
            .unwrap_err();
        assert!(
            matches!(error, CallError::NotSent(NotSent::TooLarge { limit: 524_288, .. })),
            "{error:?}"
        );
        bench
            .gateway
            .call("chat.send", chat(&"x".repeat(400_000)))
            .await
            .unwrap();
        assert_eq!(bench.gateway.status().borrow().generation, before.generation);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn twenty_mebibytes_come_back_whole() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        bench.sim.script().once().big_answer("health", 20 * 1024 * 1024);
        let answer = bench.gateway.call("health", ()).await.unwrap();
        assert!(answer.as_str().len() >= 20 * 1024 * 1024);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn answers_to_nobody_are_read_over() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        bench.sim.script().once().duplicate_answer("health");
        bench.gateway.call("health", ()).await.unwrap();
        bench.sim.script().once().answer_with_unknown_id("health");
        bench.sim.script().once().answer_with_id_invalid("health");
        for _ in 0..2 {
            let error = bench
                .gateway
                .call("health", ())
                .timeout(Duration::from_secs(3))
                .await
                .unwrap_err();
            assert!(matches!(error, CallError::TimedOut(_)), "{error:?}");
        }
        bench.gateway.call("health", ()).await.unwrap();
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_by_the_agent_method_can_be_waited_for_to_its_final_answer() {
    play(async {
        for generation in [Generation::V3, Generation::V4] {
            let bench = Bench::up(generation).await;
            let params = json!({ "message": "hello", "sessionKey": "agent:main:main" });
            let first: serde_json::Value = bench.gateway.call("agent", params.clone()).reply().await.unwrap();
            assert_eq!(first["status"], "accepted");
            let last: serde_json::Value = bench
                .gateway
                .call("agent", params)
                .final_answer()
                .reply()
                .await
                .unwrap();
            assert_eq!(last["status"], "ok");
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_transient_rejection_says_when_to_come_back() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        bench.sim.drain(true);
        let error = bench.gateway.call("agents.list", ()).await.unwrap_err();
        let CallError::Rejected(rejected) = error else {
            panic!("{error:?}")
        };
        assert_eq!(rejected.error.retry_after, Some(Duration::from_secs(1)));
        assert_eq!(rejected.error.class(), windlass::protocol::ErrorClass::Transient);
        bench.sim.drain(false);
        bench.gateway.call("agents.list", ()).await.unwrap();
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_written_is_not_sent() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        for (method, params) in [("bad method", json!({})), ("chat.send", json!([1]))] {
            let error = bench.gateway.call(method, params).await.unwrap_err();
            assert!(
                matches!(error, CallError::NotSent(NotSent::Invalid { .. })),
                "{error:?}"
            );
        }
        assert_eq!(bench.sim.journal().requests("chat.send").len(), 0);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_scripted_failure_reaches_its_caller_with_all_its_details() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        let failure = WireError::new("UNAVAILABLE", "rate limit")
            .retry_after_ms(46_000)
            .details(json!({"limit": "3 per 60s"}));
        bench.sim.script().once().fail("config.patch", failure);
        let error = bench.gateway.call("config.patch", json!({})).await.unwrap_err();
        let CallError::Rejected(rejected) = error else {
            panic!("{error:?}")
        };
        assert_eq!(rejected.error.retry_after, Some(Duration::from_secs(46)));
        assert_eq!(rejected.error.detail("limit"), Some(&json!("3 per 60s")));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_call_with_a_retry_policy_outlasts_a_drain_with_one_key() {
    play(async {
        let bench = Bench::up(Generation::V4).await;
        bench.sim.drain(true);
        let call = bench
            .gateway
            .call("chat.send", chat("patient"))
            .retry(RetryPolicy::COORDINATION);
        let call = tokio::task::spawn_local(call.into_future());
        bench.wait_requests("chat.send", 3).await;
        bench.sim.drain(false);
        end(call).await.unwrap();
        let keys: Vec<_> = bench
            .sim
            .journal()
            .requests("chat.send")
            .iter()
            .map(|p| p["idempotencyKey"].clone())
            .collect();
        assert!(
            keys.len() >= 4 && keys.windows(2).all(|pair| pair[0] == pair[1]),
            "{keys:?}"
        );
        assert_eq!(bench.sim.journal().runs_of("patient"), 1);
        bench.finish().await;
    })
    .await;
}
