//! A gateway that is connected and ready for calls, and the session that a text names.

use std::time::Duration;

use clap::Args;
use windlass::sessions::{AskError, HistoryError, ListError, SessionQuery, Sessions};
use windlass::{Gateway, ReplyError, Windlass};
use windlass_line::{Clock as _, TokioClock};
use windlass_protocol::request::{AgentRow, AgentsList, AgentsListReply, SessionRow};
use windlass_protocol::{Advice, AgentId, CallError, SessionKey};

use crate::exit::{ExitCode, Failure, advice_on_call, of_call};
use crate::global::Global;
use crate::output::Output;
use crate::session::{self, Patience, Target};
use crate::text::escaped;
use crate::units::parse_span;

/// How long to wait.
#[derive(Debug, Args)]
pub(crate) struct TimeLimit {
    /// Give up after this long, including the wait for the connection [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
}

/// A line that is up, and the sessions at its other end.
pub(crate) struct ConnectedSession {
    windlass: Windlass,
    pub(crate) gateway: Gateway,
    pub(crate) target: Target,
    pub(crate) sessions: Sessions,
    /// The time that is left.
    pub(crate) left: Duration,
}

impl ConnectedSession {
    /// Connects.
    pub(crate) async fn open(global: &Global, limit: &TimeLimit, output: &Output) -> Result<Self, Failure> {
        Self::open_within(global, limit.timeout, output).await
    }

    /// Connects, within a time or within the usual one.
    pub(crate) async fn open_within(
        global: &Global,
        within: Option<Duration>,
        output: &Output,
    ) -> Result<Self, Failure> {
        let (target, timeouts, tokens) = session::prepare_one(global, output).await?;
        let limit = within.unwrap_or(timeouts.call);
        let (windlass, mut gateways) = session::open(std::slice::from_ref(&target), tokens).await?;
        let Some(gateway) = gateways.pop() else {
            return Err(Failure::usage("there is no gateway", "Name one with --url."));
        };
        let clock = TokioClock::start();
        let begun = clock.now();
        let status = session::settle(&gateway, &target.name, Patience::All, limit, output).await;
        let left = limit.saturating_sub(clock.now().saturating_duration_since(begun));
        if !status.is_up() {
            session::close(windlass).await;
            return Err(session::why_down(&target, &status));
        }
        Ok(Self {
            sessions: gateway.sessions().timeout(left),
            windlass,
            gateway,
            target,
            left,
        })
    }

    /// Gives everything back.
    pub(crate) async fn close(self) {
        session::close(self.windlass).await;
    }

    /// Why a question has no answer.
    pub(crate) fn failed(&self, error: &AskError) -> Failure {
        match error {
            AskError::Call(call) => self.call_failed(call),
            other @ AskError::Shape { .. } => Failure::Told(
                ExitCode::Rejected,
                Advice::new(
                    other.to_string(),
                    "Compare the gateway's release with the supported ones.",
                ),
            ),
        }
    }

    /// A call that was not sent failed for the line's reasons.
    pub(crate) fn call_failed(&self, call: &CallError) -> Failure {
        if let Some(exit) = of_call(call) {
            return Failure::Told(exit, advice_on_call(call));
        }
        let status = self.gateway.status().borrow().clone();
        if status.is_up() {
            return Failure::Told(
                ExitCode::Unreachable,
                Advice::new(call.to_string(), "Repeat it: the line is up now."),
            );
        }
        session::why_down(&self.target, &status)
    }

    /// Why there is no list.
    pub(crate) fn no_list(&self, error: &ListError) -> Failure {
        match error {
            ListError::Ask(error) => self.failed(error),
            other => Failure::usage(other.to_string(), "Give --agent, --active or --limit."),
        }
    }

    /// Why there is no history.
    pub(crate) fn no_history(&self, error: &HistoryError) -> Failure {
        match error {
            HistoryError::Ask(error) => self.failed(error),
            other => Failure::Told(
                ExitCode::Rejected,
                Advice::new(
                    other.to_string(),
                    "Leave --before and --after away, and give a larger --limit.",
                ),
            ),
        }
    }
}

/// Longest name shown, in characters.
const NAME_LIMIT: usize = 80;
/// Candidates that are shown when several fit.
const CANDIDATES: usize = 8;
/// Shortest beginning of an agent's id that is taken for it.
const SHORTEST_PREFIX: usize = 4;
/// The last part of main sessions' keys, where the gateway does not say.
const MAIN: &str = "main";
/// The prefix of the ids of workers; the id of the store's record follows.
const WORKER: &str = "mc-";

