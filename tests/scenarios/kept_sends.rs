//! Messages that outlive the process.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use tokio::task::LocalSet;
use windlass::sessions::{
    Message, MessageHandle, MessageInterrupted, Outbox, RunEnd, RunProgress, SendError, SessionKey,
};
use windlass::store::{MemoryStore, NewSend, OwnError, Right, SendState, Store, Timestamp};
use windlass::{Clock as _, Endpoint, Gateway, TokioClock, Windlass, transport};
use windlass_testkit::{ChatPlan, Generation as Protocol, Outcome, RestartKind, SideEffect, SimGateway};

use crate::bench::{Bench, TOKEN, play, seed, sim, spec};
use crate::secrets::{LogWatch, MESSAGE};

fn session(name: &str) -> SessionKey {
    format!("agent:main:{name}").parse().unwrap()
}

/// One life of the program.
struct Life {
    local: LocalSet,
    windlass: Windlass,
    gateway: Gateway,
}

impl Life {
    /// Starts, and takes up what the store has.
    fn begin<'a>(sim: &'a SimGateway, world: &'a World) -> LocalBoxFuture<'a, Self> {
        Self::begun(sim, world).boxed_local()
    }

    async fn begun(sim: &SimGateway, world: &World) -> Self {
        let local = LocalSet::new();
        // Each life draws its own keys.
        let seed = seed() + sim.journal().hellos() as u64;
        let (sim, store, clock) = (sim.clone(), Arc::clone(&world.store), world.clock);
        let (windlass, gateway) = local
            .run_until(async move {
                let outbox = Outbox::open(store).await.unwrap();
                let connector = transport::dial_with(move |_: Endpoint| {
                    let sim = sim.clone();
                    async move { sim.dial().await }
                });
                let windlass = Windlass::builder().connector(connector).outbox(outbox).clock(clock);
                let windlass = windlass.seed(seed).start_local().unwrap();
                let gateway = windlass.add(spec("gw")).await.unwrap();
                (windlass, gateway)
            })
            .await;
        Self {
            local,
            windlass,
            gateway,
        }
    }

    async fn run<F: Future>(&self, act: F) -> F::Output {
        Box::pin(self.local.run_until(act)).await
    }

    async fn send(&self, message: Message) -> MessageHandle {
        self.run(self.gateway.send(message)).await.unwrap()
    }

    /// Ends in the middle of whatever goes on: nothing more of it runs, and nothing is said to anybody.
    fn kill(self) {
        drop(self.local);
    }

    async fn shut_down(self) {
        self.run(self.windlass.shutdown(Duration::from_secs(1))).await;
        LogWatch::assert_clean();
    }
}

/// What outlives the program: its messages, and the time of day.
struct World {
    store: Arc<dyn Store>,
    clock: TokioClock,
}

impl World {
    fn new() -> Self {
        Self {
            store: Arc::new(MemoryStore::new()),
            clock: TokioClock::start(),
        }
    }
}

fn slow() -> ChatPlan {
    ChatPlan {
        increments: 20,
        pace: Duration::from_millis(100),
        ..ChatPlan::default()
    }
}

fn runs(sim: &SimGateway) -> usize {
    sim.journal()
        .count(|effect| matches!(effect, SideEffect::ChatRun { .. }))
}

