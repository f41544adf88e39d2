//! A gateway's configuration, as far as agents need it: read the roster, plan one patch for many agents, and leave out
//! members that the gateway's own schema does not accept.
//!
//! Pure: the read configuration goes in, the patch to send comes out. Gateways of 2026 differ in two things here (all nine
//! measured releases): the roster is an array `agents.list` up to 2026.7 and a map `agents.entries` from 2026.8 on, and
//! an array in a patch replaces the old one on 2026.1.30 and is merged by `id` since. A patch that holds the whole array
//! with whole entries comes out the same on both.
//!
//! A write has to leave halves of characters as they are. A name that was cut between the two halves of a character stands in the configuration with half of one. Up to 2026.7 a write
//! sends the whole list back: with U+FFFD in its place it would change a name without an order. So a configuration is read
//! with each half marked, and written with the half again.
//!
//! [`WriteBudget`] spaces the writes. A gateway tells its limit only when it is reached: `UNAVAILABLE` with `retryAfterMs` and `details.limit`, `3 per 60s` up
//! to 2026.7, `30 per 60s` since, none at all on 2026.1.30. Refused writes count, for any reason of refusal; the count
//! survives a restart inside the gateway's process.

mod plan;
mod schema;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::json::{marked, unmarked, unmarked_for_people};
use crate::request::ConfigGetReply;
use crate::time::after;
use crate::{AgentId, GatewayError, RawJson};

pub use plan::{ConfigPlan, ConfigPlanError, ConfigSnapshot, PlanOptions, plan, plan_removal};
pub use schema::{Acceptance, ConfigSchema};

/// The heartbeat of an agent that says nothing else: every ten minutes, to where it was last spoken to.
pub fn default_heartbeat() -> Map<String, Value> {
    let mut heartbeat = Map::new();
    heartbeat.insert("every".into(), json!("10m"));
    heartbeat.insert("target".into(), json!("last"));
    heartbeat.insert("includeReasoning".into(), json!(false));
    heartbeat
}

/// Reads an answer of `config.get` for a plan: halves of characters are [marked](crate::json) in its texts.
///
/// # Errors
/// When it is no such answer, or holds a value that a write could not send back: more than 127 nested brackets, a number that
/// is too large.
pub fn read_config(answer: &RawJson) -> Result<ConfigGetReply, serde_json::Error> {
    serde_json::from_str(&marked(answer.as_str()))
}

/// A patch as JSON text, with halves of characters where the configuration had them.
///
/// # Errors
/// serde_json's.
pub fn patch_text(patch: &Value) -> Result<String, serde_json::Error> {
    Ok(unmarked(&serde_json::to_string(patch)?).into_owned())
}

/// How a gateway keeps its agents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RosterForm {
    /// The array `agents.list` (up to 2026.7).
    List,
    /// The map `agents.entries`, with `agents.ownership` (from 2026.8 on).
    Entries,
}

/// One configured agent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RosterAgent {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Its folder on the gateway's host, if it has one of its own.
    pub workspace: Option<String>,
    /// Its heartbeat, if it has one of its own.
    pub heartbeat: Option<Map<String, Value>>,
}

/// All configured agents.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roster {
    /// By id. Entries without a usable id are left out.
    pub agents: BTreeMap<AgentId, RosterAgent>,
}

/// The wanted entry of one agent in the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct HeartbeatEntry {
    /// The agent of the entry.
    pub id: AgentId,
    /// Its folder on the gateway's host.
    pub workspace: String,
    /// Its heartbeat. Merged over [`default_heartbeat`] and into the existing one.
    pub heartbeat: Map<String, Value>,
}

impl RosterForm {
    /// By the configuration itself: `agents.entries` or `agents.list`. A configuration with neither does not tell.
    pub fn of(config: &Value) -> Option<Self> {
        let has = |pointer| config.pointer(pointer).is_some_and(|roster| !roster.is_null());
        if has("/agents/entries") {
            Some(Self::Entries)
        } else if has("/agents/list") {
            Some(Self::List)
        } else {
            None
        }
    }
}

impl Roster {
    /// Reads the agents of a configuration, in either form.
    pub fn read(config: &Value) -> Self {
        let mut agents = BTreeMap::new();
        let mut add = |id: &str, entry: &Value| {
            if let Ok(id) = AgentId::parse(id) {
                agents.entry(id).or_insert_with(|| RosterAgent::read(entry));
            }
        };
        let entries = config.pointer("/agents/entries").and_then(Value::as_object);
        for (id, entry) in entries.into_iter().flatten() {
            add(id, entry);
        }
        let list = config.pointer("/agents/list").and_then(Value::as_array);
        for entry in list.into_iter().flatten() {
            if let Some(id) = entry.get("id").and_then(Value::as_str) {
                add(id, entry);
            }
        }
        Self { agents }
    }
}

