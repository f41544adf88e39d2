//! One message, followed to its end through any frames of a gateway.

mod step;

use std::time::{Duration, Instant};

use windlass_protocol::SessionKey;
use windlass_protocol::connection::Continuity;
use windlass_protocol::run::{
    Action, GatewayFacts, ResendAfterLoss, RunConfig, RunEnd, RunLimits, RunOutput, RunProgress, RunTracker, SentBefore,
};

use self::step::{KEY, Rare, Run, SESSION, Setting, Status, Step};
use crate::shared::{CANARY, assert_keeps_secret, epoch, steps};

/// Most outputs that one input may set free. The tracker's own queue is drained after each.
const MOST_OUTPUTS: usize = 64;
/// Most deadlines of a tracker to which nothing comes any more.
const MOST_DEADLINES: usize = 2_000;

/// The message ends once, at the latest when its time is over, and the tracker is silent afterwards. The joined increments are the
/// text at every moment, and the answer at the end. No request is made twice at the same time. Nothing is sent more often than the
/// limit allows. The next deadline is in the future. `Debug` does not have the message.
pub(super) fn run(data: &[u8]) {
    let Some((setting, data)) = data.split_at_checked(2) else {
        return;
    };
    let mut follower = Follower::new(config(Setting::of([setting[0], setting[1]])));
    follower.drain();
    for step in steps::read::<Step>(data) {
        if let Step::Pass { tenths } = step {
            follower.now += Duration::from_millis(u64::from(tenths) * 100);
        }
        follower.before(&step);
        step.give(&mut follower.tracker, follower.now);
        follower.drain();
    }
    follower.wait_for_end();
}

fn config(setting: Setting) -> RunConfig {
    let session = SessionKey::parse(SESSION).expect("a key");
    let facts = GatewayFacts::of_protocol(setting.protocol);
    RunConfig {
        sent_before: setting.sent_before,
        earlier: SentBefore {
            ago: Duration::from_secs(setting.ago),
            accepted: setting.accepted,
            life: setting.life,
        },
        since_ms: setting.since_ms,
        resend: [
            ResendAfterLoss::Never,
            ResendAfterLoss::IfUnanswered,
            ResendAfterLoss::Always,
        ][setting.resend],
        ..RunConfig::new(session, KEY, CANARY, facts)
    }
}

/// The driver of the tracker.
struct Follower {
    tracker: RunTracker,
    now: Instant,
    /// Increments and replacements, put together.
    told: String,
    ended: bool,
    sends: u32,
    /// Requests without an answer: the message, the history, the wait.
    open: [bool; 3],
    line_up: bool,
    /// The gateway answered that it has the message, or may have it from an earlier process.
    taken: bool,
}

impl Follower {
    fn new(config: RunConfig) -> Self {
        Self {
            taken: config.sent_before,
            tracker: RunTracker::new(config, epoch()),
            now: epoch(),
            told: String::new(),
            ended: false,
            sends: 0,
            open: [false; 3],
            line_up: true,
        }
    }

    /// Updates the open requests by a step.
    fn before(&mut self, step: &Step) {
        match step {
            Step::Sent { status, run } => {
                self.open[0] = false;
                // Another run, and not started: taken for a repetition, and not run (2026.6).
                self.taken |= matches!((status, run), (Status::Started, _) | (_, Run::Ours));
            }
            Step::Rare(Rare::Command { .. } | Rare::SentOddly) => {
                self.open[0] = false;
                self.taken = true;
            }
            Step::SendFails(trouble) => {
                self.open[0] = false;
                // An attempt that was refused for now, or was never sent, does not count: time bounds it.
                self.sends = self.sends.saturating_sub(u32::from(trouble.passes()));
            }
            Step::History(_) | Step::HistoryFails(_) => self.open[1] = false,
            Step::Waited(_) | Step::WaitFails(_) => self.open[2] = false,
            Step::Down => {
                self.open = [false; 3];
                self.line_up = false;
            }
            Step::Up(_) => self.line_up = true,
            _ => {}
        }
    }

    fn drain(&mut self) {
        for _ in 0..MOST_OUTPUTS {
            let Some(output) = self.tracker.poll(self.now) else {
                return self.look();
            };
            assert!(!self.ended, "nothing comes after the end: {output:?}");
            match output {
                RunOutput::Tell(progress) => self.tell(progress),
                RunOutput::Do(action) => self.act(&action),
                RunOutput::End(end) => self.end(&end),
            }
        }
        panic!("an input sets more than {MOST_OUTPUTS} outputs free");
    }

    fn tell(&mut self, progress: RunProgress) {
        match progress {
            RunProgress::Increment(more) => self.told.push_str(&more),
            RunProgress::Replaced(text) => self.told = text,
            RunProgress::Started { .. } | RunProgress::Hole | RunProgress::HandedOn { .. } => {}
        }
    }

    fn act(&mut self, action: &Action) {
        let place = match action {
            Action::Send => 0,
            Action::AskHistory { .. } => 1,
            Action::AskWait { .. } => 2,
        };
        assert!(!self.open[place], "{action:?} is under way already");
        self.open[place] = true;
        assert!(self.line_up || place == 0, "nothing is asked on a line that is down");
        if place == 0 {
            self.sends += 1;
            // An attempt that the gateway recognized as a repetition does not count.
            assert!(
                self.sends <= RunLimits::default().sends + windlass_protocol::releases::runs::REPETITIONS,
                "sent too often"
            );
        }
    }

    fn end(&mut self, end: &RunEnd) {
        self.ended = true;
        match end {
            RunEnd::Final(answer) => assert_eq!(answer.text, self.told, "what was told is the answer"),
            RunEnd::NotSent(why) => assert!(!self.taken, "it was taken, and not sent: {why}"),
            _ => {}
        }
    }

    /// Properties of a tracker that has nothing to do.
    fn look(&self) {
        assert_eq!(self.tracker.is_over(), self.ended);
        assert_eq!(self.tracker.text(), self.told, "what was told is the text");
        match self.tracker.next_deadline() {
            Some(deadline) => assert!(deadline > self.now && !self.ended, "a deadline lies ahead"),
            None => assert!(self.ended, "only what is over waits for nothing"),
        }
    }

    /// Nothing comes any more but time.
    fn wait_for_end(&mut self) {
        assert_keeps_secret(&format!("{:?}", self.tracker));
        for _ in 0..MOST_DEADLINES {
            let Some(deadline) = self.tracker.next_deadline() else {
                break;
            };
            self.now = deadline;
            self.drain();
        }
        assert!(self.ended, "it does not end: {:?}", self.tracker);
    }
}

const fn life(number: u8) -> Continuity {
    match number % 3 {
        0 => Continuity::Same,
        1 => Continuity::Restarted,
        _ => Continuity::Unknown,
    }
}
