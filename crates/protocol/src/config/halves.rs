//! Halves of characters in a configuration, which a write has to leave as they are.
//!
//! A name that was cut between the two halves of a character stands in the configuration with half of one. Up to 2026.7 a write
//! sends the whole list back: with U+FFFD in its place it would change a name without an order. So a configuration is read
//! with each half marked, and written with the half again.

use serde_json::Value;

use crate::RawJson;
use crate::json::{marked, unmarked};
use crate::request::ConfigGetReply;

/// Reads an answer of `config.get` for a plan: halves of characters are [marked](crate::json::marked) in its texts.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ConfigSnapshot, HeartbeatEntry, PlanOptions, Roster, plan};

    const ANSWER: &str = r#"{"hash":"h","parsed":{"agents":{"list":[{"id":"cut","name":"Ro\ud83d"},{"id":"mark","name":"\ufdd0d83d"}]}}}"#;

    fn snapshot() -> ConfigSnapshot {
        ConfigSnapshot::of(&read_config(&RawJson::parse(ANSWER).unwrap()).unwrap())
    }

    #[test]
    fn a_roster_that_is_sent_back_keeps_half_a_character() {
        let entry = HeartbeatEntry {
            id: crate::AgentId::parse("new").unwrap(),
            workspace: "/w".into(),
            heartbeat: serde_json::Map::default(),
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
