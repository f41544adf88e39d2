//! Configuration writes: gathered, limited, repeated.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::{JoinHandle, spawn_local};
use windlass_agents::control_plane::{ConfigFault, ControlError, ControlPlane as _, ControlResult, Patched, Removal};
use windlass_protocol::Advise as _;
use windlass_testkit::{RELEASES, RestartKind, SimGateway, WireError};

use crate::bench::{Bench, Stopwatch, card, entry, id, play};

type Write = JoinHandle<ControlResult<Patched>>;

fn write(bench: &Bench, name: String) -> Write {
    let plane = bench.plane.clone();
    spawn_local(async move { plane.patch_agents(vec![entry(&name)]).await })
}

async fn configured(bench: &Bench) -> usize {
    let agents = bench.plane.roster().await.unwrap().agents;
    agents.values().filter(|agent| agent.heartbeat.is_some()).count()
}

fn stale() -> WireError {
    WireError::invalid("config changed since last load; re-run config.get and retry")
}

#[tokio::test(start_paused = true)]
async fn fifty_agents_at_once_are_one_write_on_every_release() {
    play(async {
        for release in RELEASES {
            let bench = Bench::of(release).await;
            let watch = Stopwatch::start();
            let writes: Vec<Write> = (0..50).map(|at| write(&bench, format!("agent-{at}"))).collect();
            for write in writes {
                assert!(
                    matches!(write.await.unwrap().unwrap(), Patched::Written { .. }),
                    "{release}"
                );
            }
            assert_eq!(configured(&bench).await, 50, "{release}");
            println!("{release}: {} writes in {:?}", bench.patches_sent(), watch.elapsed());
            assert_eq!((bench.config_writes(), bench.patches_sent()), (1, 1), "{release}");
            assert_eq!(bench.plane.writes().written, 1);
            // A second run changes nothing, and sends nothing.
            let again = (0..50).map(|at| entry(&format!("agent-{at}"))).collect();
            assert_eq!(bench.plane.patch_agents(again).await.unwrap(), Patched::Unchanged);
            assert_eq!(bench.patches_sent(), 1, "{release}");
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fifty_agents_one_after_another_wait_for_the_limit_and_are_gathered_there() {
    play(async {
        for (release, per_minute) in [("2026.4.15", 3), ("2026.9.6", 30)] {
            let bench = Bench::of(release).await;
            bench.plane.health().await.unwrap();
            let watch = Stopwatch::start();
            let mut writes = Vec::new();
            for at in 0..50 {
                writes.push(write(&bench, format!("agent-{at}")));
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            let queue = bench.plane.writes();
            assert_eq!(
                queue.limit,
                Some((per_minute, Duration::from_mins(1))),
                "learnt when it was reached"
            );
            assert!(queue.waiting > 0 && queue.next_write_in.is_some(), "{queue:?}");
            for write in writes {
                assert!(matches!(write.await.unwrap().unwrap(), Patched::Written { .. }));
            }
            assert_eq!(configured(&bench).await, 50);
            println!(
                "{release}: 50 agents, one each 0.4 s: {} accepted writes, {} sent, {:?}",
                bench.config_writes(),
                bench.patches_sent(),
                watch.elapsed()
            );
            // The limit's worth, one for all the rest, and the one refusal that told the limit.
            let per_minute = usize::try_from(per_minute).unwrap();
            assert_eq!(
                (bench.config_writes(), bench.patches_sent()),
                (per_minute + 1, per_minute + 2)
            );
            assert!(watch.elapsed() < Duration::from_secs(62), "{:?}", watch.elapsed());
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_is_known_is_never_run_into_again() {
    play(async {
        let bench = Bench::of("2026.4.15").await;
        for at in 0..20 {
            bench
                .plane
                .patch_agents(vec![entry(&format!("agent-{at}"))])
                .await
                .unwrap();
        }
        assert_eq!((bench.config_writes(), bench.patches_sent()), (20, 21));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_read_again_and_a_contended_configuration_is_given_up() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.sim.script().times(3).fail("config.patch", stale());
        let patched = bench.plane.patch_agents(vec![entry("a")]).await.unwrap();
        assert_eq!(
            patched,
            Patched::Written {
                restarts: false,
                own: true
            }
        );
        assert_eq!((bench.config_writes(), bench.patches_sent()), (1, 4));
        bench.sim.script().fail("config.patch", stale());
        let error = bench.plane.patch_agents(vec![entry("b")]).await.unwrap_err();
        assert_eq!(error, ControlError::Config(ConfigFault::Contended { attempts: 9 }));
        assert!(error.is_transient());
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_somebody_else_wrote_in_between_stays() {
    play(async {
        for release in RELEASES {
            let bench = Bench::of(release).await;
            bench.sim.script().once().hold("config.schema");
            let first = write(&bench, "a".into());
            let asked = bench
                .sim
                .wait_for(|journal| !journal.requests("config.schema").is_empty());
            asked.await.unwrap();
            bench.another_plane().patch_agents(vec![entry("other")]).await.unwrap();
            bench.sim.script().release("config.schema");
            first.await.unwrap().unwrap();
            let roster = bench.plane.roster().await.unwrap();
            for name in ["a", "other", "main"] {
                assert!(roster.agents.contains_key(&id(name)), "{release}: {name} is gone");
            }
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_found_and_not_repeated() {
    play(async {
        for (release, happened) in [("2026.3.13", true), ("2026.9.6", true), ("2026.9.6", false)] {
            let bench = Bench::of(release).await;
            let script = bench.sim.script().once();
            if happened {
                script.drop_connection_before_answer("config.patch");
            } else {
                script.drop_connection_before_execution("config.patch");
            }
            let patched = bench.plane.patch_agents(vec![entry("a")]).await.unwrap();
            assert!(matches!(patched, Patched::Written { .. }));
            assert_eq!(bench.config_writes(), 1, "{release}");
            assert_eq!(bench.plane.writes().written, 1);
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_made_and_refused_all_the_same_counts_as_made() {
    play(async {
        let bench = Bench::of("2026.8.2").await;
        let persisted = || {
            WireError::new(
                "UNAVAILABLE",
                "config.patch persisted, but a recovery restart is required",
            )
        };
        bench
            .sim
            .script()
            .once()
            .fail_after_execution("config.patch", persisted());
        let patched = bench.plane.patch_agents(vec![entry("a")]).await.unwrap();
        assert_eq!(
            patched,
            Patched::Written {
                restarts: true,
                own: true
            }
        );
        assert_eq!(bench.patches_sent(), 1);
        // The same text for something that was not written is the refusal that it says it is.
        bench.sim.script().once().fail("config.patch", persisted());
        let error = bench.plane.patch_agents(vec![entry("b")]).await.unwrap_err();
        assert!(
            matches!(&error, ControlError::Rejected(_)) && !error.is_transient(),
            "{error:?}"
        );
        assert_eq!((bench.config_writes(), bench.patches_sent()), (1, 2));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn of_a_write_for_many_each_caller_is_told_whether_its_own_entry_changed() {
    play(async {
        for release in RELEASES {
            let bench = Bench::of(release).await;
            bench.plane.patch_agents(vec![entry("known")]).await.unwrap();
            for lost in [false, true] {
                let name = if lost { "late" } else { "new" };
                if lost {
                    bench.sim.script().once().drop_connection_before_answer("config.patch");
                }
                let writes = [write(&bench, "known".into()), write(&bench, name.into())];
                let mut owns = Vec::new();
                for write in writes {
                    match write.await.unwrap().unwrap() {
                        Patched::Written { own, .. } => owns.push(own),
                        Patched::Unchanged => owns.push(false),
                    }
                }
                assert_eq!(owns, [false, true], "{release} lost: {lost}");
            }
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_setting_of_the_gateway_is_a_change_of_no_agent() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.plane.patch_agents(vec![entry("a")]).await.unwrap();
        // Somebody takes the settings out again.
        let without = json!({"hash": "h", "parsed": {"agents": {"ownership": "explicit", "entries": {
            "main": {}, "a": {"workspace": "/srv/workspace-a", "heartbeat": {"every": "5m", "target": "last"}},
        }}}});
        bench.sim.script().once().reply("config.get", without);
        let would = bench.plane.would_patch(&[entry("a")]).await.unwrap();
        assert!(would.settings && !would.agents && would.any(), "{would:?}");
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_with_included_configuration_is_written_to_one_section_at_a_time() {
    play(async {
        let included = |release: &str| SimGateway::builder().release(release).included("agents");
        for (release, sent) in [("2026.9.6", 4), ("2026.3.13", 1)] {
            let bench = Bench::with(included(release)).await;
            bench.plane.create_agent(&card("a")).await.unwrap();
            let patched = bench.plane.patch_agents(vec![entry("a")]).await.unwrap();
            assert!(
                matches!(patched, Patched::Written { own: true, .. }),
                "{release}: {patched:?}"
            );
            // Refused once, then agents, channels, tools.
            assert_eq!(bench.patches_sent(), sent, "{release}");
            assert!(
                !bench.plane.would_patch(&[entry("a")]).await.unwrap().any(),
                "{release}"
            );
            let again = bench.plane.patch_agents(vec![entry("a")]).await.unwrap();
            assert_eq!(again, Patched::Unchanged, "{release}");
            // It is known by now, so the next write is not refused first.
            bench.plane.patch_agents(vec![entry("b")]).await.unwrap();
            assert_eq!(bench.patches_sent(), sent + 1, "{release}");
            let removal = bench.plane.delete_agent(&id("a"), true).await.unwrap();
            let kept = bench.sim.profile().includes_kept;
            assert_eq!(removal == Removal::FromConfig, kept, "{release}: {removal:?}");
            let roster = bench.plane.roster().await.unwrap();
            assert!(!roster.agents.contains_key(&id("a")) && roster.agents.contains_key(&id("b")));
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_gateway_says_stands_beside_the_advice() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        let owned = "Error: Config write would flatten $include-owned config at agents.entries; edit that include file \
                     directly or remove the $include first.: code=CONFIG_INCLUDE_OWNERSHIP";
        bench
            .sim
            .script()
            .fail("config.patch", WireError::new("UNAVAILABLE", owned));
        let error = bench.plane.patch_agents(vec![entry("a")]).await.unwrap_err();
        assert!(error.to_string().contains("at agents.entries"), "{error}");
        let advice = error.advice();
        assert!(advice.summary.contains("at agents.entries"), "{advice}");
        assert!(advice.next_step.contains("included file"), "{advice}");
        // Refused whole, and refused by section.
        assert_eq!(bench.patches_sent(), 2);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_gateway_asks_for_is_judged_by_what_the_caller_has() {
    play(async {
        let limited = |limit: &str, after_ms: u64| {
            WireError::new("UNAVAILABLE", "rate limit exceeded for config.patch")
                .retry_after_ms(after_ms)
                .details(json!({"method": "config.patch", "limit": limit}))
        };
        let budget = windlass_protocol::RetryPolicy::PROVISIONING.budget;
        for (limit, after_ms) in [
            ("3 per 60s", 1_000_000_000_000),
            ("1 per 18446744073709551615s", u64::MAX),
            ("3 per 60s", 0),
            ("a few", 90_000),
        ] {
            let bench = Bench::of("2026.9.6").await;
            bench.sim.script().fail("config.patch", limited(limit, after_ms));
            let watch = Stopwatch::start();
            let error = bench.plane.patch_agents(vec![entry("a")]).await.unwrap_err();
            assert!(
                matches!(error, ControlError::Config(ConfigFault::NotBefore { .. })),
                "{limit}: {error:?}"
            );
            assert!(
                error.is_transient() && watch.elapsed() <= budget,
                "{limit}: {:?}",
                watch.elapsed()
            );
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_cancelled_takes_nothing_of_the_others_along() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        bench.plane.health().await.unwrap();
        // Cancelled while it reads, while it writes, and while it waits for the one that writes.
        for (held, at) in [("config.get", 0), ("config.patch", 1)] {
            bench.sim.script().once().hold(held);
            let before = bench.sim.journal().requests(held).len();
            let leader = write(&bench, format!("leader-{at}"));
            let arrived = bench.sim.wait_for(move |journal| journal.requests(held).len() > before);
            arrived.await.unwrap();
            let follower = write(&bench, format!("follower-{at}"));
            let waiter = write(&bench, format!("waiter-{at}"));
            while bench.plane.writes().waiting < 3 {
                tokio::task::yield_now().await;
            }
            waiter.abort();
            leader.abort();
            assert!(
                matches!(follower.await.unwrap().unwrap(), Patched::Written { .. }),
                "{held}"
            );
            bench.sim.script().release(held);
            let roster = bench.plane.roster().await.unwrap();
            assert!(roster.agents.contains_key(&id(&format!("follower-{at}"))), "{held}");
            assert!(
                !roster.agents.contains_key(&id(&format!("waiter-{at}"))),
                "{held}: it was taken back"
            );
        }
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_bad_entry_fails_its_own_caller_and_nobody_else() {
    play(async {
        for (release, path) in [
            ("2026.9.6", "agents.entries.bad.heartbeat.every"),
            ("2026.3.13", "agents.list.1.heartbeat.every"),
        ] {
            let bench = Bench::of(release).await;
            let invalid = WireError::invalid(format!("invalid config: {path}: expected a duration"))
                .details(json!({"issues": [{"path": path, "message": "expected a duration"}]}));
            bench.sim.script().once().fail("config.patch", invalid);
            let writes: Vec<Write> = ["bad", "good", "well"].map(|name| write(&bench, name.into())).into();
            let ends: Vec<_> = futures_util::future::join_all(writes).await;
            let ends: Vec<bool> = ends.into_iter().map(|end| end.unwrap().is_ok()).collect();
            assert_eq!(ends, [false, true, true], "{release}");
            let roster = bench.plane.roster().await.unwrap();
            assert_eq!(
                ["bad", "good", "well"].map(|name| roster.agents.contains_key(&id(name))),
                [false, true, true]
            );
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_for_all_fails_all_and_is_not_sent_twice() {
    play(async {
        let bench = Bench::of("2026.9.6").await;
        let invalid = WireError::invalid("invalid config: channels.defaults: Unrecognized key: \"x\"")
            .details(json!({"issues": [{"path": "channels.defaults", "message": "Unrecognized key"}]}));
        bench.sim.script().once().fail("config.patch", invalid);
        let error = bench
            .plane
            .patch_agents(vec![entry("a"), entry("b")])
            .await
            .unwrap_err();
        assert!(matches!(error, ControlError::Rejected(_)), "{error:?}");
        assert_eq!((bench.config_writes(), bench.patches_sent()), (0, 1));
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_waits_for_a_restart_that_is_put_off_but_not_for_ever() {
    play(async {
        for (put_off, hellos) in [(20, 2), (3600, 1)] {
            let delay = Duration::from_secs(put_off);
            let bench = Bench::with(SimGateway::builder().release("2026.3.13").restart_put_off(delay)).await;
            let start = bench.plane.line().now();
            let patched = bench.plane.patch_agents(vec![entry("a")]).await.unwrap();
            assert_eq!(
                patched,
                Patched::Written {
                    restarts: true,
                    own: true
                }
            );
            assert_eq!(bench.sim.journal().hellos(), hellos, "put off for {put_off} s");
            let took = bench.plane.line().now() - start;
            assert!(took < Duration::from_secs(40), "{took:?}");
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_restarts_returns_when_the_gateway_is_back() {
    play(async {
        for (release, restarts) in [("2026.1.30", 2), ("2026.3.13", 1), ("2026.7.1", 1), ("2026.9.6", 0)] {
            let bench = Bench::of(release).await;
            let patched = bench.plane.patch_agents(vec![entry("a")]).await.unwrap();
            assert_eq!(
                patched,
                Patched::Written {
                    restarts: restarts > 0,
                    own: true
                },
                "{release}"
            );
            assert!(bench.plane.line().status().borrow().is_up(), "{release}");
            let hellos = bench.sim.journal().hellos();
            tokio::time::sleep(Duration::from_secs(10)).await;
            assert_eq!(
                (bench.sim.journal().hellos(), hellos),
                (restarts + 1, restarts + 1),
                "{release}: nothing follows"
            );
            assert_eq!(bench.patches_sent(), 1, "{release}");
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_while_a_write_waits_for_the_limit_loses_nothing() {
    play(async {
        let bench = Bench::of("2026.4.15").await;
        for at in 0..3 {
            bench
                .plane
                .patch_agents(vec![entry(&format!("agent-{at}"))])
                .await
                .unwrap();
        }
        let last = write(&bench, "last".into());
        while bench.plane.writes().next_write_in.is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bench.sim.restart(RestartKind::Clean);
        assert!(matches!(last.await.unwrap().unwrap(), Patched::Written { .. }));
        assert_eq!(configured(&bench).await, 4);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_that_the_gateways_schema_refuses_is_sent() {
    play(async {
        for release in RELEASES {
            let bench = Bench::of(release).await;
            let mut odd = entry("a");
            odd.heartbeat.insert("neverHeardOf".into(), json!(1));
            bench.plane.patch_agents(vec![odd.clone()]).await.unwrap();
            let sent = bench.sim.journal().requests("config.patch");
            let raw = sent[0]["raw"].as_str().unwrap();
            let patch: Value = serde_json::from_str(raw).unwrap();
            let map = bench.sim.profile().roster_map;
            assert!(!raw.contains("neverHeardOf"), "{release}: {raw}");
            let shown = if map { "heartbeatVisibility" } else { "heartbeat" };
            assert_eq!(patch["channels"]["defaults"][shown]["showAlerts"], true, "{release}");
            assert_eq!(patch["tools"]["exec"]["host"], "gateway", "{release}");
            assert_eq!(raw.contains("includeReasoning"), !map, "{release}: {raw}");
            assert_eq!(
                bench.plane.patch_agents(vec![odd]).await.unwrap(),
                Patched::Unchanged,
                "{release}"
            );
            // Schemas are large, and read once per connection.
            let read = bench.sim.journal().requests("config.schema").len();
            assert!(read <= 2, "{release}: {read}");
            bench.finish().await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_shows_no_schema_is_written_to_all_the_same() {
    play(async {
        for release in ["2026.3.13", "2026.8.2"] {
            let bench = Bench::with(SimGateway::builder().release(release)).await;
            bench
                .sim
                .script()
                .fail("config.schema", WireError::invalid("unknown method: config.schema"));
            let mut plain = entry("a");
            plain.heartbeat.insert("every".into(), json!("7m"));
            bench.plane.create_agent(&card("a")).await.unwrap();
            let end = bench.plane.patch_agents(vec![plain]).await;
            match end {
                Ok(patched) => assert_eq!(
                    (release, patched),
                    (
                        "2026.3.13",
                        Patched::Written {
                            restarts: true,
                            own: true
                        }
                    )
                ),
                // What nobody told us of: the gateway has the last word, and it is asked once.
                Err(error) => {
                    assert!(
                        release == "2026.8.2" && matches!(error, ControlError::Rejected(_)),
                        "{error:?}"
                    );
                }
            }
            assert_eq!(bench.patches_sent(), 1, "{release}");
            bench.finish().await;
        }
    })
    .await;
}
