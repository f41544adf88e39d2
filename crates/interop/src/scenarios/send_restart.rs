//! The gateway is killed and started again in the middle of run after run.

use std::{fmt, time::Duration};

use windlass::{
    Windlass,
    protocol::run::Loss,
    sessions::{ResendAfterLoss, RunEnd},
};

use super::kit::{Bench, LOOK, Requests, TURN, Told, answered, end_of, said_in, say, slow_answer, tapped};
use crate::{
    model::ProvisionProgress,
    scenario::{Ctx, Failure, Outcome, Scenario, check, check_eq},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "send-restart",
    what: "The gateway is killed in the middle of run after run: each message is answered with its own text or told as lost, \
           whichever the history shows, and never stands there twice",
    // 30 starts and turns; on a busy machine each takes a minute.
    deadline: Duration::from_secs(2700),
    run: |ctx| Box::pin(run(ctx)),
};

/// When the gateway is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// It has not read the message yet.
    Unread,
    /// It has asked the model.
    Asked,
    /// The first words have come.
    FirstWords,
    /// Half of the text has come.
    Half,
    /// The model has said all of it.
    Said,
}

/// The notice of gateways that continue a turn.
const NOTICE: &str = "[System] Your previous turn was interrupted";
/// In a session that was answered before, and as the first message of a session: up to 2026.3 those are kept differently.
const EVERYWHERE: [Point; 5] = [Point::Unread, Point::Asked, Point::FirstWords, Point::Half, Point::Said];
const SOMEWHERE: [Point; 2] = [Point::Unread, Point::Half];

/// Which messages a release gets: so many times these points, with a loss told, and once with a loss made good.
struct Plan {
    points: &'static [Point],
    rounds: usize,
}

impl Plan {
    /// The two generations are looked at closely: 20 kills in a row, and 10 more.
    fn of(release: &str) -> Self {
        if ["2026.3.13", "2026.9.6"].contains(&release) {
            Self {
                points: &EVERYWHERE,
                rounds: 2,
            }
        } else {
            Self {
                points: &SOMEWHERE,
                rounds: 1,
            }
        }
    }

    fn messages(&self, policy: ResendAfterLoss) -> Vec<Killed> {
        let rounds = if policy == ResendAfterLoss::Always {
            1
        } else {
            self.rounds
        };
        let points = std::iter::repeat_n(self.points, rounds).flatten();
        let places = points.flat_map(|&point| [(point, true), (point, false)]);
        let message = |(number, (point, first)): (usize, (Point, bool))| Killed {
            session: session(policy, first.then_some(number)),
            policy,
            point,
            first,
            pieces: Killed::FEWEST_PIECES + number,
        };
        places.enumerate().map(message).collect()
    }
}

fn session(policy: ResendAfterLoss, number: Option<usize>) -> String {
    let number = number.map_or("many".to_owned(), |number| number.to_string());
    format!("agent:main:{policy:?}-{number}").to_lowercase()
}

/// How a message ended, as both its end and the history say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answered,
    /// ... and the gateway's text from the continued turn is in the message's place.
    Replaced,
    /// The history does not have it.
    Forgotten,
    /// It is in the history, and gets no answer.
    Left,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered => "answered",
            Self::Replaced => "answered, with the gateway's notice of the restart in the message's place",
            Self::Forgotten => "lost with the process",
            Self::Left => "kept and left unanswered",
        })
    }
}

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let requests = Requests::new();
    let windlass = Windlass::builder().connector(tapped(requests.watch())).start()?;
    let mut bench = Bench::with(ctx.gateway().await?, windlass, |_| {}).await?;
    bench.wait_up().await?;
    bench.started().await?;
    let plan = Plan::of(ctx.release().name());
    let mut notes = Vec::new();
    for policy in [ResendAfterLoss::default(), ResendAfterLoss::Always] {
        let messages = plan.messages(policy);
        let mut fates = Vec::new();
        for message in &messages {
            let (number, name) = (fates.len() + 1, message.name());
            let fate = message.play(ctx, &mut bench, &requests).await;
            let fate = fate.map_err(|why| Failure::new(format!("{name}: {why}")))?;
            ctx.progress(&format!("{number} of {}, {name}: {fate}", messages.len()));
            fates.push(fate);
        }
        notes.push(tell(policy, &fates));
    }
    bench.finish().await?;
    Ok(Outcome::Passed { notes })
}

fn tell(policy: ResendAfterLoss, fates: &[Fate]) -> String {
    let policy = if policy == ResendAfterLoss::Always {
        "sent again after a loss"
    } else {
        "by default"
    };
    let count = |fate| fates.iter().filter(|seen| **seen == fate).count();
    let counts = [Fate::Answered, Fate::Replaced, Fate::Forgotten, Fate::Left].map(|fate| (count(fate), fate));
    let told = counts.iter().filter(|(count, _)| *count > 0);
    let told: Vec<_> = told.map(|(count, fate)| format!("{count} {fate}")).collect();
    format!("{} killed, {policy}: {}", fates.len(), told.join(", "))
}

