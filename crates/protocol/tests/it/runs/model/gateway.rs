//! The gateway of the model: what it accepts, runs, writes down and tells.

use rand::RngExt as _;
use serde_json::{Value, json};
use windlass_protocol::run::Action;

use super::super::bench::{KEY, SESSION, TEXT, assistant, failed, message, with};
use super::{Reply, Step, World};

/// What a failed run shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Failing {
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
pub(super) struct Release {
    pub(super) protocol: u32,
    pub(super) boot_id: bool,
    pub(super) keys: bool,
    /// Bare finals for texts that are run later under another id, where the lane is not free.
    pub(super) puts_back: bool,
    /// A text joins the run under way.
    pub(super) steers: bool,
    pub(super) resumes: bool,
    pub(super) failing: Failing,
    /// A model that says nothing is asked again, and then its run fails.
    pub(super) silence_fails: bool,
    /// History names the run that goes on.
    pub(super) names_running: bool,
}

pub(super) const RELEASES: [Release; 5] = [
    // As 2026.1.30.
    Release {
        protocol: 3,
        boot_id: false,
        keys: false,
        puts_back: false,
        steers: false,
        resumes: false,
        failing: Failing::Bare,
        silence_fails: false,
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
        silence_fails: false,
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
        silence_fails: false,
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
        silence_fails: false,
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
        silence_fails: true,
        names_running: true,
    },
];

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts about one run")]
pub(super) struct Run {
    pub(super) id: String,
    pub(super) ours: bool,
    pub(super) steered: bool,
    pub(super) resumed: bool,
    pub(super) said: usize,
    pub(super) parts: usize,
    pub(super) fails: bool,
    /// Its model says nothing.
    pub(super) silent: bool,
    pub(super) begun: bool,
    /// What the user said stands in the history.
    pub(super) noted: bool,
}

impl Run {
    pub(super) fn text(&self) -> String {
        let mut parts: Vec<String> = (1..=self.said).map(|at| format!("part {at} é🦞.")).collect();
        if self.steered && self.said == self.parts {
            parts.push("and to you too.".into());
        }
        parts.join(" ")
    }
}

/// What really happened.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// Runs of our message that a send began.
    pub(super) begun: u32,
    /// Answers to our message.
    pub(super) answers: Vec<String>,
    pub(super) failures: u32,
    /// Runs of our message that ended with nothing said.
    pub(super) silences: u32,
    pub(super) cuts: u32,
    /// Messages of another user.
    pub(super) strangers: u32,
    /// Sends that a gateway took after the caller had heard that one was taken.
    pub(super) taken_again: u32,
    pub(super) crashes: u32,
    /// Those of them that nothing proved.
    pub(super) unproven: u32,
}

impl World {
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

    pub(super) fn request(&mut self, action: Action) {
        let conn = self.conn;
        match action {
            Action::Send => {
                let status = match self.memory.get(KEY) {
                    Some(true) => "in_flight",
                    Some(false) => "ok",
                    None => "started",
                };
                // A slow answer comes behind the first events of its run, or behind its end.
                let delay = if self.rng.random_bool(0.1) { 60..6_000 } else { 1..60 };
                self.after(
                    delay,
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

    pub(super) fn wait_over(&mut self, conn: u32, id: &str) {
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
        self.truth.taken_again += u32::from(self.heard_of);
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

    pub(super) fn enqueue(&mut self, id: String, ours: bool, delay: u64) {
        let run = Run {
            id: id.clone(),
            ours,
            steered: false,
            resumed: false,
            said: 0,
            parts: self.rng.random_range(1..6),
            fails: self.rng.random_bool(0.2),
            silent: self.rng.random_bool(0.1),
            begun: false,
            noted: false,
        };
        self.memory.insert(id.clone(), true);
        self.lane.push(run);
        if self.lane.len() == 1 {
            self.after(delay..delay + 1_500, Step::Begin(self.life, id));
        }
    }

    pub(super) fn begin(&mut self, id: &str) {
        let Some(run) = self.lane.first_mut().filter(|run| run.id == id) else {
            return;
        };
        run.begun = true;
        // Before 2026.8.2 the transcript begins with its first answer.
        let answered = self.rows.iter().any(|row| row["role"] == "assistant");
        run.noted = self.release.boot_id || answered;
        let run = run.clone();
        self.memory.insert(run.id.clone(), true);
        if run.ours && !run.resumed {
            self.truth.begun += 1;
        }
        if run.resumed {
            let row = self.user_row(&run.id, "[System] Your previous turn was interrupted by a restart.");
            self.rows.push(row);
        } else if run.noted {
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

    pub(super) fn advance(&mut self, id: &str) {
        let Some(run) = self.lane.first_mut().filter(|run| run.id == id) else {
            return;
        };
        if run.silent && !run.steered {
            return self.say_nothing();
        }
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
        if !run.noted {
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

    fn say_nothing(&mut self) {
        let run = self.leave_lane();
        if !run.noted {
            let row = self.said_by_user(&run);
            self.rows.push(row);
        }
        if !self.release.silence_fails {
            self.truth.silences += u32::from(run.ours);
            self.lifecycle(&run.id, "end");
            return self.chat(&run.id, "final", json!({}));
        }
        self.truth.failures += u32::from(run.ours);
        let data = json!({"phase": "error", "error": "no answer", "terminalReply": {"disposition": "silent"}});
        self.send_event(
            "agent",
            json!({"runId": run.id, "sessionKey": SESSION, "stream": "lifecycle", "data": data}),
        );
        self.chat(&run.id, "aborted", json!({"stopReason": "stop"}));
        self.chat(&run.id, "error", json!({"errorMessage": "no answer"}));
    }

    fn fail(&mut self) {
        let run = self.leave_lane();
        if run.ours {
            self.truth.failures += 1;
        }
        let keeps = self.release.failing != Failing::ErrorWithoutRows;
        if !run.noted && keeps {
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
