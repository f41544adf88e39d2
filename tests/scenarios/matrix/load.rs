//! What the line is busy with when the fault comes.

use std::time::Duration;

use serde_json::json;
use windlass::agents::FleetReport;
use windlass::sessions::RunEnd;
use windlass::{CallError, Clock as _, Gateway, RawJson, TokioClock, Topic};
use windlass_testkit::{ChatPlan, SimGateway};

use super::fleet::Fleet;

/// Deadline of every call.
pub(super) const DEADLINE: Duration = Duration::from_secs(60);
/// Calls of the busiest load.
const MANY: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    Idle,
    OneCall,
    ManyCalls,
    Chat,
    Provisioning,
    Subscribed,
}

impl Load {
    pub(super) const ALL: [Self; 6] = [
        Self::Idle,
        Self::OneCall,
        Self::ManyCalls,
        Self::Chat,
        Self::Provisioning,
        Self::Subscribed,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::OneCall => "1 call",
            Self::ManyCalls => "200 calls",
            Self::Chat => "chat run",
            Self::Provisioning => "provisioning",
            Self::Subscribed => "subscribed",
        }
    }

    /// Answers take a moment, so that the fault finds calls under way.
    pub(super) fn prepare(self, sim: &SimGateway) {
        if matches!(self, Self::OneCall | Self::ManyCalls) {
            for method in ["health", "agents.create", "chat.send"] {
                sim.script().delay(method, Duration::from_millis(300));
            }
        }
        if self == Self::Chat {
            sim.chat(ChatPlan {
                increments: 20,
                pace: Duration::from_millis(100),
                ..ChatPlan::default()
            });
        }
    }

    /// Does it, to its end.
    pub(super) async fn carry(self, gateway: &Gateway, fleet: Option<&Fleet>) -> Work {
        let mut work = Work::default();
        match self {
            Self::Idle => {}
            Self::OneCall => work.calls = vec![Ended::of(gateway, 1).await],
            Self::ManyCalls => {
                let calls: Vec<_> = (0..MANY)
                    .map(|number| {
                        let gateway = gateway.clone();
                        tokio::task::spawn_local(async move { Ended::of(&gateway, number).await })
                    })
                    .collect();
                for call in calls {
                    work.calls.push(call.await.expect("a call's task ends by itself"));
                }
            }
            Self::Chat => {
                let session = "agent:main:main".parse().unwrap();
                let following = gateway.send(gateway.message(session, MESSAGE)).await.unwrap();
                work.key = Some(following.key().to_owned());
                work.run = Some(following.end().await.unwrap());
            }
            Self::Provisioning => {
                let fleet = fleet.expect("this load has a fleet");
                work.report = Some(fleet.provision().await);
            }
            Self::Subscribed => {
                work.topics = [Topic::Sessions, Topic::messages("agent:main:main")]
                    .map(|topic| gateway.subscribe_topic(topic).unwrap())
                    .into();
                let label = json!({"key": "agent:main:main", "label": "before"});
                // Whatever comes of it: the state afterwards is what counts.
                let _ = gateway.call("sessions.patch", label).timeout(DEADLINE).await;
            }
        }
        work
    }
}

/// The message of the load that chats.
pub(super) const MESSAGE: &str = "think it over";

/// What came of a load.
#[derive(Default)]
pub(super) struct Work {
    pub(super) calls: Vec<Ended>,
    pub(super) run: Option<RunEnd>,
    pub(super) key: Option<String>,
    pub(super) report: Option<FleetReport>,
    pub(super) topics: Vec<windlass::TopicSubscription>,
}

/// What a call was to do.
#[derive(Debug)]
pub(super) enum What {
    Read,
    Say(String),
    Create(String),
}

/// A call and its end.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) what: What,
    pub(super) end: Result<RawJson, CallError>,
    pub(super) took: Duration,
}

impl Ended {
    async fn of(gateway: &Gateway, number: usize) -> Self {
        let (what, call) = match number % 3 {
            0 => (What::Read, gateway.call("health", ())),
            1 => {
                let (name, agent) = (format!("Agent {number}"), format!("agent-{number}"));
                let params = json!({"name": name, "workspace": "/w"});
                (What::Create(agent), gateway.call("agents.create", params))
            }
            _ => {
                let text = format!("message {number}");
                // A session for each, as messages to one session would wait for each other.
                let params = json!({"sessionKey": format!("agent:main:s{number}"), "message": text});
                (What::Say(text), gateway.call("chat.send", params))
            }
        };
        let clock = TokioClock::start();
        let begun = clock.now();
        let end = call.timeout(DEADLINE).await;
        Self {
            what,
            end,
            took: clock.now().saturating_duration_since(begun),
        }
    }

    /// One word.
    pub(super) const fn word(&self) -> &'static str {
        match &self.end {
            Ok(_) => "ok",
            Err(CallError::Rejected(_)) => "rejected",
            Err(CallError::NotSent(_)) => "not sent",
            Err(CallError::OutcomeUnknown(_)) => "unknown",
            Err(_) => "timed out",
        }
    }
}
