//! Agents, their files and their scratch under faults.

use std::time::Duration;

use serde_json::json;
use windlass_agents::control_plane::{ControlError, ControlPlane as _, Created, FileWrite, Removal, ResourceKind};
use windlass_testkit::{RestartKind, SideEffect, SimGateway, WireError};

use crate::bench::{Bench, Stopwatch, card, entry, id, play};

fn created(effect: &SideEffect) -> bool {
    matches!(effect, SideEffect::AgentCreated { .. })
}

fn deleted(effect: &SideEffect) -> bool {
    matches!(effect, SideEffect::AgentDeleted { .. })
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_its_gateway_does_not_know_yet_is_waited_for() {
    play(async {
        for release in ["2026.2.26", "2026.9.6"] {
            let settles = Duration::from_millis(700);
            let sim = SimGateway::builder().release(release).create_settles_after(settles);
            let bench = Bench::with(sim).await;
            let plane = &bench.plane;
            assert_eq!(plane.create_agent(&card("a")).await.unwrap(), Created::Fresh);
            // Nobody remembers here that it is fresh: the configuration tells.
            assert_eq!(
                plane.set_file(&id("a"), "SOUL.md", "x").await.unwrap(),
                FileWrite::Written
            );
            let watch = Stopwatch::start();
            plane.create_agent(&card("b")).await.unwrap();
            plane.update_agent(&card("b"), true).await.unwrap();
            assert!(
                watch.elapsed() >= settles && watch.elapsed() < Duration::from_secs(3),
                "{:?}",
                watch.elapsed()
            );
            plane.create_agent(&card("c")).await.unwrap();
            plane.update_agent(&card("c"), false).await.unwrap();
            plane.create_agent(&card("d")).await.unwrap();
            let removal = plane.delete_agent(&id("d"), true).await.unwrap();
            assert_eq!(removal, Removal::Deleted, "{release}: it is not left behind");
            assert_eq!((bench.count(created), bench.count(deleted)), (4, 1), "{release}");
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn changes_of_a_gateways_configuration_go_one_after_another() {
    play(async {
        let bench = Bench::of("2026.3.13").await;
        let (plane, answer) = (&bench.plane, Duration::from_millis(300));
        plane.create_agent(&card("a")).await.unwrap();
        for method in ["agents.create", "agents.update", "agents.delete"] {
            bench.sim.script().delay(method, answer);
        }
        let watch = Stopwatch::start();
        let (b, c) = (card("b"), card("c"));
        let made = async { tokio::try_join!(plane.create_agent(&b), plane.create_agent(&c)) };
        let (a, gone) = (card("a"), id("a"));
        let others = async { tokio::try_join!(plane.update_agent(&a, false), plane.delete_agent(&gone, true)) };
        let (made, others) = tokio::join!(made, others);
        assert_eq!(made.unwrap(), (Created::Fresh, Created::Fresh));
        others.unwrap();
        assert!(watch.elapsed() >= 4 * answer, "{:?}", watch.elapsed());
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_is_made_only_when_the_gateway_works_with_the_one_before() {
    play(async {
        let settles = Duration::from_millis(600);
        let sim = SimGateway::builder().release("2026.2.26").create_settles_after(settles);
        let bench = Bench::with(sim).await;
        bench.plane.health().await.unwrap();
        let watch = Stopwatch::start();
        let (a, b) = (card("a"), card("b"));
        tokio::try_join!(bench.plane.create_agent(&a), bench.plane.create_agent(&b)).unwrap();
        assert!(watch.elapsed() >= 2 * settles, "{:?}", watch.elapsed());
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_never_shows_a_change_keeps_nobody_waiting_for_long() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.plane.create_agent(&card("a")).await.unwrap();
        let old = json!({"defaultId": "main", "agents": [{"id": "a", "name": "another"}]});
        bench.sim.script().reply("agents.list", old);
        let watch = Stopwatch::start();
        bench.plane.update_agent(&card("a"), false).await.unwrap();
        assert_eq!(watch.elapsed().as_millis() / 100, 25);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_is_not_there_is_an_error_at_once_and_one_that_should_be_there_later() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.plane.health().await.unwrap();
        let not_found = Err(ControlError::NotFound(ResourceKind::Agent("ghost".into())));
        let watch = Stopwatch::start();
        assert_eq!(bench.plane.update_agent(&card("ghost"), false).await, not_found);
        assert!(watch.elapsed() < Duration::from_millis(100), "{:?}", watch.elapsed());
        let watch = Stopwatch::start();
        assert_eq!(bench.plane.update_agent(&card("ghost"), true).await, not_found);
        // 0.5 + 1 + 2 + 4 + 4.
        assert_eq!(watch.elapsed().as_secs(), 11);
        assert_eq!(bench.sim.journal().requests("agents.update").len(), 1 + 6);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_is_lost_happens_once() {
    play(async {
        for happened in [true, false] {
            let bench = Bench::of("2026.9.6").await;
            let script = bench.sim.script().once();
            if happened {
                script.drop_connection_before_answer("agents.create");
            } else {
                script.drop_connection_before_execution("agents.create");
            }
            assert_eq!(bench.plane.create_agent(&card("a")).await.unwrap(), Created::Fresh);
            assert_eq!(bench.count(created), 1);
            let sent = bench.sim.journal().requests("agents.create").len();
            assert_eq!(sent, if happened { 1 } else { 2 });
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_create_that_is_never_answered_is_looked_up_and_its_echo_taken_for_success() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.sim.script().once().never_answer("agents.create");
        assert_eq!(bench.plane.create_agent(&card("a")).await.unwrap(), Created::Fresh);
        // The same, and the configuration that is looked into is older than the agent.
        bench.sim.script().once().never_answer("agents.create");
        let old = json!({"hash": "h", "parsed": {"agents": {"entries": {"main": {}}}}});
        bench.sim.script().once().reply("config.get", old);
        assert_eq!(bench.plane.create_agent(&card("b")).await.unwrap(), Created::Fresh);
        assert_eq!(bench.count(created), 2);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_delete_whose_answer_is_lost_counts_as_done() {
    play(async {
        let bench = Bench::of("2026.3.13").await;
        bench.plane.create_agent(&card("a")).await.unwrap();
        bench.sim.script().once().drop_connection_before_answer("agents.delete");
        let removal = bench.plane.delete_agent(&id("a"), true).await.unwrap();
        assert_eq!(removal, Removal::Deleted);
        let removal = bench.plane.delete_agent(&id("a"), true).await.unwrap();
        assert_eq!(removal, Removal::NotThere);
        assert_eq!(bench.count(deleted), 1);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn many_writes_to_one_agent_at_once_all_arrive_where_they_race() {
    play(async {
        for release in ["2026.3.13", "2026.4.15"] {
            let bench = Bench::of(release).await;
            bench.plane.create_agent(&card("a")).await.unwrap();
            let writes = (0..20).map(|at| {
                let plane = bench.plane.clone();
                tokio::task::spawn_local(async move { plane.set_file(&id("a"), "SOUL.md", &at.to_string()).await })
            });
            for write in writes.collect::<Vec<_>>() {
                assert_eq!(write.await.unwrap().unwrap(), FileWrite::Written);
            }
            let written = |effect: &SideEffect| matches!(effect, SideEffect::FileWritten { .. });
            assert_eq!(bench.count(written), 20, "{release}: each once, none refused");
            // Somebody else who does not wait for our lock: refused, and tried again.
            let other = bench.another_plane();
            let (first, second) = (id("a"), id("a"));
            let both = tokio::join!(
                bench.plane.set_file(&first, "SOUL.md", "one"),
                other.set_file(&second, "SOUL.md", "two"),
            );
            assert_eq!(
                (both.0.unwrap(), both.1.unwrap()),
                (FileWrite::Written, FileWrite::Written)
            );
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_in_the_middle_is_a_pause() {
    play(async {
        for (release, kind) in [
            ("2026.3.13", RestartKind::Clean),
            ("2026.3.13", RestartKind::Crash),
            ("2026.9.6", RestartKind::Clean),
            ("2026.9.6", RestartKind::Crash),
        ] {
            let bench = Bench::of(release).await;
            bench.plane.create_agent(&card("a")).await.unwrap();
            bench.sim.script().once().hold("agents.files.set");
            let plane = bench.plane.clone();
            let writing = tokio::task::spawn_local(async move { plane.set_file(&id("a"), "SOUL.md", "be kind").await });
            let arrived = bench
                .sim
                .wait_for(|journal| !journal.requests("agents.files.set").is_empty());
            arrived.await.unwrap();
            bench.sim.restart(kind);
            assert_eq!(
                writing.await.unwrap().unwrap(),
                FileWrite::Written,
                "{release} {kind:?}"
            );
            let read = bench.plane.get_file(&id("a"), "SOUL.md").await.unwrap();
            assert_eq!(read.as_deref(), Some("be kind"));
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_has_no_time_is_asked_again_when_it_says() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.plane.health().await.unwrap();
        let busy = WireError::new("UNAVAILABLE", "busy").retry_after_ms(20_000);
        bench.sim.script().once().fail("agents.create", busy);
        let watch = Stopwatch::start();
        assert_eq!(bench.plane.create_agent(&card("a")).await.unwrap(), Created::Fresh);
        assert_eq!(watch.elapsed().as_secs(), 20);
        // A refusal for good is not repeated.
        let refusal = WireError::new("FORBIDDEN", "missing scope: operator.admin");
        bench.sim.script().once().fail("agents.create", refusal);
        let error = bench.plane.create_agent(&card("b")).await.unwrap_err();
        assert!(!error.is_transient(), "{error:?}");
        assert_eq!(bench.sim.journal().requests("agents.create").len(), 3);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_budget_ends_and_says_what_it_waited_for() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.plane.health().await.unwrap();
        bench.sim.stop().await;
        let watch = Stopwatch::start();
        let error = bench.plane.create_agent(&card("a")).await.unwrap_err();
        assert!(error.is_transient() && !error.is_outcome_unknown(), "{error:?}");
        assert!((500..700).contains(&watch.elapsed().as_secs()), "{:?}", watch.elapsed());
        bench.sim.start_again().await;
        bench.plane.health().await.unwrap();
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_id_that_no_gateway_would_make_is_refused_before_anything_is_sent() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        let error = bench.plane.create_agent(&card("Lead-One")).await.unwrap_err();
        assert!(matches!(error, ControlError::Invalid { .. }), "{error:?}");
        assert_eq!(bench.sim.journal().requests("agents.create").len(), 0);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_repeats_what_was_sent_does_not_show_it() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.plane.create_agent(&card("a")).await.unwrap();
        let secret = "AUTH_TOKEN=tok-5f2c9be07714";
        let echo = WireError::invalid(format!("invalid params: bad content \"{secret}\""))
            .details(json!({"got": {"content": secret}}));
        bench.sim.script().once().fail("agents.files.set", echo);
        let content = format!("# Tools\n{secret}\n");
        let error = bench.plane.set_file(&id("a"), "AGENTS.md", &content).await.unwrap_err();
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains("tok-5f2c9be07714"), "{shown}");
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_scratch_survives_somebody_elses_write_and_a_lost_answer() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.plane.create_agent(&card("a")).await.unwrap();
        bench.plane.patch_agents(vec![entry("a")]).await.unwrap();
        let conflict = json!({"ok": false, "reason": "revision-conflict", "currentRevision": 7});
        bench.sim.script().times(2).reply("cron.scratch.set", conflict.clone());
        assert!(bench.plane.set_scratch(&id("a"), "one").await.unwrap());
        bench
            .sim
            .script()
            .once()
            .drop_connection_before_answer("cron.scratch.set");
        assert!(bench.plane.set_scratch(&id("a"), "two").await.unwrap());
        let scratch = bench.plane.scratch(&id("a")).await.unwrap().unwrap();
        assert_eq!((scratch.content.as_deref(), scratch.revision), (Some("two"), 2));
        // The same text again is not written again.
        assert!(bench.plane.set_scratch(&id("a"), "two").await.unwrap());
        let written = |effect: &SideEffect| matches!(effect, SideEffect::ScratchWritten { .. });
        assert_eq!(bench.count(written), 2);
        bench.sim.script().reply("cron.scratch.set", conflict);
        let error = bench.plane.set_scratch(&id("a"), "three").await.unwrap_err();
        assert!(
            matches!(error, ControlError::Config(_)) && error.is_transient(),
            "{error:?}"
        );
        bench.finish().await;
    })
    .await;
}
