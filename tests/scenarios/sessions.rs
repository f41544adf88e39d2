//! Sessions: listed, read, changed, deleted, on every release.

use std::time::Duration;

use serde_json::json;
use windlass::request::{ChatMessage, SessionsPatch};
use windlass::sessions::{
    AskError, DeleteError, DeleteOutcome, EnsureSessionError, EnsuredSession, HistoryDelta, HistoryError, HistoryPage,
    HistoryQuery, PatchError, ResetOutcome, RunEnd, SessionKey, SessionQuery, Sessions,
};
use windlass::{CallError, NotSent};
use windlass_testkit::{ChatPlan, Generation as Protocol, Outcome, RELEASES, SideEffect, SimGateway};

use crate::bench::{Bench, Stopwatch, TOKEN, play, sim};

/// The release that breaks sessions which exist before their first turn.
const BREAKING: &str = "2026.6.11";

fn key(name: &str) -> SessionKey {
    format!("agent:main:{name}").parse().unwrap()
}

async fn release(release: &str) -> Bench {
    let bench = Bench::new(SimGateway::builder().release(release).token(TOKEN).start_pipe()).await;
    bench.wait_up().await;
    bench
}

fn hanging() -> ChatPlan {
    ChatPlan {
        outcome: Outcome::Hang,
        ..ChatPlan::default()
    }
}

async fn say(sessions: &Sessions, session: &SessionKey, text: &str) -> String {
    match sessions
        .send_and_wait(sessions.message(session.clone(), text))
        .await
        .unwrap()
    {
        RunEnd::Final(answer) => answer.text,
        end => panic!("{end:?}"),
    }
}

fn texts(page: &HistoryPage) -> Vec<String> {
    page.rows.iter().filter_map(ChatMessage::text).collect()
}

