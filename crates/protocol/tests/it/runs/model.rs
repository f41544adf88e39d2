//! A model of a gateway that executes, crashes, forgets and resumes by seed, and a line that breaks: each send has one end, and
//! the end is true.

mod gateway;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;
use windlass_protocol::connection::Continuity;
use windlass_protocol::run::{Action, Doubt, ResendAfterLoss, RunEnd, RunOutput, RunProgress, RunTracker};

use self::gateway::{Failing, RELEASES, Release, Run, Truth};
use super::bench::{KEY, config, epoch};

#[derive(Clone, Debug)]
enum Step {
    Request(u32, Action),
    Event(u32, &'static str, Value),
    Reply(u32, Reply),
    Begin(u32, String),
    Go(u32, String),
    WaitOver(u32, u32, String),
    Cut,
    Crash,
    Up,
    Stranger,
}

#[derive(Clone, Debug)]
enum Reply {
    Sent(Value),
    History(Value),
    Wait(Value),
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about one world, not a state"
)]
struct World {
    release: Release,
    rng: StdRng,
    steps: BinaryHeap<Reverse<(u64, u64, usize)>>,
    store: Vec<Option<Step>>,
    now: u64,
    conn: u32,
    up: bool,
    life: u32,
    restarted: bool,
    /// A restart since the last connection that only a boot id proves.
    restarted_unseen: bool,
    /// Keys that the process remembers, and whether their run goes on.
    memory: HashMap<String, bool>,
    rows: Vec<Value>,
    /// The lane: the run under way, then those that wait.
    lane: Vec<Run>,
    truth: Truth,
    /// Something that reached the caller showed that the gateway had taken our message.
    heard_of: bool,
    tracker: RunTracker,
    told: String,
    end: Option<RunEnd>,
}

