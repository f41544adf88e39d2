//! Messages over a line that is cut at random points: executed once, with one end, and the right one.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use windlass::Gateway;
use windlass::sessions::{RunEnd, SessionKey};
use windlass_testkit::{ChatPlan, Generation as Protocol, SideEffect, SimGateway};

use crate::bench::{Bench, play, seed, sim};

/// Messages of one storm, unless `WINDLASS_SENDS` says otherwise: 10,000 are the figure that is promised.
const MESSAGES: usize = 600;
/// Cuts for so many messages: 500 for 10,000.
const MESSAGES_A_CUT: usize = 20;
/// Sessions in which messages are sent at the same time.
const SESSIONS: usize = 25;

fn messages() -> usize {
    let wanted = std::env::var("WINDLASS_SENDS").ok();
    wanted.and_then(|text| text.parse().ok()).unwrap_or(MESSAGES)
}

/// One message, when it was over.
#[derive(Debug)]
struct Ended {
    key: String,
    text: String,
    end: RunEnd,
}

/// Says one thing after the other in a session. Some say what was said before, as people do.
async fn speaker(gateway: Gateway, number: usize, count: usize) -> Vec<Ended> {
    let mut ended = Vec::new();
    let session: SessionKey = format!("agent:main:speaker-{number}").parse().unwrap();
    for turn in 0..count {
        let text = match turn % 5 {
            4 => "go on".to_owned(),
            _ => format!("speaker {number}, turn {turn}"),
        };
        let message = gateway.message(session.clone(), text.as_str());
        let following = gateway.send(message).await.unwrap();
        let key = following.key().to_owned();
        let end = following.end().await.unwrap();
        ended.push(Ended { key, text, end });
    }
    ended
}

/// Breaks the line somewhere between two steps of what goes on, or right before or after something is done.
async fn cut(bench: &Bench, rng: &mut StdRng) {
    let mut status = bench.gateway.status();
    let generation = bench.wait_up().await.generation;
    tokio::time::sleep(Duration::from_millis(rng.random_range(0..300))).await;
    let method = ["chat.send", "chat.send", "chat.history", "agent.wait"][rng.random_range(0..4)];
    match rng.random_range(0..4) {
        0 => bench.sim.script().once().drop_connection_before_answer(method),
        1 => bench.sim.script().once().drop_connection_before_execution(method),
        _ => bench.sim.cut_all(),
    }
    let broken = status.wait_for(|status| status.generation > generation || !status.is_up());
    // What was to break at something that nobody asks for breaks now.
    if tokio::time::timeout(Duration::from_millis(500), broken).await.is_err() {
        bench.sim.script().clear(method);
        bench.sim.cut_all();
    }
}

/// Cuts until all is said. How often the line broke.
async fn cutter(bench: &Bench, rng: &mut StdRng, cuts: usize, over: &Cell<bool>) -> usize {
    let mut done = 0;
    while done < cuts && !over.get() {
        cut(bench, rng).await;
        done += 1;
    }
    done
}

fn executions(sim: &SimGateway) -> HashMap<String, usize> {
    let mut executed = HashMap::new();
    for effect in sim.journal().effects() {
        if let SideEffect::ChatRun { key, .. } = effect {
            *executed.entry(key).or_default() += 1;
        }
    }
    executed
}

/// Answers take a second, so that most cuts find some under way.
fn unhurried() -> ChatPlan {
    ChatPlan {
        first_after: Duration::from_millis(150),
        increments: 4,
        pace: Duration::from_millis(250),
        ..ChatPlan::default()
    }
}

async fn storm(generation: Protocol, messages: usize) {
    let bench = Bench::new(sim(generation).chat(unhurried()).start_pipe()).await;
    let mut rng = StdRng::seed_from_u64(seed());
    let over = Rc::new(Cell::new(false));
    let speaking = {
        let (gateway, over) = (bench.gateway.clone(), Rc::clone(&over));
        tokio::task::spawn_local(async move {
            let speakers = (0..SESSIONS).map(|number| speaker(gateway.clone(), number, messages / SESSIONS));
            let ended = futures_util::future::join_all(speakers).await;
            over.set(true);
            ended.into_iter().flatten().collect::<Vec<_>>()
        })
    };
    let cuts = cutter(&bench, &mut rng, messages / MESSAGES_A_CUT, &over).await;
    let ended = speaking.await.unwrap();
    let executed = executions(&bench.sim);
    let of = |ended: &Ended| executed.get(&ended.key).copied().unwrap_or_default();
    let twice = ended.iter().filter(|ended| of(ended) > 1).count();
    let never = ended.iter().filter(|ended| of(ended) == 0).count();
    let wrong: Vec<_> = ended.iter().filter(|ended| !is_right(ended)).collect();
    let (told, wrongly) = (ended.len(), wrong.len());
    eprintln!("{generation:?}: {told} ends, {cuts} cuts: executed twice {twice}, never {never}, wrong end {wrongly}");
    assert_eq!((told, twice, never), (messages / SESSIONS * SESSIONS, 0, 0));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(cuts >= messages / MESSAGES_A_CUT, "{cuts} cuts");
    bench.finish().await;
}

/// The gateway answers everything, so everything has its answer.
fn is_right(ended: &Ended) -> bool {
    matches!(&ended.end, RunEnd::Final(answer) if answer.text == format!("echo: {}", ended.text) && !answer.joined)
}

#[tokio::test(start_paused = true)]
async fn messages_over_a_line_that_is_cut_at_random_are_executed_once_and_end_right() {
    for generation in [Protocol::V3, Protocol::V4] {
        play(storm(generation, messages())).await;
    }
}