/// Makes sessions as somebody else would, oldest first.
async fn make(bench: &Bench, count: usize) {
    for number in 0..count {
        let patch = SessionsPatch::new(key(&format!("s{number:03}")).as_str());
        bench.gateway.request(patch).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_tells_how_it_stands_with_its_sessions_on_every_release() {
    for name in RELEASES {
        play(async {
            let bench = release(name).await;
            let sessions = bench.gateway.sessions();
            let status = sessions.status().await.unwrap();
            assert!(status.is_connected(), "{name}");
            assert_eq!(status.verdict.unwrap().to_string(), format!("supported ({name})"));
            assert_eq!((status.sessions, status.main), (Some(0), None), "{name}");
            assert_eq!(status.main_key, Some(key("main")));
            // The main session is made when it is asked for, where that does not break it; no other is.
            assert_eq!(sessions.get(&key("other")).await.unwrap(), None, "{name}");
            let main = sessions.get(&key("main")).await.unwrap();
            assert_eq!(main.is_some(), name != BREAKING, "{name}");
            let status = sessions.status().await.unwrap();
            assert_eq!(status.sessions, Some(u64::from(name != BREAKING)), "{name}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_ensured_labelled_and_fit_for_two_messages_on_every_release() {
    for name in RELEASES {
        play(async {
            let bench = release(name).await;
            let (sessions, work) = (bench.gateway.sessions(), key("work"));
            let ensured = sessions.ensure(&work, Some("Work")).await.unwrap();
            match (name, &ensured) {
                (BREAKING, EnsuredSession::LeftToFirstMessage) | (_, EnsuredSession::Made(_)) => {}
                _ => panic!("{name}: {ensured:?}"),
            }
            for text in ["one", "two"] {
                assert_eq!(say(&sessions, &work, text).await, format!("echo: {text}"), "{name}");
            }
            let EnsuredSession::There(row) = sessions.ensure(&work, Some("Work")).await.unwrap() else {
                panic!("{name}: it is there")
            };
            assert_eq!(row.label.as_deref(), Some("Work"), "{name}");
            let error = sessions
                .patch(&SessionsPatch::new("agent:main:main").label("Work"))
                .await;
            match name {
                BREAKING => assert!(matches!(error, Err(PatchError::BeforeFirstMessage)), "{error:?}"),
                _ => assert!(matches!(error, Err(PatchError::LabelTaken)), "{name}: {error:?}"),
            }
            let ghost: SessionKey = "agent:ghost:main".parse().unwrap();
            let error = sessions.ensure(&ghost, None).await;
            if name != BREAKING {
                assert!(
                    matches!(error, Err(EnsureSessionError::UnknownAgent(_))),
                    "{name}: {error:?}"
                );
            }
            assert_eq!(sessions.get(&ghost).await.unwrap(), None, "{name}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_cannot_have_its_label_is_there_all_the_same() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let sessions = bench.gateway.sessions();
        sessions.ensure(&key("first"), Some("Mine")).await.unwrap();
        let error = sessions.ensure(&key("second"), Some("Mine")).await;
        assert!(matches!(error, Err(EnsureSessionError::LabelTaken)), "{error:?}");
        assert_eq!(sessions.get(&key("second")).await.unwrap().unwrap().label, None);
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_reset_or_deleted_takes_two_messages_again_on_every_release() {
    for name in RELEASES {
        play(async {
            let bench = release(name).await;
            let (sessions, work) = (bench.gateway.sessions(), key("work"));
            assert_eq!(sessions.reset(&work).await.unwrap(), ResetOutcome::NotThere, "{name}");
            assert_eq!(sessions.get(&work).await.unwrap(), None, "{name}: a reset makes none");
            say(&sessions, &work, "before").await;
            let reset = sessions.reset(&work).await.unwrap();
            assert_eq!(
                matches!(reset, ResetOutcome::Deleted),
                name == BREAKING,
                "{name}: {reset:?}"
            );
            assert_eq!(
                texts(&sessions.history(&work, &HistoryQuery::last()).await.unwrap()).len(),
                0
            );
            tokio::time::sleep(Duration::from_secs(3)).await;
            for text in ["one", "two"] {
                assert_eq!(say(&sessions, &work, text).await, format!("echo: {text}"), "{name}");
            }
            assert!(
                matches!(sessions.delete(&work).await.unwrap(), DeleteOutcome::Deleted { .. }),
                "{name}"
            );
            assert_eq!(sessions.delete(&work).await.unwrap(), DeleteOutcome::NotThere, "{name}");
            say(&sessions, &work, "after").await;
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_main_session_is_not_deleted_and_that_is_an_outcome_of_its_own() {
    for name in RELEASES {
        play(async {
            let bench = release(name).await;
            let (sessions, main) = (bench.gateway.sessions(), key("main"));
            assert_eq!(sessions.delete(&main).await.unwrap(), DeleteOutcome::NotThere, "{name}");
            say(&sessions, &main, "hello").await;
            let error = sessions.delete(&main).await.unwrap_err();
            assert!(
                matches!(&error, DeleteError::MainSession(key) if *key == main),
                "{name}: {error:?}"
            );
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn all_pages_are_listed_and_a_session_that_moves_meanwhile_is_among_them() {
    for generation in [Protocol::V3, Protocol::V4] {
        play(async {
            let bench = Bench::up(generation).await;
            make(&bench, 250).await;
            bench.sim.script().delay("sessions.list", Duration::from_secs(1));
            let sessions = bench.gateway.sessions();
            let listing = tokio::task::spawn_local(async move { sessions.list(&SessionQuery::all()).await });
            bench.wait_requests("sessions.list", 1).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            // It stands on the second page when the first is read, and on the first when the second is.
            let moved = SessionsPatch::new(key("s010").as_str()).thinking_level("low");
            bench.gateway.request(moved).await.unwrap();
            let rows = listing.await.unwrap().unwrap();
            let keys: std::collections::BTreeSet<_> = rows.iter().map(|row| row.key.clone()).collect();
            assert_eq!((rows.len(), keys.len()), (250, 250), "{generation:?}");
            if generation == Protocol::V4 {
                assert_eq!(rows[0].key, key("s010").as_str(), "those changed last come first");
            }
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_is_limited_filtered_and_taken_bare() {
    for generation in [Protocol::V3, Protocol::V4] {
        play(async {
            let bench = Bench::up(generation).await;
            make(&bench, 120).await;
            let sessions = bench.gateway.sessions();
            let count = async |query| sessions.list(&query).await.unwrap().len();
            assert_eq!(count(SessionQuery::all().limit(7)).await, 7);
            assert_eq!(count(SessionQuery::all().limit(110)).await, 110);
            sessions
                .patch(&SessionsPatch::new(key("s003").as_str()).label("third"))
                .await
                .unwrap();
            assert_eq!(count(SessionQuery::all().label("third")).await, 1);
            assert_eq!(count(SessionQuery::all().agent("ghost".parse().unwrap())).await, 0);
            let bare = json!([{"key": "agent:main:a"}, {"key": "agent:main:b", "label": "B"}]);
            bench.sim.script().once().reply("sessions.list", bare);
            let rows = sessions.list(&SessionQuery::all()).await.unwrap();
            assert_eq!((rows.len(), rows[1].label.as_deref()), (2, Some("B")));
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_is_read_page_by_page_to_its_beginning_on_every_release() {
    for name in RELEASES {
        play(async {
            let bench = release(name).await;
            let (sessions, main) = (bench.gateway.sessions(), key("main"));
            assert_eq!(sessions.history(&main, &HistoryQuery::last()).await.unwrap().rows, []);
            for number in 1..=4 {
                say(&sessions, &main, &format!("m{number}")).await;
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            let mut page = sessions.history(&main, &HistoryQuery::last().limit(3)).await.unwrap();
            let mut seen = texts(&page);
            while let Some(older) = page.older {
                page = sessions
                    .history(&main, &HistoryQuery::before(older).limit(3))
                    .await
                    .unwrap();
                assert!(!page.rows.is_empty() && page.rows.len() <= 3, "{name}");
                seen.splice(0..0, texts(&page));
            }
            let wanted: Vec<String> = (1..=4).flat_map(|n| [format!("m{n}"), format!("echo: m{n}")]).collect();
            assert_eq!(seen, wanted, "{name}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_old_release_does_not_show_is_said_to_be_out_of_reach() {
    play(async {
        let bench = Bench::up(Protocol::V3).await;
        let (sessions, main) = (bench.gateway.sessions(), key("main"));
        say(&sessions, &main, "hello").await;
        let error = sessions.history(&main, &HistoryQuery::before(1000)).await;
        assert!(
            matches!(error, Err(HistoryError::OutOfReach { rows: 1000 })),
            "{error:?}"
        );
        assert_eq!(
            sessions.history(&main, &HistoryQuery::before(2)).await.unwrap().rows,
            []
        );
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_rows_around_a_row_are_found_where_rows_have_ids() {
    for (name, has_ids) in [("2026.3.13", false), ("2026.4.15", true), ("2026.9.6", true)] {
        play(async {
            let bench = release(name).await;
            let (sessions, main) = (bench.gateway.sessions(), key("main"));
            for number in 1..=5 {
                say(&sessions, &main, &format!("m{number}")).await;
                tokio::time::sleep(Duration::from_secs(3)).await;
            }
            let all = sessions.history(&main, &HistoryQuery::last()).await.unwrap();
            let id = all.rows[4].meta.as_ref().and_then(|meta| meta.id.clone());
            assert_eq!(id.is_some(), has_ids, "{name}");
            let around = HistoryQuery::around(all.session_id.unwrap(), id.unwrap_or_else(|| "none".into())).limit(4);
            let found = sessions.history(&main, &around).await;
            match found {
                Ok(page) => {
                    assert!(
                        texts(&page).contains(&"m3".to_owned()) && page.rows.len() == 4,
                        "{name}: {page:?}"
                    );
                    assert_eq!((page.older, page.cursor), (None, None), "{name}");
                }
                Err(error) => assert!(
                    matches!(error, HistoryError::NoSuchRow) && !has_ids,
                    "{name}: {error:?}"
                ),
            }
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_history_goes_on_from_a_cursor_until_that_does_not_hold() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let (sessions, work) = (bench.gateway.sessions(), key("work"));
        say(&sessions, &work, "one").await;
        let cursor = sessions
            .history(&work, &HistoryQuery::last())
            .await
            .unwrap()
            .cursor
            .unwrap();
        say(&sessions, &work, "two").await;
        let HistoryDelta::Added(page) = sessions.history_since(&work, &cursor).await.unwrap() else {
            panic!("it holds")
        };
        assert_eq!(texts(&page), ["two", "echo: two"]);
        let cursor = page.cursor.unwrap();
        sessions.reset(&work).await.unwrap();
        say(&sessions, &work, "three").await;
        let HistoryDelta::Replaced(page) = sessions.history_since(&work, &cursor).await.unwrap() else {
            panic!("it does not hold any more")
        };
        assert_eq!(texts(&page), ["three", "echo: three"]);
        bench.finish().await;

        let bench = Bench::up(Protocol::V3).await;
        let (sessions, main) = (bench.gateway.sessions(), key("main"));
        say(&sessions, &main, "one").await;
        assert_eq!(
            sessions.history(&main, &HistoryQuery::last()).await.unwrap().cursor,
            None
        );
        let error = sessions.history_since(&main, &cursor).await;
        assert!(matches!(error, Err(HistoryError::NoCursors)), "{error:?}");
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_session_in_which_a_run_goes_on_is_deleted_when_the_release_lets_it() {
    play(async {
        let bench = release("2026.4.15").await;
        let (sessions, work) = (bench.gateway.sessions(), key("work"));
        bench.sim.chat(hanging());
        let message = sessions.message(work.clone(), "think");
        let following = sessions.send(message).await.unwrap();
        bench.wait_requests("chat.send", 1).await;
        let refused = sessions.delete(&work).await;
        assert!(matches!(refused, Err(DeleteError::StillActive)), "{refused:?}");
        let deleting = {
            let (sessions, work) = (sessions.clone(), work.clone());
            tokio::task::spawn_local(async move { sessions.delete(&work).await })
        };
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            sessions.abort(&work, Some(following.key())).await.unwrap(),
            [following.key()]
        );
        assert!(matches!(deleting.await.unwrap(), Ok(DeleteOutcome::Deleted { .. })));
        let end = following.end().await.unwrap();
        assert!(matches!(end, RunEnd::Aborted { .. }), "{end:?}");
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_under_a_reset_or_a_deletion_has_its_end_though_no_event_tells() {
    for generation in [Protocol::V3, Protocol::V4] {
        for delete in [false, true] {
            play(async {
                let bench = Bench::new(sim(generation).chat(hanging()).start_pipe()).await;
                bench.wait_up().await;
                let (sessions, work) = (bench.gateway.sessions(), key("work"));
                let start = Stopwatch::start();
                let following = sessions.send(sessions.message(work.clone(), "think")).await.unwrap();
                bench.wait_requests("chat.send", 1).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                if delete {
                    sessions.delete(&work).await.unwrap();
                } else {
                    sessions.reset(&work).await.unwrap();
                }
                let end = following.end().await.unwrap();
                match generation {
                    Protocol::V3 => assert!(matches!(end, RunEnd::Lost(_)), "{end:?}"),
                    Protocol::V4 => assert!(matches!(end, RunEnd::Aborted { .. }), "{end:?}"),
                }
                assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
                bench.finish().await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_whose_answer_is_lost_is_done_once() {
    for generation in [Protocol::V3, Protocol::V4] {
        for before in [false, true] {
            play(async {
                let bench = Bench::up(generation).await;
                let (sessions, work) = (bench.gateway.sessions(), key("work"));
                say(&sessions, &work, "one").await;
                let script = bench.sim.script().once();
                if before {
                    script.drop_connection_before_execution("sessions.reset");
                } else {
                    script.drop_connection_before_answer("sessions.reset");
                }
                let reset = sessions.reset(&work).await.unwrap();
                assert!(matches!(reset, ResetOutcome::Emptied(_)), "{reset:?}");
                let done = |effect: &SideEffect| matches!(effect, SideEffect::SessionReset { .. });
                assert_eq!(bench.sim.journal().count(done), 1, "{generation:?} {before}");
                bench.finish().await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_is_aborted_and_where_none_goes_on_nothing_is() {
    for generation in [Protocol::V3, Protocol::V4] {
        play(async {
            let bench = Bench::new(sim(generation).chat(hanging()).start_pipe()).await;
            bench.wait_up().await;
            let (sessions, main) = (bench.gateway.sessions(), key("main"));
            assert!(sessions.abort(&main, None).await.unwrap().is_empty());
            let following = sessions.send(sessions.message(main.clone(), "think")).await.unwrap();
            bench.wait_requests("chat.send", 1).await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(sessions.abort(&main, None).await.unwrap(), [following.key()]);
            let end = following.end().await.unwrap();
            assert!(matches!(end, RunEnd::Aborted { .. }), "{end:?}");
            bench.finish().await;
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_waits_for_a_line_that_is_down_and_for_no_longer_than_it_may() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        bench.sim.kill().await;
        bench.wait_state(|status| !status.is_up()).await;
        let sessions = bench.gateway.sessions().timeout(Duration::from_secs(3));
        let status = sessions.status().await.unwrap();
        assert!(!status.is_connected() && status.sessions.is_none() && status.main_key.is_some());
        let error = sessions.get(&key("main")).await;
        assert!(
            matches!(
                &error,
                Err(AskError::Call(CallError::NotSent(NotSent::NotReady { .. })))
            ),
            "{error:?}"
        );
        bench.sim.start_again().await;
        assert!(sessions.get(&key("main")).await.unwrap().is_some());
        bench.finish().await;
    })
    .await;
}