impl RosterAgent {
    fn read(entry: &Value) -> Self {
        let text = |key: &str| Some(unmarked_for_people(entry.get(key)?.as_str()?).into_owned());
        Self {
            name: text("name"),
            workspace: text("workspace"),
            heartbeat: entry.get("heartbeat").and_then(Value::as_object).cloned(),
        }
    }
}

/// Most writes that are remembered: more than any known limit.
const REMEMBERED: usize = 256;
/// Longest wait that a gateway can ask for. Known limits are within a minute; an absurd number must not stop everything.
pub const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// The window for writes that are counted before the limit is known.
const USUAL_WINDOW: Duration = Duration::from_secs(60);
/// The wait beyond the gateway's own number: a write that comes a moment early is refused and counts again.
const MARGIN: Duration = Duration::from_millis(250);

/// So many writes within so much time, at most [`LONGEST_WAIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteLimit {
    /// Writes.
    pub count: u32,
    /// Within this.
    pub window: Duration,
}

/// Counts writes to one gateway, and says when the next one may go. Learns the limit when the gateway tells it.
#[derive(Clone, Debug, Default)]
pub struct WriteBudget {
    limit: Option<WriteLimit>,
    writes: VecDeque<Instant>,
    not_before: Option<Instant>,
}

impl WriteLimit {
    /// Reads `3 per 60s`. A window that is longer than [`LONGEST_WAIT`] is cut to that.
    pub fn parse(text: &str) -> Option<Self> {
        let (count, window) = text.split_once(" per ")?;
        let count = count.trim().parse().ok().filter(|count| *count > 0)?;
        let window = window.trim();
        let (number, unit) = window.split_at(window.find(|c: char| !c.is_ascii_digit())?);
        let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
        let window = match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" | "min" => Duration::from_secs(number.checked_mul(60)?),
            _ => return None,
        };
        let window = window.min(LONGEST_WAIT);
        Some(Self { count, window })
    }
}

impl WriteBudget {
    /// The limit, once the gateway told it.
    pub const fn limit(&self) -> Option<WriteLimit> {
        self.limit
    }

    /// How long the next write has to wait at `now`; zero when it may go.
    pub fn wait(&self, now: Instant) -> Duration {
        let told = self
            .not_before
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        told.max(self.counted(now))
    }

    fn counted(&self, now: Instant) -> Duration {
        let Some(limit) = self.limit else { return Duration::ZERO };
        let count = usize::try_from(limit.count).unwrap_or(usize::MAX);
        // The write after which only `count - 1` are left in the window.
        let Some(nth) = self.writes.len().checked_sub(count) else {
            return Duration::ZERO;
        };
        let free_at = self
            .writes
            .get(nth)
            .map(|at| after(*at, limit.window.saturating_add(MARGIN)));
        free_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(now))
    }

    /// A write was answered, or lost, at `now`: it counts from the moment at which the gateway had it at the latest.
    pub fn wrote(&mut self, now: Instant) {
        let window = self
            .limit
            .map_or(USUAL_WINDOW, |limit| limit.window)
            .saturating_add(MARGIN);
        while self
            .writes
            .front()
            .is_some_and(|at| now.saturating_duration_since(*at) >= window)
        {
            self.writes.pop_front();
        }
        if self.writes.len() == REMEMBERED {
            self.writes.pop_front();
        }
        self.writes.push_back(now);
    }

    /// A write was refused at `now`. Learns from it if it was the limit, and says whether it was. Call
    /// [`wrote`](Self::wrote) as well, unless it was.
    pub fn refused(&mut self, now: Instant, error: &GatewayError) -> bool {
        let told = error.detail_str("limit").and_then(WriteLimit::parse);
        let is_limit = error.detail_str("limit").is_some();
        if let Some(limit) = told {
            self.limit = Some(limit);
        }
        if is_limit {
            let window = self.limit.map_or(USUAL_WINDOW, |limit| limit.window);
            let wait = error.retry_after.unwrap_or(window).min(LONGEST_WAIT) + MARGIN;
            self.not_before = Some(after(now, wait));
        }
        is_limit
    }
}

#[cfg(test)]
mod halves_tests {
    use super::*;
    use crate::config::{ConfigSnapshot, HeartbeatEntry, PlanOptions, Roster, plan};

    const ANSWER: &str = r#"{"hash":"h","parsed":{"agents":{"list":[{"id":"cut","name":"Ro\ud83d"},{"id":"mark","name":"\ufdd0d83d"}]}}}"#;

    fn snapshot() -> ConfigSnapshot {
        ConfigSnapshot::of(&read_config(&RawJson::parse(ANSWER).unwrap()).unwrap())
    }