impl World {
    fn new(seed: u64, resend: ResendAfterLoss) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let release = RELEASES[rng.random_range(0..RELEASES.len())];
        let mut wanted = config(release.protocol);
        wanted.resend = resend;
        wanted.facts.rows_at_once = release.boot_id;
        let mut world = Self {
            release,
            rng,
            steps: BinaryHeap::new(),
            store: Vec::new(),
            now: 0,
            conn: 0,
            up: true,
            life: 0,
            restarted: false,
            restarted_unseen: false,
            memory: HashMap::new(),
            rows: Vec::new(),
            lane: Vec::new(),
            truth: Truth::default(),
            heard_of: false,
            tracker: RunTracker::new(wanted, epoch()),
            told: String::new(),
            end: None,
        };
        world.plan();
        world
    }

    fn plan(&mut self) {
        if self.rng.random_bool(0.2) {
            let at = self.rng.random_range(0..300);
            self.at(at, Step::Stranger);
        }
        for _ in 0..self.rng.random_range(0..4) {
            let at = self.rng.random_range(0..4_000);
            self.at(at, Step::Cut);
        }
        for _ in 0..self.rng.random_range(0..3) {
            let at = self.rng.random_range(0..5_000);
            self.at(at, Step::Crash);
        }
    }

    fn at(&mut self, at: u64, step: Step) {
        let id = self.store.len();
        self.store.push(Some(step));
        self.steps.push(Reverse((at, id as u64, id)));
    }

    fn after(&mut self, delay: std::ops::Range<u64>, step: Step) {
        let delay = self.rng.random_range(delay);
        self.at(self.now + delay, step);
    }

    fn instant(&self) -> std::time::Instant {
        epoch() + Duration::from_millis(self.now)
    }

    fn go(mut self) -> (Truth, RunEnd, Release) {
        let mut rounds = 0;
        loop {
            self.drain();
            if let Some(end) = self.end.take() {
                assert!(self.tracker.poll(self.instant()).is_none() && self.tracker.next_deadline().is_none());
                self.settle();
                return (self.truth, end, self.release);
            }
            rounds += 1;
            assert!(rounds < 20_000, "no end");
            let deadline = self
                .tracker
                .next_deadline()
                .map(|at| u64::try_from((at - epoch()).as_nanos().div_ceil(1_000_000)).unwrap());
            let step = self.steps.peek().map(|Reverse((at, ..))| *at);
            match (step, deadline) {
                (Some(step), Some(deadline)) if deadline < step => self.now = self.now.max(deadline),
                (None, Some(deadline)) => self.now = self.now.max(deadline),
                (Some(_), _) => self.step(),
                (None, None) => panic!("nothing to wait for, and no end"),
            }
        }
    }

    /// What is under way on the gateway comes to its end after the tracker's.
    fn settle(&mut self) {
        for _ in 0..2_000 {
            if self.steps.is_empty() {
                return;
            }
            self.step();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.tracker.poll(self.instant()) {
            match output {
                RunOutput::Do(action) if self.up => self.after(1..60, Step::Request(self.conn, action)),
                RunOutput::Tell(RunProgress::Increment(more)) => self.told.push_str(&more),
                RunOutput::Tell(RunProgress::Replaced(whole)) => self.told = whole,
                RunOutput::Do(_) | RunOutput::Tell(_) => {}
                RunOutput::End(end) => {
                    assert!(self.end.is_none(), "two ends");
                    if let RunEnd::Final(answer) = &end {
                        assert_eq!(answer.text, self.told, "what was told is the answer");
                    }
                    self.end = Some(end);
                }
            }
        }
    }

    fn step(&mut self) {
        let Some(Reverse((at, _, id))) = self.steps.pop() else {
            return;
        };
        self.now = self.now.max(at);
        let step = self.store[id].take().unwrap();
        let now = self.instant();
        match step {
            Step::Request(conn, action) if conn == self.conn && self.up => self.request(action),
            Step::Event(conn, name, payload) if conn == self.conn && self.up => {
                self.heard_of |= payload["runId"] == KEY;
                match name {
                    "chat" => self.tracker.on_chat(&serde_json::from_value(payload).unwrap(), now),
                    _ => self.tracker.on_agent(&serde_json::from_value(payload).unwrap(), now),
                }
            }
            Step::Reply(conn, reply) if conn == self.conn && self.up => match reply {
                Reply::Sent(value) => {
                    self.heard_of = true;
                    self.tracker.on_sent(&serde_json::from_value(value).unwrap(), now);
                }
                Reply::History(value) => self.tracker.on_history(&serde_json::from_value(value).unwrap(), now),
                Reply::Wait(value) => self.tracker.on_wait(&serde_json::from_value(value).unwrap(), now),
            },
            Step::Begin(life, id) if life == self.life => self.begin(&id),
            Step::Go(life, id) if life == self.life => self.advance(&id),
            Step::WaitOver(conn, life, id) if life == self.life => self.wait_over(conn, &id),
            // Lost with its connection or its process.
            Step::Request(..)
            | Step::Event(..)
            | Step::Reply(..)
            | Step::Begin(..)
            | Step::Go(..)
            | Step::WaitOver(..) => {}
            Step::Cut => self.cut(),
            Step::Crash => self.crash(),
            Step::Up => {
                self.up = true;
                let life = self.continuity();
                self.restarted = false;
                self.restarted_unseen = false;
                self.tracker.on_line_up(life, now);
            }
            Step::Stranger => {
                self.truth.strangers += 1;
                self.enqueue("stranger".into(), false, 0);
            }
        }
    }

    fn continuity(&self) -> Continuity {
        match (self.restarted, self.restarted_unseen, self.release.boot_id) {
            (true, _, _) | (_, true, true) => Continuity::Restarted,
            (false, false, true) => Continuity::Same,
            (false, _, false) => Continuity::Unknown,
        }
    }

    fn cut(&mut self) {
        if self.up {
            self.truth.cuts += 1;
            self.up = false;
            self.conn += 1;
            self.tracker.on_line_down(self.instant());
            self.after(100..2_000, Step::Up);
        }
    }

    fn crash(&mut self) {
        self.cut();
        self.truth.crashes += 1;
        // One inside the process, announced while nobody listened, keeps the uptime.
        if self.rng.random_bool(0.2) {
            self.restarted_unseen = true;
            self.truth.unproven += u32::from(!self.release.boot_id);
        } else {
            self.restarted = true;
        }
        self.life += 1;
        self.memory.clear();
        let lane = std::mem::take(&mut self.lane);
        for run in lane {
            if self.release.resumes && run.begun && run.noted {
                let id = format!("resumed-{}", self.store.len());
                let resumed = Run {
                    id: id.clone(),
                    resumed: true,
                    said: 0,
                    begun: false,
                    noted: true,
                    ..run
                };
                self.lane.push(resumed);
                self.after(1_500..6_000, Step::Begin(self.life, id));
            }
        }
    }
}