/// The session or agent that a text names.
#[derive(Debug, PartialEq)]
enum SessionName {
    One(String),
    Several(Vec<String>),
    Nothing,
}

impl SessionName {
    fn of(mut keys: Vec<String>) -> Self {
        keys.sort();
        keys.dedup();
        match keys.len() {
            0 => Self::Nothing,
            1 => Self::One(keys.remove(0)),
            _ => Self::Several(keys),
        }
    }
}

/// The session that a text names; the default agent's main session without one.
pub(crate) async fn session(desk: &ConnectedSession, text: Option<&str>) -> Result<SessionKey, Failure> {
    let text = text.map(str::trim);
    if let Some(full) = text.filter(|text| text.starts_with("agent:")) {
        return parsed(full);
    }
    let roster = roster(desk).await?;
    let by_agent = match text {
        None => SessionName::One(main_of(&roster, &roster.default_id)),
        Some(text) => by_agent(text, &roster),
    };
    let text = text.unwrap_or_default();
    let named = match by_agent {
        SessionName::Nothing => {
            let rows = desk.sessions.list(&SessionQuery::all()).await;
            by_session(text, &roster.default_id, &rows.map_err(|error| desk.no_list(&error))?)
        }
        named => named,
    };
    match named {
        SessionName::One(key) => parsed(&key),
        SessionName::Several(keys) => Err(several(text, &keys)),
        SessionName::Nothing => Err(nothing(desk, text)),
    }
}

/// The agent that a text names.
pub(crate) async fn agent(desk: &ConnectedSession, text: &str) -> Result<AgentId, Failure> {
    let roster = roster(desk).await?;
    match by_agent(text.trim(), &roster) {
        SessionName::One(key) => {
            let agent = parsed(&key)?.agent_id();
            agent.ok_or_else(|| nothing(desk, text))
        }
        SessionName::Several(keys) => Err(several(text, &keys)),
        SessionName::Nothing => Err(nothing(desk, text)),
    }
}

async fn roster(desk: &ConnectedSession) -> Result<AgentsListReply, Failure> {
    let asked = desk.gateway.request(AgentsList::new()).timeout(desk.left).await;
    asked.map_err(|error| match error {
        ReplyError::Call(call) => desk.call_failed(&call),
        other => Failure::usage(other.to_string(), "Name the session by its full key: agent:ID:NAME."),
    })
}

fn main_of(roster: &AgentsListReply, agent: &str) -> String {
    let main = roster.main_key.as_deref().unwrap_or(MAIN);
    format!("agent:{agent}:{main}")
}

/// By id first, then by name or a beginning of the id. `main` is the default agent where no agent is called so.
fn by_agent(text: &str, roster: &AgentsListReply) -> SessionName {
    let wanted = text.to_lowercase();
    if let Some(agent) = roster.agents.iter().find(|agent| agent.id == wanted) {
        return SessionName::One(main_of(roster, &agent.id));
    }
    let fits = |agent: &&AgentRow| {
        let own = agent.id.strip_prefix(WORKER).unwrap_or(&agent.id);
        let begins = agent.id.starts_with(&wanted) || own.starts_with(&wanted);
        is_called(agent, &wanted) || (wanted.len() >= SHORTEST_PREFIX && begins)
    };
    let agents = roster.agents.iter().filter(fits);
    match SessionName::of(agents.map(|agent| main_of(roster, &agent.id)).collect()) {
        SessionName::Nothing if wanted == roster.main_key.as_deref().unwrap_or(MAIN) => {
            SessionName::One(main_of(roster, &roster.default_id))
        }
        named => named,
    }
}

fn is_called(agent: &AgentRow, wanted: &str) -> bool {
    let face = agent.identity.as_ref().and_then(|face| face.name.as_ref());
    [agent.name.as_ref(), face]
        .into_iter()
        .flatten()
        .any(|name| name.trim().to_lowercase() == wanted)
}

/// By the key itself, as gateways complete it, then by label, then by the last part of the key.
fn by_session(text: &str, default_agent: &str, rows: &[SessionRow]) -> SessionName {
    let completed = format!("agent:{default_agent}:{text}");
    if let Some(row) = rows.iter().find(|row| row.key == text || row.key == completed) {
        return SessionName::One(row.key.clone());
    }
    let wanted = text.to_lowercase();
    let labelled = rows.iter().filter(|row| {
        row.label
            .as_ref()
            .is_some_and(|label| label.trim().to_lowercase() == wanted)
    });
    let keys = |rows: Vec<&SessionRow>| SessionName::of(rows.into_iter().map(|row| row.key.clone()).collect());
    match keys(labelled.collect()) {
        SessionName::Nothing => {
            let last = |row: &&SessionRow| row.key.splitn(3, ':').nth(2) == Some(text);
            keys(rows.iter().filter(last).collect())
        }
        named => named,
    }
}

