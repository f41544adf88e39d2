//! A gateway's roster says what a fresh list would say, whatever happened on the way.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use windlass::protocol::Scope;
use windlass::{Gateway, Generation, SessionCacheClosed, SessionCacheView};
use windlass_testkit::{ChatPlan, Generation as Protocol, RELEASES, RestartKind, SimGateway};

use crate::bench::{Bench, play, seed, sim};

const SESSION: &str = "agent:main:main";

async fn up(release: &str) -> Bench {
    let bench = Bench::new(sim(Protocol::V4).release(release).start_pipe()).await;
    bench.wait_up().await;
    bench
}

async fn patch(gateway: &Gateway, key: &str, label: &str) {
    let params = json!({ "key": key, "label": label });
    gateway.call("sessions.patch", params).await.unwrap();
}

/// All rows that the gateway has, by their keys, asked for past the roster.
async fn listed(bench: &Bench) -> Vec<Value> {
    let params = json!({ "limit": 100_000 });
    let list: Value = bench
        .gateway
        .call("sessions.list", params)
        .await
        .unwrap()
        .decode()
        .unwrap();
    let mut rows = list["sessions"].as_array().unwrap().clone();
    rows.sort_by(|a, b| a["key"].as_str().cmp(&b["key"].as_str()));
    rows
}

fn rows(view: &SessionCacheView) -> Vec<Value> {
    let rows = view.sessions.iter();
    rows.map(|(_, entry)| serde_json::to_value(&entry.row).unwrap())
        .collect()
}

/// Proves that nothing is left of the roster either.
async fn finish(bench: Bench) {
    // The feed hears of its last user in a turn of its own.
    tokio::time::sleep(Duration::from_millis(1)).await;
    let left = bench.gateway.inspect().await.unwrap();
    assert_eq!((left.topics, left.subscribers), (0, 0), "something is left");
    bench.finish().await;
}

