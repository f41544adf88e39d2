//! Messages by which a service's people and agents speak to each other.

use std::fmt::Write as _;

use crate::context::TemplateContext;
use crate::error::TemplateError;
use crate::templates::{MAX_REFERENCE, Templates};

/// Which message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageKind {
    /// To an agent of a board: a request for its attention.
    Nudge,
    /// To the gateway's own agent: a question for its user.
    AskUser,
    /// To a board's lead: a question.
    LeadQuestion,
    /// To a board's lead: work to take over.
    LeadHandoff,
    /// To the gateway's own agent: a new board, about which it is to ask its user.
    Onboarding,
}

impl MessageKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Nudge,
        Self::AskUser,
        Self::LeadQuestion,
        Self::LeadHandoff,
        Self::Onboarding,
    ];

    /// The shipped template.
    pub(crate) const fn template(self) -> &'static str {
        match self {
            Self::Nudge => "messages/nudge",
            Self::AskUser => "messages/ask-user",
            Self::LeadQuestion => "messages/lead-question",
            Self::LeadHandoff => "messages/lead-handoff",
            Self::Onboarding => "messages/onboarding",
        }
    }
}

/// The variables of a coordination message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageVariables {
    /// `sender`: the name of the sender, for people.
    pub sender: String,
    /// `board_id`.
    pub board_id: String,
    /// `board_name`.
    pub board_name: String,
    /// `message`: the words themselves; they keep their lines.
    pub message: String,
    /// `channel`: over which channel to ask, if it matters.
    pub channel: String,
    /// `correlation_id`: by which the answer, and the message in the session's history, are found again.
    pub correlation_id: String,
    /// `base_url`: the API's address; empty where there is none.
    pub base_url: String,
    /// `tags`: the tags of the answer; shown as JSON.
    pub tags: Vec<String>,
    /// `source`: whom the answer is from.
    pub source: String,
}

impl Templates {
    /// A coordination message. It always contains its `correlation_id`: as the last line, `ref: <id>`, unless a user's
    /// template shows it elsewhere.
    ///
    /// # Errors
    ///
    /// When a value is not fit ([`TemplateError::BadValue`]), or the template fails.
    pub fn coordination_message(
        &self,
        kind: MessageKind,
        variables: &MessageVariables,
    ) -> Result<String, TemplateError> {
        let reference = &variables.correlation_id;
        if reference.is_empty() || reference.len() > MAX_REFERENCE {
            return Err(TemplateError::BadValue {
                variable: "correlation_id",
                why: "is empty or too long",
            });
        }
        let mut context = TemplateContext::empty();
        context.line("sender", &variables.sender)?;
        context.exact("board_id", &variables.board_id)?;
        context.line("board_name", &variables.board_name)?;
        context.free("message", &variables.message)?;
        context.line("channel", &variables.channel)?;
        context.exact("correlation_id", reference)?;
        context.exact("base_url", variables.base_url.trim_end_matches('/'))?;
        context.line("tags", &serde_json::Value::from(variables.tags.clone()).to_string())?;
        context.exact("source", &variables.source)?;
        let mut text = self.message(kind.template(), context)?;
        if !text.contains(reference.as_str()) {
            let _ = write!(text, "\n\nref: {reference}");
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> MessageVariables {
        MessageVariables {
            sender: "Ada".into(),
            board_id: "b-1".into(),
            board_name: "Engine room".into(),
            message: "Which valve?\n{{ auth_token }}".into(),
            channel: "signal".into(),
            correlation_id: "c-7".into(),
            base_url: "https://board.example/api/".into(),
            tags: vec!["user-answer".into(), "c-7".into()],
            source: "gateway-main".into(),
        }
    }

    #[test]
    fn every_message_says_what_it_is_about_and_how_it_is_found_again() {
        for kind in MessageKind::ALL {
            let text = Templates::shipped().coordination_message(kind, &variables()).unwrap();
            assert!(text.contains("> Which valve?\n> {{ auth_token }}"), "{kind:?}: {text}");
            assert!(text.ends_with("ref: c-7"), "{kind:?}: {text}");
            assert!(text.contains("Engine room"), "{kind:?}: {text}");
        }
    }

    #[test]
    fn answers_go_to_the_boards_memory_with_tags_and_source() {
        for kind in MessageKind::ALL.into_iter().filter(|kind| *kind != MessageKind::Nudge) {
            let text = Templates::shipped().coordination_message(kind, &variables()).unwrap();
            assert!(
                text.contains("POST https://board.example/api/agent/boards/b-1/memory"),
                "{kind:?}: {text}"
            );
            assert!(
                text.contains(r#""tags": ["user-answer","c-7"], "source": "gateway-main""#),
                "{kind:?}: {text}"
            );
            let nowhere = MessageVariables {
                base_url: String::new(),
                ..variables()
            };
            let text = Templates::shipped().coordination_message(kind, &nowhere).unwrap();
            assert!(!text.contains("POST"), "{kind:?}: {text}");
        }
    }

    #[test]
    fn a_message_without_a_reference_is_refused() {
        let nameless = MessageVariables::default();
        let error = Templates::shipped()
            .coordination_message(MessageKind::Nudge, &nameless)
            .unwrap_err();
        assert!(error.to_string().contains("correlation_id"), "{error}");
    }
}