/// Whether the end says what happened.
fn judge(seed: u64, truth: &Truth, end: &RunEnd, release: Release, resend: ResendAfterLoss) {
    let place = || format!("seed {seed}: {end:?} {truth:?} {release:?}");
    assert!(truth.answers.len() <= 1, "answered twice; {}", place());
    if resend == ResendAfterLoss::Never {
        assert!(truth.begun <= 1, "begun twice; {}", place());
    }
    if resend == ResendAfterLoss::IfUnanswered && !release.boot_id {
        assert_eq!(truth.taken_again, 0, "taken again after it was heard of; {}", place());
    }
    match end {
        RunEnd::Final(answer) if answer.text.is_empty() => {
            assert!(truth.silences > 0 && truth.answers.is_empty(), "{}", place());
        }
        RunEnd::Final(answer) => assert_eq!(truth.answers, std::slice::from_ref(&answer.text), "{}", place()),
        RunEnd::Failed(_) => assert!(truth.failures > 0 && truth.answers.is_empty(), "{}", place()),
        RunEnd::Lost(_) => assert!(truth.crashes > 0 && truth.answers.is_empty(), "{}", place()),
        RunEnd::Unknown(why) => {
            // Only a failure that leaves no row may stay unknown,
            let traceless = (release.failing == Failing::ErrorWithoutRows && truth.failures > 0)
                // or nothing was said, and the events that told so were lost, or another user's message came behind ours,
                || (truth.silences > 0 && (truth.cuts > 0 || (release.puts_back && truth.strangers > 0)))
                || (release.silence_fails && truth.failures > 0 && truth.cuts > 0);
            // and what may have died with a process, or may not be sent again to find out.
            let never = resend == ResendAfterLoss::Never && *why == Doubt::KeyForgotten;
            let untold = !release.boot_id && (truth.unproven > 0 || never);
            assert!((traceless || untold) && truth.answers.is_empty(), "{}", place());
        }
        other => panic!("{other:?}; {}", place()),
    }
}

fn run_seeds(seeds: std::ops::Range<u64>, resend: ResendAfterLoss) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for seed in seeds {
        let world = std::panic::AssertUnwindSafe(|| World::new(seed, resend).go());
        let (truth, end, release) = std::panic::catch_unwind(world).unwrap_or_else(|_| panic!("seed {seed}"));
        judge(seed, &truth, &end, release, resend);
        let name = match &end {
            RunEnd::Unknown(why) => format!("{why:?}"),
            other => format!("{other:?}")
                .split(['(', ' '])
                .next()
                .unwrap_or_default()
                .to_owned(),
        };
        *counts.entry(name).or_default() += 1;
    }
    counts
}

/// How many seeds a test tries: some seconds' worth, or as many as the environment asks for.
fn seeds() -> u64 {
    let asked = std::env::var("WINDLASS_SEEDS")
        .ok()
        .and_then(|seeds| seeds.parse().ok());
    asked.unwrap_or(6_000)
}

/// Whether an end came up in at least that many of a thousand.
fn share(counts: &BTreeMap<String, u32>, end: &str, per_mille: u64) {
    let all: u32 = counts.values().sum();
    let seen = counts.get(end).copied().unwrap_or_default();
    assert!(
        u64::from(seen) * 1000 >= u64::from(all) * per_mille,
        "{end}: {counts:?}"
    );
}

#[test]
fn every_send_has_one_end_and_it_is_true() {
    let counts = run_seeds(0..seeds(), ResendAfterLoss::IfUnanswered);
    println!("{counts:?}");
    for (end, per_mille) in [("Final", 500), ("Failed", 50), ("Lost", 10)] {
        share(&counts, end, per_mille);
    }
}

#[test]
fn no_send_is_begun_twice_where_that_is_forbidden() {
    let counts = run_seeds(1_000_000..1_000_000 + seeds() / 3, ResendAfterLoss::Never);
    share(&counts, "Final", 400);
    share(&counts, "Lost", 20);
}

#[test]
fn what_is_sent_again_after_every_loss_is_still_answered_once() {
    let counts = run_seeds(2_000_000..2_000_000 + seeds() / 3, ResendAfterLoss::Always);
    share(&counts, "Final", 500);
}