/// The end that a message has on record, once it has one.
async fn recorded(life: &Life, world: &World, key: &str) -> SendState {
    let ended = async {
        loop {
            let send = world.store.chat_send(key).await.unwrap().unwrap();
            if send.ended.is_some() {
                return send.state();
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let ended = life.run(tokio::time::timeout(Duration::from_secs(3600), ended)).await;
    ended.expect("it ends within an hour")
}

#[tokio::test(start_paused = true)]
async fn a_message_is_on_record_before_it_is_sent_and_its_end_before_it_is_told() {
    play(async {
        let (sim, world) = (sim(Protocol::V4).start_pipe(), World::new());
        let life = Life::begin(&sim, &world).await;
        sim.script().hold("chat.send");
        let following = life.send(life.gateway.message(session("main"), MESSAGE)).await;
        let key = following.key().to_owned();
        let executed = sim.wait_for(|journal| journal.executions("chat.send") == 1);
        life.run(executed).await.unwrap();
        let pending = life.run(life.gateway.sessions().pending()).await.unwrap();
        assert_eq!(
            (
                pending.len(),
                &pending[0].key,
                pending[0].attempts,
                pending[0].text_bytes
            ),
            (1, &key, 1, MESSAGE.len())
        );
        assert!(!format!("{pending:?}").contains(MESSAGE));
        sim.script().release("chat.send");
        let end = life.run(following.end()).await.unwrap();
        assert!(matches!(end, RunEnd::Final(_)), "{end:?}");
        let send = life.gateway.sessions().on_record(&key).await.unwrap().unwrap();
        assert_eq!(send.state(), SendState::Done);
        let attempts = world.store.attempts(&key).await.unwrap();
        assert_eq!(attempts[0].facts["accepted"], true, "{attempts:?}");
        assert!(attempts[0].facts["life"]["bootId"].is_string(), "{attempts:?}");
        assert!(life.run(life.gateway.sessions().pending()).await.unwrap().is_empty());
        life.shut_down().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_program_that_is_killed_anywhere_sends_once_and_its_next_life_reports_the_end() {
    for generation in [Protocol::V3, Protocol::V4] {
        for step in 0..60 {
            play(async {
                let (sim, world) = (sim(generation).chat(slow()).start_pipe(), World::new());
                let life = Life::begin(&sim, &world).await;
                let message = life.gateway.message(session("main"), "once").key("the-key");
                drop(life.send(message).await);
                // Every 37 ms of the two seconds that the run takes, and some after its end.
                life.run(tokio::time::sleep(Duration::from_millis(37 * step))).await;
                let unsent = sim.journal().requests("chat.send").is_empty();
                life.kill();
                tokio::time::sleep(Duration::from_millis(500)).await;
                let life = Life::begin(&sim, &world).await;
                let following = life.run(life.gateway.sessions().follow("the-key")).await.unwrap();
                if let Some(following) = following {
                    let end = life.run(following.end()).await.unwrap();
                    let RunEnd::Final(answer) = &end else {
                        panic!("{generation:?} {step}: {end:?}")
                    };
                    assert_eq!(answer.text, "echo: once", "{generation:?} {step}");
                }
                assert_eq!(
                    recorded(&life, &world, "the-key").await,
                    SendState::Done,
                    "{generation:?} {step}"
                );
                assert_eq!(runs(&sim), 1, "{generation:?} {step}, unsent: {unsent}");
                life.shut_down().await;
                sim.shutdown().await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_both_die_a_message_is_not_run_twice_and_has_an_end() {
    for generation in [Protocol::V3, Protocol::V4] {
        for step in 0..30 {
            play(async {
                let (sim, world) = (sim(generation).chat(slow()).start_pipe(), World::new());
                let life = Life::begin(&sim, &world).await;
                // Old enough for its next start to be told from this one.
                life.run(tokio::time::sleep(Duration::from_secs(20))).await;
                let message = life.gateway.message(session("main"), "once").key("the-key");
                drop(life.send(message).await);
                life.run(tokio::time::sleep(Duration::from_millis(79 * step))).await;
                life.kill();
                sim.restart(RestartKind::Crash);
                tokio::time::sleep(Duration::from_secs(1)).await;
                let life = Life::begin(&sim, &world).await;
                let state = recorded(&life, &world, "the-key").await;
                let runs = sim.journal().runs_of("once");
                // Generation 4 keeps the message and goes on with it; generation 3 loses both, and that is said.
                match generation {
                    Protocol::V3 => assert!(matches!(state, SendState::Done | SendState::Lost), "{step}: {state:?}"),
                    Protocol::V4 => assert_eq!(state, SendState::Done, "{step}"),
                }
                assert_eq!(runs, 1, "{generation:?} {step}: {state:?}");
                life.shut_down().await;
                sim.shutdown().await;
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn messages_that_waited_go_out_in_their_order_and_before_later_ones() {
    play(async {
        let (sim, world) = (sim(Protocol::V4).chat(slow()).start_pipe(), World::new());
        let life = Life::begin(&sim, &world).await;
        for text in ["one", "two", "three"] {
            drop(life.send(life.gateway.message(session("main"), text)).await);
        }
        life.run(tokio::time::sleep(Duration::from_millis(500))).await;
        life.kill();
        let life = Life::begin(&sim, &world).await;
        let last = life.send(life.gateway.message(session("main"), "four")).await;
        let end = life.run(last.end()).await.unwrap();
        assert!(matches!(end, RunEnd::Final(_)), "{end:?}");
        let said: Vec<String> = sim
            .journal()
            .effects()
            .into_iter()
            .filter_map(|effect| match effect {
                SideEffect::ChatRun { message, .. } => Some(message),
                _ => None,
            })
            .collect();
        assert_eq!(said, ["one", "two", "three", "four"]);
        life.shut_down().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn whoever_follows_a_message_later_has_its_text_so_far_and_its_end() {
    play(async {
        let (sim, world) = (sim(Protocol::V4).chat(slow()).start_pipe(), World::new());
        let life = Life::begin(&sim, &world).await;
        let message = life.gateway.message(session("main"), "tell me a long story");
        let first = life.send(message).await;
        life.run(tokio::time::sleep(Duration::from_millis(900))).await;
        let mut second = life
            .run(life.gateway.sessions().follow(first.key()))
            .await
            .unwrap()
            .unwrap();
        let mut text = String::new();
        while let Some(progress) = life.run(second.next()).await {
            match progress {
                RunProgress::Replaced(whole) => text = whole,
                RunProgress::Increment(more) => text.push_str(&more),
                _ => {}
            }
        }
        assert_eq!(text, "echo: tell me a long story");
        let ends = (
            life.run(first.end()).await.unwrap(),
            life.run(second.end()).await.unwrap(),
        );
        assert_eq!(ends.0, ends.1);
        assert!(
            life.run(life.gateway.sessions().follow("unknown"))
                .await
                .unwrap()
                .is_none()
        );
        life.shut_down().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn one_process_at_a_time_sends_what_a_store_keeps() {
    play(async {
        let (sim, world) = (sim(Protocol::V4).start_pipe(), World::new());
        let life = Life::begin(&sim, &world).await;
        let refused = Outbox::open(Arc::clone(&world.store)).await.unwrap_err();
        assert!(
            matches!(
                refused,
                OwnError::Owned {
                    right: Right::Sends,
                    ..
                }
            ),
            "{refused:?}"
        );
        // Running its agents is another right.
        drop(world.store.own().await.unwrap());
        life.kill();
        let life = Life::begin(&sim, &world).await;
        life.shut_down().await;
        let outbox = loop {
            match Outbox::open(Arc::clone(&world.store)).await {
                Ok(outbox) => break outbox,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        drop(outbox);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_put_on_record_is_not_sent() {
    play(async {
        let (sim, world) = (sim(Protocol::V4).start_pipe(), World::new());
        let life = Life::begin(&sim, &world).await;
        let long = "x".repeat(windlass::store::limits::SEND_TEXT_BYTES + 1);
        let refused = life
            .run(life.gateway.send(life.gateway.message(session("main"), long)))
            .await;
        let Err(SendError::NotKept(why)) = refused else {
            panic!("{refused:?}")
        };
        assert!(why.to_string().contains("send.text"), "{why}");
        let first = life.send(life.gateway.message(session("main"), "one").key("k")).await;
        life.run(first.end()).await.unwrap();
        let again = life
            .run(life.gateway.send(life.gateway.message(session("main"), "two").key("k")))
            .await;
        assert!(matches!(again, Err(SendError::KeyTaken)), "{again:?}");
        world.store.close().await.unwrap();
        let refused = life
            .run(life.gateway.send(life.gateway.message(session("main"), "three")))
            .await;
        assert!(matches!(refused, Err(SendError::NotKept(_))), "{refused:?}");
        assert_eq!(sim.journal().requests("chat.send").len(), 1);
        life.shut_down().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_never_tried_is_not_sent_when_nobody_means_it_any_more() {
    play(async {
        let (sim, world) = (sim(Protocol::V4).start_pipe(), World::new());
        let now = Timestamp::from(TokioClock::start().wall());
        for (key, age) in [("old", 25), ("new", 1)] {
            let created_at = now.saturating_sub(Duration::from_secs(age * 3600));
            let send = NewSend {
                key: key.to_owned(),
                gateway_id: windlass::store::GatewayUid::of_line(&windlass::GatewayId::new("gw").unwrap()),
                session_key: session("main"),
                text: key.to_owned(),
                deliver: None,
                options: serde_json::json!(null),
                created_at,
                deadline: Some(created_at + windlass::sessions::EXPIRES_AFTER),
            };
            world.store.begin_send(&send).await.unwrap();
        }
        let life = Life::begin(&sim, &world).await;
        assert_eq!(recorded(&life, &world, "old").await, SendState::Failed);
        assert_eq!(recorded(&life, &world, "new").await, SendState::Done);
        assert_eq!((sim.journal().runs_of("old"), sim.journal().runs_of("new")), (0, 1));
        life.shut_down().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_removed_and_added_again_goes_on_with_its_messages() {
    play(async {
        let (sim, world) = (sim(Protocol::V4).chat(slow()).start_pipe(), World::new());
        let life = Life::begin(&sim, &world).await;
        let following = life.send(life.gateway.message(session("main"), "once").key("k")).await;
        life.run(tokio::time::sleep(Duration::from_millis(500))).await;
        let id = life.gateway.id().clone();
        life.run(life.windlass.remove(&id, Duration::ZERO)).await.unwrap();
        assert_eq!(life.run(following.end()).await, Err(MessageInterrupted));
        life.run(life.windlass.add(spec("gw"))).await.unwrap();
        assert_eq!(recorded(&life, &world, "k").await, SendState::Done);
        assert_eq!(runs(&sim), 1);
        life.shut_down().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn ends_are_forgotten_after_a_day_and_what_is_pending_is_not() {
    play(async {
        let (sim, world) = (sim(Protocol::V4).start_pipe(), World::new());
        let life = Life::begin(&sim, &world).await;
        let first = life.send(life.gateway.message(session("main"), "one").key("k")).await;
        life.run(first.end()).await.unwrap();
        let day = windlass::sessions::ENDS_KEPT;
        life.run(tokio::time::sleep(day.saturating_sub(Duration::from_secs(3600))))
            .await;
        assert!(world.store.chat_send("k").await.unwrap().is_some());
        life.run(tokio::time::sleep(Duration::from_secs(3 * 3600))).await;
        assert!(world.store.chat_send("k").await.unwrap().is_none());
        life.shut_down().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn messages_whose_gateway_never_comes_again_have_a_definite_end() {
    const HOUR: Duration = Duration::from_secs(3600);
    play(async {
        let (sim, world) = (sim(Protocol::V4).start_pipe(), World::new());
        let now = Timestamp::from(world.clock.wall());
        let begin = async |key: &str, gateway: &str, age: Duration| {
            let send = NewSend {
                key: key.to_owned(),
                gateway_id: windlass::store::GatewayUid::of_line(&windlass::GatewayId::new(gateway).unwrap()),
                session_key: session("main"),
                text: key.to_owned(),
                deliver: None,
                options: serde_json::json!({"giveUpMs": 24 * 3_600_000}),
                created_at: now.saturating_sub(age),
                deadline: Some(now + HOUR * 2),
            };
            world.store.begin_send(&send).await.unwrap();
        };
        begin("untried", "gone", HOUR).await;
        begin(
            "tried",
            "gone",
            windlass::sessions::PENDING_KEPT.saturating_sub(HOUR * 4),
        )
        .await;
        let attempt = serde_json::json!({});
        world.store.note_attempt("tried", now, &attempt).await.unwrap();
        sim.chat(ChatPlan {
            outcome: Outcome::Hang,
            ..ChatPlan::default()
        });
        // The first of these two is answered by nobody, and the other one waits for its turn: both are under way.
        begin("long", "gw", HOUR).await;
        begin("behind", "gw", HOUR).await;
        let life = Life::begin(&sim, &world).await;
        let state = async |key: &str| world.store.chat_send(key).await.unwrap().unwrap().state();
        let pass = |time: Duration| life.run(tokio::time::sleep(time));
        pass(HOUR / 2 * 3).await;
        assert_eq!(state("untried").await, SendState::Pending);
        pass(HOUR * 2).await;
        assert_eq!(state("untried").await, SendState::Failed);
        assert_eq!(state("tried").await, SendState::Pending);
        pass(HOUR * 2).await;
        assert_eq!(state("tried").await, SendState::Lost);
        assert_eq!(state("long").await, SendState::Pending);
        assert_eq!(
            state("behind").await,
            SendState::Pending,
            "it is over its time, and under way"
        );
        assert_eq!(sim.journal().runs_of("tried") + sim.journal().runs_of("untried"), 0);
        life.kill();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_an_outbox_nothing_is_on_record() {
    play(async {
        let bench = Bench::up(Protocol::V4).await;
        let sessions = bench.gateway.sessions();
        let following = sessions.send(sessions.message(session("main"), "one")).await.unwrap();
        let key = following.key().to_owned();
        following.end().await.unwrap();
        assert!(sessions.pending().await.unwrap().is_empty());
        assert!(sessions.on_record(&key).await.unwrap().is_none());
        bench.finish().await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_closed_for_good_ends_a_message_by_what_is_known_of_it() {
    play(async {
        let bench = Bench::new(sim(Protocol::V4).token(TOKEN).chat(slow()).start_pipe()).await;
        bench.wait_up().await;
        let sessions = bench.gateway.sessions();
        let sent = sessions
            .send(sessions.message(session("main"), "a long story, please"))
            .await
            .unwrap();
        let waits = sessions.send(sessions.message(session("main"), "two")).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        bench.windlass.remove(bench.gateway.id(), Duration::ZERO).await.unwrap();
        let (sent, waits) = (sent.end().await.unwrap(), waits.end().await.unwrap());
        assert!(matches!(sent, RunEnd::Unknown(_)), "{sent:?}");
        assert!(matches!(waits, RunEnd::NotSent(_)), "{waits:?}");
        assert_eq!(bench.sim.journal().requests("chat.send").len(), 1);
        bench.windlass.shutdown(Duration::ZERO).await;
    })
    .await;
}
