//! The behaviour of the fake model, chosen by a word in the user's text.

use std::time::Duration;

use windlass::protocol::json::marked_half;

/// Chunks of a slow answer when the text does not say how many.
const SLOW_CHUNKS: u32 = 20;
/// Pause between the chunks of a slow answer when the text does not say how long.
const SLOW_PAUSE: Duration = Duration::from_millis(500);
/// Bound of a slow answer's chunks; more would outlast every scenario.
const MAX_SLOW_CHUNKS: u32 = 10_000;
/// Pause between the chunks of an ordinary answer, so that they arrive as several.
const PAUSE: Duration = Duration::from_millis(20);
/// The answer of an idle agent to its heartbeat.
const HEARTBEAT: &str = "HEARTBEAT_OK";
/// How much of the user's text an echo repeats, in characters.
const ECHO_CHARS: usize = 200;

/// An answer of the fake model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Behaviour {
    /// Streams these chunks with a pause after each.
    Say {
        /// The chunks in order; their concatenation is the answer.
        chunks: Vec<String>,
        /// Pause after each chunk.
        pause: Duration,
    },
    /// Sends the headers and the opening chunk and then nothing, until the client goes away.
    Hang,
    /// Refuses with this HTTP status.
    Refuse(u16),
    /// Asks for a tool call.
    CallTool {
        /// The tool's name.
        name: String,
        /// The arguments as JSON text.
        arguments: String,
    },
}

impl Behaviour {
    /// Chooses by the user's `words` and, in the second half of a tool run, by the tool's result.
    ///
    /// | word in the text | behaviour |
    /// |---|---|
    /// | `HTTP:<status>` | refuses with that status |
    /// | `HANG` | hangs |
    /// | `SILENT` | `NO_REPLY`, by which gateways know that there is nothing to say |
    /// | `SLOW[:chunks[:milliseconds]]` | a slow answer |
    /// | `TOOL:<name>:<json object>` | a tool call; the object reaches to the end of the text |
    /// | `HEARTBEAT_OK`: the prompt of a heartbeat | that word |
    /// | `HALF` | an answer that ends in half a character |
    /// | anything else | `echo: ` and the text |
    ///
    /// A word counts only when it stands alone: `CHANGE` does not hang.
    pub fn choose(words: &str, tool_result: Option<&str>) -> Self {
        if let Some(result) = tool_result {
            let result = last_chars(result, ECHO_CHARS).to_owned();
            return Self::say(vec!["tool said: ".to_owned(), result]);
        }
        if let Some(status) = find_word(words, "HTTP:").and_then(http_status) {
            return Self::Refuse(status);
        }
        if find_word(words, "HANG").is_some() {
            return Self::Hang;
        }
        if find_word(words, "SILENT").is_some() {
            return Self::say(vec!["NO_REPLY".to_owned()]);
        }
        if let Some(call) = find_word(words, "TOOL:").and_then(tool_call) {
            return call;
        }
        // Gateways ask for this word where nothing needs attention, and hide an answer that is nothing else.
        if find_word(words, HEARTBEAT).is_some() {
            return Self::say(vec![HEARTBEAT.to_owned()]);
        }
        if find_word(words, "HALF").is_some() {
            return Self::say(vec!["half ".to_owned(), marked_half(0xd83d)]);
        }
        match find_word(words, "SLOW") {
            Some(rest) => Self::slow(rest),
            None => Self::echo(words),
        }
    }

    fn say(chunks: Vec<String>) -> Self {
        Self::Say { chunks, pause: PAUSE }
    }

    fn echo(words: &str) -> Self {
        let text = format!("echo: {}", last_chars(words, ECHO_CHARS));
        Self::say(text.split_inclusive(' ').map(str::to_owned).collect())
    }

    fn slow(rest: &str) -> Self {
        let mut numbers = rest.split(|c: char| c != ':' && !c.is_ascii_digit());
        let mut fields = numbers.next().unwrap_or_default().split(':').skip(1);
        let mut number = || fields.next().and_then(|field| field.parse::<u32>().ok());
        let count = number().unwrap_or(SLOW_CHUNKS).min(MAX_SLOW_CHUNKS);
        let pause = number().map_or(SLOW_PAUSE, |ms| Duration::from_millis(ms.into()));
        let chunks = (1..=count).map(|part| format!("part {part} of {count}. ")).collect();
        Self::Say { chunks, pause }
    }
}

