//! Finds the user's own words in the prompt that a release sends to its model.
//!
//! The releases wrap the text of a chat message before the model sees it. Seen over the nine
//! measured releases: a JSON block under a heading that ends with `(untrusted metadata):` (up to
//! 2026.3), a leading time stamp in brackets, a last line `Runtime: ...`, a last line
//! `[message_id: ...]`, and from 2026.9 marked blocks of internal context, which can also be user
//! messages of their own.

const CONTEXT_BEGIN: &str = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>";
const CONTEXT_END: &str = "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>";
/// Heads a message that is nothing but context, seen on 2026.7.1 after a restart.
const CONTEXT_HEADING: &str = "OpenClaw runtime context for the immediately preceding user message.";
/// The note of 2026.5.12 in a session whose last run was cut off by a kill.
const ABORTED_NOTE: &str =
    "Note: The previous agent run was aborted by the user. Resume carefully or ask for clarification.";
const METADATA_HEADING: &str = "(untrusted metadata):\n```json\n";
const FENCE: &str = "\n```\n";

/// The user's words in `text`. Empty if `text` has only additions of the release.
pub fn user_words(text: &str) -> String {
    let text = without_context(text);
    if text.trim_start().starts_with(CONTEXT_HEADING) {
        return String::new();
    }
    let text = text.replace(ABORTED_NOTE, "");
    let text = without_metadata(text.trim());
    let text = without_last_line(text.trim(), "Runtime: ");
    let text = without_last_line(text, "[message_id: ");
    without_stamp(text.trim()).trim().to_owned()
}

fn without_context(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once(CONTEXT_BEGIN) {
        kept.push_str(before);
        rest = from.split_once(CONTEXT_END).map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    kept
}

fn without_metadata(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, block)) = rest.split_once(METADATA_HEADING) {
        let Some((_, after)) = block.split_once(FENCE) else {
            break;
        };
        // The heading's own line goes too.
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        kept.push_str(&before[..line]);
        rest = after.trim_start_matches('\n');
    }
    kept.push_str(rest);
    kept
}

fn without_last_line<'a>(text: &'a str, start: &str) -> &'a str {
    match text.rsplit_once('\n') {
        Some((before, last)) if last.starts_with(start) => before.trim_end(),
        _ => text,
    }
}

/// Cuts a leading `[Mon 2026-11-23 12:00 UTC]`.
fn without_stamp(text: &str) -> &str {
    let Some((stamp, after)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
        return text;
    };
    if is_stamp(stamp) { after.trim_start() } else { text }
}

fn is_stamp(text: &str) -> bool {
    /// `a` a letter, `9` a digit, anything else itself.
    const SHAPE: &[u8] = b"aaa 9999-99-99 99:99 ";
    text.len() >= SHAPE.len()
        && SHAPE.iter().zip(text.bytes()).all(|(shape, byte)| match shape {
            b'a' => byte.is_ascii_alphabetic(),
            b'9' => byte.is_ascii_digit(),
            exact => byte == *exact,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_words_stay_as_they_are() {
        assert_eq!(user_words("hello [you] there"), "hello [you] there");
    }

    #[test]
    fn the_wrapping_of_2026_3_is_taken_off() {
        let text = "Sender (untrusted metadata):\n```json\n{\"label\": \"x\"}\n```\n\n\
                    [Mon 2026-11-23 12:00 UTC] hello";
        assert_eq!(user_words(text), "hello");
    }

    #[test]
    fn several_metadata_blocks_are_taken_off() {
        let block = "(untrusted metadata):\n```json\n{}\n```\n\n";
        let text = format!("Conversation info {block}Sender {block}hello");
        assert_eq!(user_words(&text), "hello");
    }

    #[test]
    fn the_wrapping_of_2026_9_is_taken_off() {
        let text =
            format!("[Mon 2026-11-23 12:00 UTC] hello\n{CONTEXT_BEGIN}\nsecret\n{CONTEXT_END}\n\nRuntime: linux");
        assert_eq!(user_words(&text), "hello");
    }

    #[test]
    fn a_message_of_nothing_but_context_has_no_words() {
        assert_eq!(user_words(&format!("{CONTEXT_BEGIN}\nno end")), "");
    }

    #[test]
    fn a_message_that_is_headed_as_context_has_no_words() {
        let text = format!("{CONTEXT_HEADING}\nThis context is runtime-generated, not user-authored.");
        assert_eq!(user_words(&text), "");
    }

    #[test]
    fn the_note_of_2026_5_about_an_aborted_run_is_taken_off() {
        assert_eq!(user_words(ABORTED_NOTE), "");
        assert_eq!(user_words(&format!("{ABORTED_NOTE}\n\nhello")), "hello");
    }

    #[test]
    fn a_message_id_line_is_taken_off() {
        assert_eq!(user_words("hello\n[message_id: 17]"), "hello");
    }

    #[test]
    fn brackets_that_are_no_time_stamp_stay() {
        assert_eq!(user_words("[Mon] hello"), "[Mon] hello");
        assert_eq!(
            user_words("[Mon 2026-11-23 12:00 UTC hello"),
            "[Mon 2026-11-23 12:00 UTC hello"
        );
    }
}