    #[test]
    fn a_roster_that_is_sent_back_keeps_half_a_character() {
        let entry = HeartbeatEntry {
            id: AgentId::parse("new").unwrap(),
            workspace: "/w".into(),
            heartbeat: Map::default(),
        };
        let plan = plan(&snapshot(), &[entry], PlanOptions::default()).unwrap().unwrap();
        let text = patch_text(&plan.patch).unwrap();
        assert!(text.contains(r#"{"id":"cut","name":"Ro\ud83d"}"#), "{text}");
        assert!(text.contains(r#"{"id":"mark","name":"\ufdd0d83d"}"#), "{text}");
    }

    #[test]
    fn people_see_the_replacement_character() {
        let roster = Roster::read(snapshot().roster());
        let names: Vec<&str> = roster
            .agents
            .values()
            .filter_map(|agent| agent.name.as_deref())
            .collect();
        assert_eq!(names, ["Ro\u{fffd}", "\u{fdd0}d83d"]);
    }

    #[test]
    fn what_a_write_could_not_send_back_is_refused() {
        for part in ["1e999".to_owned(), format!("{}{}", "[".repeat(128), "]".repeat(128))] {
            let answer = format!(r#"{{"parsed":{{"agents":{part}}}}}"#);
            assert!(read_config(&RawJson::parse(answer).unwrap()).is_err());
        }
    }
}

#[cfg(test)]
mod budget_tests {
    use serde_json::json;

    use super::*;

    fn limited(limit: &str, after_ms: u64) -> GatewayError {
        serde_json::from_value(json!({
            "code": "UNAVAILABLE", "message": "rate limit exceeded for config.patch; retry after 46s", "retryable": true,
            "retryAfterMs": after_ms, "details": {"method": "config.patch", "limit": limit},
        }))
        .unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "any instant will do as the beginning")]
    fn start() -> Instant {
        Instant::now()
    }

    #[test]
    fn limits_are_read_as_gateways_write_them() {
        let limit = |count, secs| {
            let window = Duration::from_secs(secs);
            Some(WriteLimit { count, window })
        };
        assert_eq!(WriteLimit::parse("3 per 60s"), limit(3, 60));
        assert_eq!(WriteLimit::parse("30 per 60s"), limit(30, 60));
        assert_eq!(WriteLimit::parse("5 per 2m"), limit(5, 120));
        for absurd in [
            "5 per 18446744073709551615s",
            "5 per 300000000000000000m",
            "5 per 1000000000000000ms",
        ] {
            assert_eq!(WriteLimit::parse(absurd), limit(5, LONGEST_WAIT.as_secs()), "{absurd}");
        }
        for odd in [
            "",
            "3",
            "3 per",
            "3 per s",
            "0 per 60s",
            "3 per 0s",
            "-3 per 60s",
            "3 per 60 parsecs",
        ] {
            assert_eq!(WriteLimit::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn nothing_waits_before_the_gateway_named_a_limit() {
        let mut budget = WriteBudget::default();
        let now = start();
        for _ in 0..1000 {
            budget.wrote(now);
        }
        assert_eq!((budget.wait(now), budget.limit()), (Duration::ZERO, None));
        assert_eq!(budget.writes.len(), REMEMBERED);
    }

    #[test]
    fn a_refusal_is_waited_for_and_its_limit_kept_from_then_on() {
        let mut budget = WriteBudget::default();
        let now = start();
        assert!(budget.refused(now, &limited("3 per 60s", 46_000)));
        assert_eq!(budget.wait(now), Duration::from_millis(46_250));
        let later = now + Duration::from_secs(47);
        assert_eq!(budget.wait(later), Duration::ZERO);
        for second in 0..3 {
            assert_eq!(budget.wait(later + Duration::from_secs(second)), Duration::ZERO);
            budget.wrote(later + Duration::from_secs(second));
        }
        let full = later + Duration::from_secs(3);
        assert_eq!(budget.wait(full), Duration::from_millis(57_250));
        assert_eq!(budget.wait(full + Duration::from_millis(57_250)), Duration::ZERO);
    }

    #[test]
    fn other_refusals_teach_nothing_and_absurd_waits_are_cut() {
        let mut budget = WriteBudget::default();
        let now = start();
        let stale = GatewayError::new(crate::ErrorCode::InvalidRequest, "config changed since last load");
        assert!(!budget.refused(now, &stale));
        assert_eq!(budget.wait(now), Duration::ZERO);
        assert!(budget.refused(now, &limited("a few", u64::MAX)));
        assert_eq!(budget.wait(now), LONGEST_WAIT + MARGIN);
        assert_eq!(budget.limit(), None);
        assert!(budget.refused(now, &limited("1 per 18446744073709551615s", 0)));
        budget.wrote(now);
        assert_eq!(budget.wait(now), LONGEST_WAIT + MARGIN);
    }
}