#[tokio::test(start_paused = true)]
async fn all_users_of_a_roster_share_one_feed_which_ends_with_the_last() {
    play(async {
        let bench = up("2026.9.6").await;
        patch(&bench.gateway, SESSION, "one").await;
        let mut users = Vec::new();
        for _ in 0..50 {
            users.push(bench.gateway.session_cache().await.unwrap());
        }
        for user in &mut users {
            assert_eq!(rows(&user.fresh().await.unwrap()), listed(&bench).await);
        }
        let counted = bench.gateway.inspect().await.unwrap();
        assert_eq!((counted.subscribers, counted.topics, counted.resyncs.done), (1, 1, 1));
        users.truncate(1);
        patch(&bench.gateway, SESSION, "two").await;
        let labelled = |view: &SessionCacheView| {
            let entry = view.sessions.get(SESSION);
            view.is_fresh() && entry.is_some_and(|entry| entry.row.label.as_deref() == Some("two"))
        };
        users[0].wait_for(labelled).await.unwrap();
        users.clear();
        finish(bench).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_roster_can_be_had_again_after_its_last_user_went_and_is_closed_with_its_line() {
    play(async {
        let bench = up("2026.9.6").await;
        // Had again at once, the feed has not gone yet, and goes on.
        for (wait, loads) in [(0, 1), (1, 1), (0, 2)] {
            let mut roster = bench.gateway.session_cache().await.unwrap();
            roster.fresh().await.unwrap();
            assert_eq!(bench.gateway.inspect().await.unwrap().resyncs.done, loads);
            drop(roster);
            tokio::time::sleep(Duration::from_secs(wait)).await;
        }
        let mut roster = bench.gateway.session_cache().await.unwrap();
        roster.fresh().await.unwrap();
        let Bench { windlass, sim, .. } = bench;
        windlass.shutdown(Duration::from_secs(1)).await;
        assert_eq!(roster.wait_for(|_| false).await.unwrap_err(), SessionCacheClosed);
        sim.shutdown().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_is_seen_from_its_begin_to_its_end_on_all_releases() {
    play(async {
        for release in RELEASES {
            let bench = up(release).await;
            bench.sim.chat(ChatPlan {
                increments: 20,
                pace: Duration::from_millis(200),
                ..ChatPlan::default()
            });
            let mut roster = bench.gateway.session_cache().await.unwrap();
            roster.fresh().await.unwrap();
            bench
                .gateway
                .call("chat.send", crate::bench::chat("hello"))
                .await
                .unwrap();
            let active = |view: &SessionCacheView| view.sessions.get(SESSION).is_some_and(|entry| entry.active);
            let view = roster.wait_for(active).await.unwrap();
            assert_eq!(view.sessions.get(SESSION).unwrap().runs.len(), 1, "{release}");
            let over = |view: &SessionCacheView| view.is_fresh() && !active(view) && view.sessions.len() == 1;
            roster.wait_for(over).await.unwrap();
            // Some releases send more after the end.
            tokio::time::sleep(Duration::from_secs(60)).await;
            assert!(over(&roster.now()), "{release}");
            assert_eq!(rows(&roster.now()), listed(&bench).await, "{release}");
            drop(roster);
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_list_that_still_tells_of_a_run_that_ended_is_asked_for_again() {
    play(async {
        for release in ["2026.5.12", "2026.6.11", "2026.7.1"] {
            let bench = up(release).await;
            bench
                .gateway
                .call("chat.send", crate::bench::chat("hello"))
                .await
                .unwrap();
            // The run is over, and the first list is made just then.
            tokio::time::sleep(Duration::from_millis(300)).await;
            let mut roster = bench.gateway.session_cache().await.unwrap();
            let view = roster.fresh().await.unwrap();
            let entry = view.sessions.get(SESSION).unwrap();
            assert_eq!((entry.active, entry.runs.len()), (true, 0), "{release}");
            let idle = |view: &SessionCacheView| view.sessions.active().count() == 0;
            let waited = tokio::time::timeout(Duration::from_secs(5), roster.wait_for(idle)).await;
            waited
                .unwrap_or_else(|_| panic!("{release}: at work for ever"))
                .unwrap();
            let asked = bench.sim.journal().requests("sessions.list").len();
            tokio::time::sleep(Duration::from_secs(600)).await;
            let asked_later = bench.sim.journal().requests("sessions.list").len();
            assert_eq!(asked_later, asked, "{release}: nothing is left to ask");
            drop(roster);
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_end_was_lost_does_not_go_on_for_ever() {
    play(async {
        for release in RELEASES {
            let bench = up(release).await;
            bench.sim.chat(ChatPlan {
                increments: 20,
                pace: Duration::from_millis(200),
                ..ChatPlan::default()
            });
            let mut roster = bench.gateway.session_cache().await.unwrap();
            roster.fresh().await.unwrap();
            bench
                .gateway
                .call("chat.send", crate::bench::chat("hello"))
                .await
                .unwrap();
            roster
                .wait_for(|view| view.sessions.active().count() == 1)
                .await
                .unwrap();
            // Half-open: the run ends, and nobody hears of it.
            bench.sim.half_open();
            tokio::time::sleep(Duration::from_secs(10)).await;
            bench.sim.cut_all();
            bench
                .wait_state(|status| status.is_up() && status.generation == Generation::new(2))
                .await;
            let view = roster.fresh().await.unwrap();
            assert_eq!(view.sessions.active().count(), 0, "{release}");
            drop(roster);
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn more_sessions_than_one_answer_holds_are_all_there() {
    play(async {
        // One of each way to list them: no limit, no offset, pages.
        for (release, sessions) in [
            ("2026.3.13", 1_100),
            ("2026.4.15", 1_000),
            ("2026.5.12", 1_100),
            ("2026.9.6", 2_100),
        ] {
            let bench = up(release).await;
            for n in 0..sessions {
                patch(&bench.gateway, &format!("agent:main:s{n}"), &n.to_string()).await;
            }
            let mut roster = bench.gateway.session_cache().await.unwrap();
            let view = roster.fresh().await.unwrap();
            assert_eq!(rows(&view), listed(&bench).await, "{release}");
            assert_eq!(
                (view.sessions.len(), view.sessions.is_cut()),
                (sessions, false),
                "{release}"
            );
            drop(roster);
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn where_no_event_tells_of_changes_the_list_is_asked_for_by_the_clock() {
    play(async {
        for release in ["2026.1.30", "2026.3.13"] {
            let bench = up(release).await;
            let mut roster = bench.gateway.session_cache().await.unwrap();
            roster.fresh().await.unwrap();
            patch(&bench.gateway, SESSION, "one").await;
            tokio::time::sleep(windlass::session_cache::POLL + Duration::from_secs(1)).await;
            assert_eq!(rows(&roster.now()), listed(&bench).await, "{release}");
            let before = bench.sim.journal().requests("sessions.list").len();
            tokio::time::sleep(Duration::from_secs(3600)).await;
            let asked = bench.sim.journal().requests("sessions.list").len() - before;
            assert!((115..=120).contains(&asked), "{release}: {asked} in an hour");
            drop(roster);
            finish(bench).await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_gateway_is_asked_at_most_once_a_second() {
    play(async {
        let bench = up("2026.5.12").await;
        let mut roster = bench.gateway.session_cache().await.unwrap();
        roster.fresh().await.unwrap();
        let before = bench.gateway.inspect().await.unwrap().resyncs.done;
        // Each is an event without a row.
        for n in 0..1_000 {
            patch(&bench.gateway, &format!("agent:main:s{}", n % 10), &n.to_string()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        roster.fresh().await.unwrap();
        let loads = bench.gateway.inspect().await.unwrap().resyncs.done - before;
        assert!((15..=22).contains(&loads), "{loads} loads in 20 seconds");
        assert_eq!(rows(&roster.now()), listed(&bench).await);
        drop(roster);
        finish(bench).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_roster_that_is_refused_says_so_and_comes_with_the_right_to_it() {
    play(async {
        let no_read = |spec: &mut windlass::GatewaySpec| spec.scopes = vec![Scope::Pairing];
        let bench = Bench::with(sim(Protocol::V4).start_pipe(), no_read).await;
        bench.wait_up().await;
        let mut roster = bench.gateway.session_cache().await.unwrap();
        let view = roster.wait_for(|view| view.refused.is_some()).await.unwrap();
        assert!(view.refused.unwrap().contains("missing scope: operator.read"));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(
            bench.sim.journal().requests("sessions.subscribe").len(),
            1,
            "not asked again and again"
        );
        bench.windlass.update(crate::bench::spec("gw")).await.unwrap();
        let view = roster.fresh().await.unwrap();
        assert_eq!(view.refused, None);
        drop(roster);
        finish(bench).await;
    })
    .await;
}

/// What a busy gateway goes through, and its line.
async fn something_happens(sim: &SimGateway, gateway: &Gateway, rng: &mut StdRng) {
    let key = format!("agent:main:s{}", rng.random_range(0..30));
    // A call may meet a line that is down; that is not what is looked at here.
    let call = |method: &'static str, params: Value| gateway.call(method, params).timeout(Duration::from_secs(2));
    match rng.random_range(0..16) {
        0 => sim.cut_all(),
        1 if rng.random_ratio(1, 4) => sim.restart(RestartKind::Clean),
        2 => sim.withhold_next_event(),
        3 | 4 => drop(call("sessions.delete", json!({ "key": key })).await),
        5 => drop(call("sessions.reset", json!({ "key": key })).await),
        6..10 => drop(
            call(
                "chat.send",
                json!({ "sessionKey": key, "message": "hi", "idempotencyKey": key }),
            )
            .await,
        ),
        _ => drop(call("sessions.patch", json!({ "key": key, "thinkingLevel": "low" })).await),
    }
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
}

#[tokio::test(start_paused = true)]
async fn a_roster_converges_under_load_cuts_restarts_and_gaps_on_all_releases() {
    play(async {
        let seed = seed();
        for release in RELEASES {
            let bench = up(release).await;
            let mut rng = StdRng::seed_from_u64(seed);
            let mut roster = bench.gateway.session_cache().await.unwrap();
            for _ in 0..250 {
                something_happens(&bench.sim, &bench.gateway, &mut rng).await;
            }
            bench.wait_up().await;
            // A gap shows with the event behind it; runs end, and what they changed is listed.
            bench.sim.emit("custom", json!({}));
            tokio::time::sleep(Duration::from_secs(120)).await;
            let view = roster.fresh().await.unwrap();
            assert_eq!(rows(&view), listed(&bench).await, "{release}, seed {seed}");
            assert_eq!(view.sessions.active().count(), 0, "{release}, seed {seed}");
            assert!(
                bench.gateway.status().borrow().generation > Generation::new(5),
                "{release}"
            );
            drop(roster);
            finish(bench).await;
        }
    })
    .await;
}
