//! What is typed: words for the agent, or a command of ours.

/// Messages that `/history` shows unless told otherwise.
const SHOWN: u32 = 20;

/// What `/help` shows.
pub(crate) const HELP: &str = "\
/history [N]   the last N messages of this session (20)
/abort         stop whatever runs in this session
/new           begin the session anew: the agent forgets what was said in it
/quit          end (or Ctrl-D)
//WORDS        say /WORDS to the agent: gateways have commands of their own
Ctrl-C         stop the answer under way; twice to leave";

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Say(String),
    History(u32),
    Abort,
    New,
    Help,
    Quit,
    Unknown(String),
    Nothing,
}

/// Reads a line.
pub(crate) fn read(line: &str) -> Command {
    let line = line.trim_end();
    if line.trim().is_empty() {
        return Command::Nothing;
    }
    let Some(command) = line.strip_prefix('/') else {
        return Command::Say(line.to_owned());
    };
    if command.starts_with('/') {
        return Command::Say(command.to_owned());
    }
    let mut words = command.split_whitespace();
    let (name, argument, rest) = (words.next(), words.next(), words.next());
    match (name, argument, rest) {
        (Some("history"), None, None) => Command::History(SHOWN),
        (Some("history"), Some(count), None) => match count.parse() {
            Ok(count @ 1..=1000) => Command::History(count),
            _ => Command::Unknown(line.to_owned()),
        },
        (Some("abort"), None, None) => Command::Abort,
        (Some("new"), None, None) => Command::New,
        (Some("help" | "?"), None, None) => Command::Help,
        (Some("quit" | "exit"), None, None) => Command::Quit,
        _ => Command::Unknown(line.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_said_and_commands_are_done() {
        for (line, command) in [
            ("hello there ", Command::Say("hello there".into())),
            ("one\ntwo\n", Command::Say("one\ntwo".into())),
            ("  ", Command::Nothing),
            ("/history", Command::History(20)),
            ("/history 3", Command::History(3)),
            ("/history 0", Command::Unknown("/history 0".into())),
            ("/new", Command::New),
            ("/abort", Command::Abort),
            ("/quit", Command::Quit),
            ("/help", Command::Help),
            ("//status", Command::Say("/status".into())),
            ("/stauts", Command::Unknown("/stauts".into())),
            ("/new session", Command::Unknown("/new session".into())),
            ("/", Command::Unknown("/".into())),
        ] {
            assert_eq!(read(line), command, "{line:?}");
        }
    }

    #[test]
    fn the_help_has_every_command() {
        for command in ["/history", "/abort", "/new", "/quit", "//"] {
            assert!(HELP.lines().any(|line| line.starts_with(command)), "{command}");
        }
    }
}
