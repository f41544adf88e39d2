//! A model of a gateway that executes, crashes, forgets and resumes by seed, and a line that breaks: each send has one end, and
//! the end is true.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use windlass_protocol::connection::Continuity;
use windlass_protocol::run::{Action, Doubt, Output, Progress, ResendAfterLoss, RunEnd, RunTracker};

use super::bench::{KEY, SESSION, TEXT, assistant, config, epoch, failed, message, with};

/// What a failed run shows.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Failing {
    /// 2026.1.30.
    Bare,
    /// 2026.3.13, which keeps no row of it.
    ErrorWithoutRows,
    /// 2026.4.15, 2026.5.12.
    LifecycleOnly,
    /// 2026.6.11 and later.
    Twice,
}

/// A release, as far as it matters here.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "a table of independent facts")]
struct Release {
    protocol: u32,
    boot_id: bool,
    keys: bool,
    /// Bare finals for texts that are run later under another id, where the lane is not free.
    puts_back: bool,
    /// A text joins the run under way.
    steers: bool,
    resumes: bool,
    failing: Failing,
    /// History names the run that goes on.
    names_running: bool,
}

const RELEASES: [Release; 5] = [
    // As 2026.1.30.
    Release {
        protocol: 3,
        boot_id: false,
        keys: false,
        puts_back: false,
        steers: false,
        resumes: false,
        failing: Failing::Bare,
        names_running: false,
    },
    // As 2026.3.13.
    Release {
        protocol: 3,
        boot_id: false,
        keys: false,
        puts_back: true,
        steers: false,
        resumes: false,
        failing: Failing::ErrorWithoutRows,
        names_running: false,
    },
    // As 2026.5.12.
    Release {
        protocol: 4,
        boot_id: false,
        keys: false,
        puts_back: true,
        steers: false,
        resumes: false,
        failing: Failing::LifecycleOnly,
        names_running: true,
    },
    // As 2026.7.1.
    Release {
        protocol: 4,
        boot_id: false,
        keys: true,
        puts_back: true,
        steers: false,
        resumes: true,
        failing: Failing::Twice,
        names_running: true,
    },
    // As 2026.9.6.
    Release {
        protocol: 4,
        boot_id: true,
        keys: true,
        puts_back: false,
        steers: true,
        resumes: true,
        failing: Failing::Twice,
        names_running: true,
    },
];

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

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one run")]
struct Run {
    id: String,
    ours: bool,
    steered: bool,
    resumed: bool,
    said: usize,
    parts: usize,
    fails: bool,
    begun: bool,
}

impl Run {
    fn text(&self) -> String {
        let mut parts: Vec<String> = (1..=self.said).map(|at| format!("part {at} é🦞.")).collect();
        if self.steered && self.said == self.parts {
            parts.push("and to you too.".into());
        }
        parts.join(" ")
    }
}