fn parsed(key: &str) -> Result<SessionKey, Failure> {
    SessionKey::parse(key).map_err(|error| {
        Failure::usage(
            format!("{} is no session key: {error}", escaped(key, NAME_LIMIT)),
            "A key looks like agent:main:main.",
        )
    })
}

fn several(text: &str, keys: &[String]) -> Failure {
    let mut shown: Vec<String> = keys
        .iter()
        .take(CANDIDATES)
        .map(|key| escaped(key, NAME_LIMIT))
        .collect();
    if keys.len() > CANDIDATES {
        shown.push("…".to_owned());
    }
    Failure::usage(
        format!(
            "{:?} names {} sessions: {}",
            escaped(text, NAME_LIMIT),
            keys.len(),
            shown.join(", ")
        ),
        "Use its key.",
    )
}

fn nothing(desk: &ConnectedSession, text: &str) -> Failure {
    let summary = format!(
        "{} has no agent and no session {:?}",
        desk.target.name,
        escaped(text, NAME_LIMIT)
    );
    let next = "See windlass sessions list; a session that is to be begun is named in full: agent:ID:NAME.";
    Failure::Told(ExitCode::Rejected, Advice::new(summary, next))
}

/// A session that a full key names has to be there, for a command that does not begin one.
pub(crate) async fn there(desk: &ConnectedSession, key: &SessionKey) -> Result<SessionRow, Failure> {
    let row = desk.sessions.get(key).await.map_err(|error| desk.failed(&error))?;
    row.ok_or_else(|| {
        let summary = format!(
            "{} has no session {}",
            desk.target.name,
            escaped(key.as_str(), NAME_LIMIT)
        );
        Failure::Told(
            ExitCode::Rejected,
            Advice::new(summary, "See windlass sessions list; the first message makes it."),
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn roster() -> AgentsListReply {
        serde_json::from_value(json!({
            "defaultId": "ops",
            "mainKey": "main",
            "agents": [
                {"id": "ops"},
                {"id": "mc-0a1b2c3d-0000-4000-8000-000000000000", "name": "Scribe"},
                {"id": "lead-1", "name": "Lead Agent"},
                {"id": "lead-2", "identity": {"name": "Lead Agent"}},
            ],
        }))
        .unwrap()
    }

    fn rows() -> Vec<SessionRow> {
        serde_json::from_value(json!([
            {"key": "agent:ops:main"},
            {"key": "agent:ops:review", "label": "Nightly"},
            {"key": "agent:lead-1:review"},
            {"key": "agent:lead-1:deploy:eu"},
        ]))
        .unwrap()
    }

    fn one(key: &str) -> SessionName {
        SessionName::One(key.to_owned())
    }

    #[test]
    fn an_agent_stands_for_its_main_session() {
        let scribe = one("agent:mc-0a1b2c3d-0000-4000-8000-000000000000:main");
        for text in ["scribe", "Scribe", "mc-0a1b", "0a1b2c3d"] {
            assert_eq!(by_agent(text, &roster()), scribe, "{text}");
        }
        assert_eq!(by_agent("ops", &roster()), one("agent:ops:main"));
        assert_eq!(
            by_agent("main", &roster()),
            one("agent:ops:main"),
            "the default agent's"
        );
        let leads = ["agent:lead-1:main", "agent:lead-2:main"].map(str::to_owned);
        assert_eq!(by_agent("lead agent", &roster()), SessionName::Several(leads.into()));
        assert_eq!(
            by_agent("0a1", &roster()),
            SessionName::Nothing,
            "too short to be meant as an id"
        );
    }

    #[test]
    fn a_session_is_named_by_label_or_by_the_last_part_of_its_key() {
        assert_eq!(by_session("nightly", "ops", &rows()), one("agent:ops:review"));
        assert_eq!(
            by_session("review", "ops", &rows()),
            one("agent:ops:review"),
            "as gateways complete it"
        );
        assert_eq!(by_session("deploy:eu", "ops", &rows()), one("agent:lead-1:deploy:eu"));
        assert_eq!(by_session("revue", "ops", &rows()), SessionName::Nothing);
        assert!(matches!(by_session("review", "other", &rows()), SessionName::Several(keys) if keys.len() == 2));
    }
}