/// One message, whose gateway is killed.
#[derive(Debug)]
struct Killed {
    session: String,
    policy: ResendAfterLoss,
    point: Point,
    /// The first message of its session.
    first: bool,
    /// Of the answer. Each message has a number of its own, and so a text and an answer of its own.
    pieces: usize,
}

impl Killed {
    /// Enough for a dozen increments: gateways tell of them at most every 150 ms.
    const FEWEST_PIECES: usize = 30;
    /// Between two pieces.
    const PAUSE_MS: usize = 60;
    /// For a message of a gateway that dies: a start, the time in which a turn may be resumed, and a turn.
    const END: Duration = Duration::from_secs(400);

    fn name(&self) -> String {
        let place = if self.first { "first" } else { "a later" };
        format!("{place} message of {}, killed at {:?}", self.session, self.point)
    }

    fn words(&self) -> String {
        format!("SLOW:{}:{}", self.pieces, Self::PAUSE_MS)
    }

    fn expected(&self) -> String {
        slow_answer(self.pieces)
    }

    async fn play(&self, ctx: &Ctx, bench: &mut Bench, requests: &Requests) -> Result<Fate, Failure> {
        if !self.first && said_in(bench, &self.session).await?.is_empty() {
            let end = say(bench, &self.session, "first", TURN).await?;
            answered("the answer before", end, "echo: first")?;
        }
        let before = requests.count("chat.send");
        let end = self.send_and_kill(ctx, bench).await?;
        bench.wait_up().await?;
        let said = said_in(bench, &self.session).await?;
        let sends = requests.count("chat.send") - before;
        self.judge(end, &said, sends)
    }

    /// Sends it, kills the gateway at its point, starts it again, and waits for the message's end.
    async fn send_and_kill(&self, ctx: &Ctx, bench: &mut Bench) -> Result<RunEnd, Failure> {
        if self.point == Point::Unread {
            bench.real.freeze()?;
        }
        let message = bench.gateway.message(self.session.parse()?, self.words());
        let mut following = bench.gateway.send(message.resend_after_loss(self.policy)).await?;
        let mut told = Told::default();
        match self.point {
            Point::Unread => in_flight(bench).await?,
            Point::Asked => self.model_is(ctx, ProvisionProgress::Answering).await?,
            Point::FirstWords => drop(told.until(&mut following, TURN, |told| !told.text.is_empty()).await?),
            Point::Half => {
                let half = self.expected().len() / 2;
                told.until(&mut following, TURN, |told| told.text.len() >= half).await?;
            }
            Point::Said => self.model_is(ctx, ProvisionProgress::Answered).await?,
        }
        bench.real.kill().await?;
        bench.real.start_again().await?;
        end_of(following, Self::END).await
    }

    /// Whether the end agrees with the history. `said` is all texts of users in the session.
    fn judge(&self, end: RunEnd, said: &[String], sends: usize) -> Result<Fate, Failure> {
        let kept = said.iter().filter(|said| said.ends_with(&self.words())).count();
        let replaced = said.last().is_some_and(|said| said.contains(NOTICE));
        let always = self.policy == ResendAfterLoss::Always;
        let (fate, expected) = match end {
            RunEnd::Lost(Loss::WithProcess) if !always => (Fate::Forgotten, 0),
            // A message that is in the history is not sent again: it would be there twice.
            RunEnd::Lost(Loss::NotResumed) => (Fate::Left, 1),
            end => {
                answered("the message", end, &self.expected())?;
                if kept == 0 && replaced {
                    (Fate::Replaced, 0)
                } else {
                    (Fate::Answered, 1)
                }
            }
        };
        check_eq(
            &format!("times that it stands in the history, {fate}"),
            &kept,
            &expected,
        )?;
        // An accepted message is sent again only after a loss, and if the policy allows it.
        let again = fate == Fate::Answered && (always || self.point == Point::Unread);
        let most = if again { 2 } else { 1 };
        check((1..=most).contains(&sends), || {
            format!("it was {fate} and sent {sends} times")
        })?;
        Ok(fate)
    }

    /// Waits until the model has been asked, or has answered.
    async fn model_is(&self, ctx: &Ctx, progress: ProvisionProgress) -> Result<(), Failure> {
        let words = self.words();
        let log = ctx.model().log();
        let found = log
            .wait_for(TURN, |request| request.words == words && request.progress == progress)
            .await;
        check(found.is_some(), || format!("the model is not {progress:?}"))
    }
}

/// Waits until a call has been written to the gateway.
async fn in_flight(bench: &Bench) -> Result<(), Failure> {
    let look = async {
        while bench.gateway.inspect().await?.in_flight == 0 {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    };
    tokio::time::timeout(TURN, look).await?
}