/// What really happened.
#[derive(Debug, Default)]
struct Truth {
    /// Runs of our message that a send began.
    begun: u32,
    /// Answers to our message.
    answers: Vec<String>,
    failures: u32,
    crashes: u32,
}

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
    /// Keys that the process remembers, and whether their run goes on.
    memory: HashMap<String, bool>,
    rows: Vec<Value>,
    /// The lane: the run under way, then those that wait.
    lane: Vec<Run>,
    truth: Truth,
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
            memory: HashMap::new(),
            rows: Vec::new(),
            lane: Vec::new(),
            truth: Truth::default(),
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
                Output::Do(action) if self.up => self.after(1..60, Step::Request(self.conn, action)),
                Output::Tell(Progress::Increment(more)) => self.told.push_str(&more),
                Output::Tell(Progress::Replaced(whole)) => self.told = whole,
                Output::Do(_) | Output::Tell(_) => {}
                Output::End(end) => {
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
            Step::Event(conn, name, payload) if conn == self.conn && self.up => match name {
                "chat" => self.tracker.on_chat(&serde_json::from_value(payload).unwrap(), now),
                _ => self.tracker.on_agent(&serde_json::from_value(payload).unwrap(), now),
            },
            Step::Reply(conn, reply) if conn == self.conn && self.up => match reply {
                Reply::Sent(value) => self.tracker.on_sent(&serde_json::from_value(value).unwrap(), now),
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
                let life = match (self.restarted, self.release.boot_id) {
                    (true, _) => Continuity::Restarted,
                    (false, true) => Continuity::Same,
                    (false, false) => Continuity::Unknown,
                };
                self.restarted = false;
                self.tracker.on_line_up(life, now);
            }
            Step::Stranger => self.enqueue("stranger".into(), false, 0),
        }
    }

    fn cut(&mut self) {
        if self.up {
            self.up = false;
            self.conn += 1;
            self.tracker.on_line_down(self.instant());
            self.after(100..2_000, Step::Up);
        }
    }

    fn crash(&mut self) {
        self.cut();
        self.truth.crashes += 1;
        self.restarted = true;
        self.life += 1;
        self.memory.clear();
        let lane = std::mem::take(&mut self.lane);
        for run in lane {
            if self.release.resumes && run.begun {
                let id = format!("resumed-{}", self.store.len());
                let resumed = Run {
                    id: id.clone(),
                    resumed: true,
                    said: 0,
                    begun: false,
                    ..run
                };
                self.lane.push(resumed);
                self.after(1_500..6_000, Step::Begin(self.life, id));
            }
        }
    }

    fn send_event(&mut self, name: &'static str, payload: Value) {
        let conn = self.conn;
        // In order: one delay for all.
        self.at(self.now + 5, Step::Event(conn, name, payload));
    }

    fn chat(&mut self, run: &str, state: &str, more: Value) {
        self.send_event(
            "chat",
            with(json!({"runId": run, "sessionKey": SESSION, "state": state}), more),
        );
    }

    fn lifecycle(&mut self, run: &str, phase: &str) {
        let data = json!({"phase": phase, "error": "500", "startedAt": 1_000});
        self.send_event(
            "agent",
            json!({"runId": run, "sessionKey": SESSION, "stream": "lifecycle", "data": data}),
        );
    }

    fn request(&mut self, action: Action) {
        let conn = self.conn;
        match action {
            Action::Send => {
                let status = match self.memory.get(KEY) {
                    Some(true) => "in_flight",
                    Some(false) => "ok",
                    None => "started",
                };
                self.after(
                    1..60,
                    Step::Reply(conn, Reply::Sent(json!({"runId": KEY, "status": status}))),
                );
                if status == "started" {
                    self.accept();
                }
            }
            Action::AskHistory { .. } => {
                let mut reply = json!({"sessionKey": SESSION, "sessionId": "s", "messages": self.rows});
                let running = self.lane.first().filter(|run| run.begun && self.release.names_running);
                if let Some(run) = running {
                    reply["inFlightRun"] = json!({"runId": run.id, "text": run.text()});
                }
                self.after(1..60, Step::Reply(conn, Reply::History(reply)));
            }
            Action::AskWait { run_id, timeout } => {
                let delay = if self.memory.get(&run_id) == Some(&false) {
                    1
                } else {
                    u64::try_from(timeout.as_millis()).unwrap()
                };
                self.at(self.now + delay, Step::WaitOver(conn, self.life, run_id));
            }
        }
    }

    fn wait_over(&mut self, conn: u32, id: &str) {
        let status = if self.memory.get(id) == Some(&false) {
            "ok"
        } else {
            "timeout"
        };
        let reply = json!({"runId": id, "status": status});
        self.after(1..20, Step::Reply(conn, Reply::Wait(reply)));
    }

    fn user_row(&self, key: &str, text: &str) -> Value {
        let mut row = json!({"role": "user", "content": text, "timestamp": 1_000});
        if self.release.keys {
            row["idempotencyKey"] = json!(format!("{key}:user"));
        }
        row
    }

    fn accept(&mut self) {
        self.memory.insert(KEY.into(), true);
        let busy = !self.lane.is_empty();
        if busy && self.release.steers && self.lane[0].begun && !self.lane[0].ours {
            let first = self.lane[0].id.clone();
            (self.lane[0].ours, self.lane[0].steered) = (true, true);
            self.truth.begun += 1;
            let mut row = self.user_row(KEY, TEXT);
            row["__openclaw"] = json!({"steerTargetRunId": first});
            self.rows.push(row);
            self.hand_on();
        } else if self.release.puts_back && (busy || self.rng.random_bool(0.3)) {
            self.hand_on();
            let id = format!("put-back-{}", self.store.len());
            self.enqueue(id, true, 200);
        } else {
            self.enqueue(KEY.into(), true, 20);
        }
    }

    fn hand_on(&mut self) {
        self.memory.insert(KEY.into(), false);
        self.chat(KEY, "final", json!({}));
    }

    fn enqueue(&mut self, id: String, ours: bool, delay: u64) {
        let run = Run {
            id: id.clone(),
            ours,
            steered: false,
            resumed: false,
            said: 0,
            parts: self.rng.random_range(1..6),
            fails: self.rng.random_bool(0.2),
            begun: false,
        };
        self.memory.insert(id.clone(), true);
        self.lane.push(run);
        if self.lane.len() == 1 {
            self.after(delay..delay + 1_500, Step::Begin(self.life, id));
        }
    }

    fn begin(&mut self, id: &str) {
        let Some(run) = self.lane.first_mut().filter(|run| run.id == id) else {
            return;
        };
        run.begun = true;
        let run = run.clone();
        self.memory.insert(run.id.clone(), true);
        if run.ours && !run.resumed {
            self.truth.begun += 1;
        }
        if run.resumed {
            let row = self.user_row(&run.id, "[System] Your previous turn was interrupted by a restart.");
            self.rows.push(row);
        } else if self.release.protocol == 4 {
            let row = self.said_by_user(&run);
            self.rows.push(row);
        }
        self.lifecycle(&run.id, "start");
        self.after(20..600, Step::Go(self.life, id.to_owned()));
    }

    fn said_by_user(&self, run: &Run) -> Value {
        if run.ours {
            self.user_row(KEY, TEXT)
        } else {
            self.user_row(&run.id, "something else")
        }
    }

    fn advance(&mut self, id: &str) {
        let Some(run) = self.lane.first_mut().filter(|run| run.id == id) else {
            return;
        };
        if run.fails && run.said > 0 {
            return self.fail();
        }
        run.said += 1;
        let (run, done) = (run.clone(), run.said >= run.parts);
        if self.rng.random_bool(0.7) {
            self.chat(&run.id, "delta", message(&run.text()));
        }
        if done {
            self.complete();
        } else {
            self.after(20..600, Step::Go(self.life, id.to_owned()));
        }
    }

    fn leave_lane(&mut self) -> Run {
        let run = self.lane.remove(0);
        self.memory.insert(run.id.clone(), false);
        if let Some(next) = self.lane.first() {
            let id = next.id.clone();
            self.after(20..200, Step::Begin(self.life, id));
        }
        run
    }

    fn complete(&mut self) {
        let run = self.leave_lane();
        let text = run.text();
        if self.release.protocol == 3 {
            let row = self.said_by_user(&run);
            self.rows.push(row);
        }
        let mut row = assistant(&text);
        row["__openclaw"] = with(row["__openclaw"].take(), json!({}));
        if self.release.keys {
            row["__openclaw"] = json!({"runId": run.id});
        } else if let Some(row) = row.as_object_mut() {
            row.remove("__openclaw");
        }
        self.rows.push(row);
        self.lifecycle(&run.id, "end");
        self.chat(&run.id, "final", message(&text));
        if run.ours {
            self.truth.answers.push(text);
        }
    }

    fn fail(&mut self) {
        let run = self.leave_lane();
        if run.ours {
            self.truth.failures += 1;
        }
        let keeps = self.release.failing != Failing::ErrorWithoutRows;
        if self.release.protocol == 3 && keeps {
            let row = self.said_by_user(&run);
            self.rows.push(row);
        }
        if keeps {
            self.rows.push(failed("500 from the model"));
        }
        match self.release.failing {
            Failing::Bare => {
                self.lifecycle(&run.id, "end");
                self.chat(&run.id, "final", json!({}));
            }
            Failing::LifecycleOnly => self.lifecycle(&run.id, "error"),
            Failing::ErrorWithoutRows | Failing::Twice => {
                self.lifecycle(&run.id, "error");
                for _ in 0..2 {
                    self.chat(&run.id, "error", json!({"errorMessage": "500 from the model"}));
                }
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
    match end {
        RunEnd::Final(answer) => assert_eq!(truth.answers, std::slice::from_ref(&answer.text), "{}", place()),
        RunEnd::Failed(_) => assert!(truth.failures > 0 && truth.answers.is_empty(), "{}", place()),
        RunEnd::Lost(_) => assert!(truth.crashes > 0 && truth.answers.is_empty(), "{}", place()),
        RunEnd::Unknown(_) => {
            // Only a failure that leaves no row may stay unknown.
            let traceless = release.failing == Failing::ErrorWithoutRows && truth.failures > 0;
            let traceless = traceless && truth.answers.is_empty();
            assert!(traceless, "{}", place());
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
    assert!(!counts.contains_key(&format!("{:?}", Doubt::TimedOut)), "{counts:?}");
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
