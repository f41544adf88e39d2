//! Three simulated gateways, a line to each, and the faults on a schedule.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::sleep;
use windlass::{Gateway, Windlass};
use windlass_line::{Clock as _, Endpoint, GatewaySpec, TokioClock};
use windlass_protocol::{DeviceIdentity, GatewayId, Secret};
use windlass_testkit::{ChatPlan, RestartKind, SimGateway};

use crate::exit::Failure;

/// Both protocol generations: 3 is spoken by the first, 4 by the others.
const RELEASES: [(&str, &str); 3] = [("berlin", "2026.3.13"), ("oslo", "2026.8.2"), ("tokyo", "2026.9.6")];

/// The token of the simulated gateways; it opens nothing else.
const TOKEN: &str = "demo-token-of-simulated-gateways";

/// One gateway in the play.
pub(crate) struct Cast {
    pub(crate) name: &'static str,
    pub(crate) release: &'static str,
    pub(crate) sim: SimGateway,
    pub(crate) gateway: Gateway,
}

/// All of it.
pub(crate) struct DemoSetup {
    pub(crate) windlass: Windlass,
    pub(crate) casts: Vec<Cast>,
}

impl DemoSetup {
    /// Starts gateways and lines.
    pub(crate) async fn set() -> Result<Self, Failure> {
        let windlass = Windlass::start()?;
        let device = Arc::new(DeviceIdentity::from_seed([42; 32]));
        let mut casts = Vec::new();
        for (name, release) in RELEASES {
            let answer = ChatPlan {
                increments: 5,
                pace: Duration::from_millis(30),
                ..ChatPlan::default()
            };
            let sim = SimGateway::builder()
                .release(release)
                .token(TOKEN)
                .chat(answer)
                .start_tcp()
                .await;
            let sim = sim.map_err(|error| {
                Failure::usage(
                    format!("No simulated gateway can be started: {error}"),
                    "The demo needs three free TCP ports on 127.0.0.1.",
                )
            })?;
            let unusable = |error: &dyn std::error::Error| Failure::usage(error.to_string(), "");
            let endpoint = Endpoint::parse(&sim.url()).map_err(|error| unusable(&error))?;
            let id = GatewayId::new(name).map_err(|error| unusable(&error))?;
            let mut spec = GatewaySpec::new(id, endpoint);
            spec.token = Some(Secret::new(TOKEN));
            spec.device = Some(Arc::clone(&device));
            casts.push(Cast {
                name,
                release,
                gateway: windlass.add(spec).await?,
                sim,
            });
        }
        Ok(Self { windlass, casts })
    }

    /// Closes the lines and ends the gateways.
    pub(crate) async fn clear(self) {
        crate::session::close(self.windlass).await;
        for cast in self.casts {
            cast.sim.shutdown().await;
        }
    }
}

/// A fault of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Every TCP connection breaks.
    Cut,
    /// The next chat message is taken, and its answer gets lost.
    LoseChatAnswer,
    /// The next new agent is created, and its answer gets lost.
    LoseCreateAnswer,
    /// The next request for a new agent gets lost.
    LoseCreateRequest,
    /// The process is gone.
    Kill,
    /// The process ends in order.
    Stop,
    /// A new process is there.
    Return,
    /// The process replaces itself by another.
    Restart,
    /// The end of the play.
    End,
}

impl Act {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::LoseChatAnswer => "lose-chat-answer",
            Self::LoseCreateAnswer => "lose-create-answer",
            Self::LoseCreateRequest => "lose-create-request",
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Return => "return",
            Self::Restart => "restart",
            Self::End => "end",
        }
    }

    /// For people.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Cut => "all its connections are cut",
            Self::LoseChatAnswer => "it will take the next chat message and lose the connection before it answers",
            Self::LoseCreateAnswer => "it will create the next agent and lose the connection before it answers",
            Self::LoseCreateRequest => "it will lose the connection before it creates the next agent",
            Self::Kill => "its process is killed",
            Self::Stop => "its process is stopped in order",
            Self::Return => "its process is started again",
            Self::Restart => "it restarts",
            Self::End => "no more calls are made",
        }
    }
}

/// The time (ms after the beginning), the gateway (by number) and the fault. Ends after 12 s.
const SCHEDULE: [(u64, usize, Act); 15] = [
    (1200, 0, Act::Cut),
    (2000, 1, Act::LoseChatAnswer),
    (2600, 2, Act::Kill),
    (3400, 0, Act::LoseCreateAnswer),
    (4000, 2, Act::Return),
    (4800, 1, Act::Restart),
    (5600, 2, Act::LoseChatAnswer),
    (6200, 0, Act::Restart),
    (7000, 1, Act::LoseCreateRequest),
    (7600, 0, Act::Stop),
    (8400, 2, Act::Cut),
    (8800, 0, Act::Return),
    (9600, 0, Act::LoseChatAnswer),
    (10_200, 1, Act::Cut),
    (12_000, 0, Act::End),
];

/// News that may wait for the screen: all of them.
pub(crate) const NEWS: usize = SCHEDULE.len();

/// Plays the schedule, and tells each act to `news`.
pub(crate) async fn perform(stage: &DemoSetup, news: mpsc::Sender<(usize, Act)>) {
    let mut at = 0;
    for (then, index, act) in SCHEDULE {
        sleep(Duration::from_millis(then - at)).await;
        at = then;
        // Without a screen the play goes on.
        let _ = news.send((index, act)).await;
        if let Some(cast) = stage.casts.get(index) {
            inflict(cast, act).await;
        }
    }
}

async fn inflict(cast: &Cast, act: Act) {
    let sim = &cast.sim;
    match act {
        Act::Cut => sim.cut_all(),
        Act::LoseChatAnswer => sim.script().once().drop_connection_before_answer("chat.send"),
        Act::LoseCreateAnswer => sim.script().once().drop_connection_before_answer("agents.create"),
        Act::LoseCreateRequest => sim.script().once().drop_connection_before_execution("agents.create"),
        Act::Kill => sim.kill().await,
        Act::Stop => sim.stop().await,
        Act::Return => sim.start_again().await,
        Act::Restart => sim.restart(RestartKind::Clean),
        Act::End => {}
    }
}

/// Milliseconds since the demo began.
pub(crate) fn elapsed(clock: TokioClock, begun: Instant) -> u64 {
    u64::try_from(clock.now().saturating_duration_since(begun).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_goes_forward_and_brings_everyone_back() {
        assert!(SCHEDULE.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        for index in 0..3 {
            let last = SCHEDULE
                .iter()
                .rfind(|(_, whom, act)| *whom == index && matches!(act, Act::Kill | Act::Stop | Act::Return));
            assert!(last.is_none_or(|(.., act)| *act == Act::Return), "{index}");
        }
        assert_eq!(SCHEDULE[SCHEDULE.len() - 1].2, Act::End);
    }
}