/// The text after the first `word` that stands alone: no letter or digit touches its ends.
fn find_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let touches = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let open_end = word.ends_with(':');
    text.match_indices(word)
        .map(|(at, _)| (&text[..at], &text[at + word.len()..]))
        .find(|(before, after)| !touches(before.chars().next_back()) && (open_end || !touches(after.chars().next())))
        .map(|(_, after)| after)
}

fn http_status(rest: &str) -> Option<u16> {
    let digits = rest.get(..3)?;
    let status = digits.parse().ok()?;
    (400..600).contains(&status).then_some(status)
}

fn tool_call(rest: &str) -> Option<Behaviour> {
    let (name, arguments) = rest.split_once(':')?;
    let named = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    let object = &arguments[..=arguments.rfind('}')?];
    (named && object.starts_with('{')).then(|| Behaviour::CallTool {
        name: name.to_owned(),
        arguments: object.to_owned(),
    })
}

/// The last `count` characters of `text`.
fn last_chars(text: &str, count: usize) -> &str {
    let start = text.char_indices().rev().nth(count.saturating_sub(1));
    start.map_or(text, |(at, _)| &text[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(behaviour: &Behaviour) -> String {
        match behaviour {
            Behaviour::Say { chunks, .. } => chunks.concat(),
            other => panic!("said nothing: {other:?}"),
        }
    }

    #[test]
    fn ordinary_text_is_echoed_in_several_chunks() {
        let behaviour = Behaviour::choose("how are you", None);
        assert_eq!(said(&behaviour), "echo: how are you");
        assert!(matches!(behaviour, Behaviour::Say { chunks, .. } if chunks.len() == 4));
    }

    #[test]
    fn a_long_text_is_echoed_by_its_end_without_cutting_a_character() {
        let text = "ä".repeat(ECHO_CHARS + 50);
        assert_eq!(
            said(&Behaviour::choose(&text, None)),
            format!("echo: {}", "ä".repeat(ECHO_CHARS))
        );
    }

    #[test]
    fn slow_takes_its_chunks_and_pause_from_the_text() {
        for (text, count, ms) in [("SLOW", 20, 500), ("SLOW:3", 3, 500), ("be SLOW:2:10 please", 2, 10)] {
            let Behaviour::Say { chunks, pause } = Behaviour::choose(text, None) else {
                panic!("{text} says something");
            };
            assert_eq!((chunks.len(), pause), (count, Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn slow_is_bounded() {
        let behaviour = Behaviour::choose("SLOW:4000000000", None);
        assert!(matches!(behaviour, Behaviour::Say { chunks, .. } if chunks.len() == MAX_SLOW_CHUNKS as usize));
    }

    #[test]
    fn a_word_inside_another_word_is_no_order() {
        assert_eq!(said(&Behaviour::choose("CHANGE SLOWLY", None)), "echo: CHANGE SLOWLY");
        assert_eq!(Behaviour::choose("please HANG.", None), Behaviour::Hang);
    }

    #[test]
    fn a_refusal_names_its_status() {
        assert_eq!(Behaviour::choose("HTTP:503", None), Behaviour::Refuse(503));
        assert_eq!(said(&Behaviour::choose("HTTP:200", None)), "echo: HTTP:200");
        assert_eq!(said(&Behaviour::choose("HTTP:5", None)), "echo: HTTP:5");
    }

    #[test]
    fn a_tool_call_takes_the_object_to_its_last_brace() {
        let behaviour = Behaviour::choose("TOOL:read:{\"a\":{\"b\":1}} thanks", None);
        let call = Behaviour::CallTool {
            name: "read".to_owned(),
            arguments: "{\"a\":{\"b\":1}}".to_owned(),
        };
        assert_eq!(behaviour, call);
        assert_eq!(said(&Behaviour::choose("TOOL:read", None)), "echo: TOOL:read");
        assert_eq!(said(&Behaviour::choose("TOOL:read:}{", None)), "echo: TOOL:read:}{");
    }

    #[test]
    fn a_tool_result_is_told_whatever_the_text_orders() {
        assert_eq!(said(&Behaviour::choose("TOOL:read:{}", Some("42"))), "tool said: 42");
    }
}
