//! The input of `windlass chat` on a terminal: the line editor, its commands, and the state of the terminal.

use std::io::{self, Write as _, stdin, stdout};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter as _};
use windlass_line::threads;

use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::output::DIM;
use crate::turn::Notices;

/// The prompt. Without colours, because the editor counts its width.
const PROMPT: &str = "> ";

/// Lines that can be called back; they are kept in memory only.
const REMEMBERED: usize = 500;

/// The result of reading a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Line(String),
    /// Ctrl-C, with the line thrown away.
    Interrupted,
    /// Ctrl-D.
    Ended,
    /// The process is to end.
    Told,
}

/// A line editor.
pub(crate) struct Editor {
    /// Nothing while it is on its thread.
    editor: Option<DefaultEditor>,
    print: Box<dyn FnMut(String) + Send>,
}

impl Editor {
    pub(crate) fn open() -> Result<Self, Failure> {
        let config = Config::builder()
            .max_history_size(REMEMBERED)
            .map_err(failed)?
            .auto_add_history(true)
            .build();
        let mut editor = DefaultEditor::with_config(config).map_err(failed)?;
        // A terminal without the means for it shows no notices while somebody types.
        let mut printer = editor.create_external_printer().ok();
        let print = move |text| {
            if let Some(printer) = &mut printer {
                // A terminal that is gone shows at the next line.
                let _ = printer.print(text);
            }
        };
        Ok(Self {
            editor: Some(editor),
            print: Box::new(print),
        })
    }

    /// Reads a line. Changes of the gateway's line are shown above it meanwhile.
    pub(crate) async fn read(&mut self, notices: &mut Notices, interrupts: &mut Interrupts) -> Result<Typed, Failure> {
        let Some(mut editor) = self.editor.take() else {
            return Ok(Typed::Told);
        };
        let mut reading = threads::detached("editor", move || {
            let typed = editor.readline(PROMPT);
            (editor, typed)
        })?;
        let read = loop {
            tokio::select! {
                read = &mut reading => break read,
                notice = notices.next() => (self.print)(format!("{DIM}-- {notice}{DIM:#}\n")),
                // Ctrl-C is a key here; a signal comes from elsewhere.
                _ = interrupts.next() => return Ok(Typed::Told),
            }
        };
        let (editor, typed) = read.map_err(io::Error::other)?;
        self.editor = Some(editor);
        match typed {
            Ok(line) => Ok(Typed::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupted),
            Err(ReadlineError::Eof) => Ok(Typed::Ended),
            Err(error) => Err(failed(error)),
        }
    }
}

fn failed(error: ReadlineError) -> Failure {
    Failure::Output(match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other),
    })
}

/// Messages that `/history` shows unless told otherwise.
const SHOWN: u32 = 20;

/// The output of `/help`.
pub(crate) const HELP: &str = "\
/history [N]   the last N messages of this session (20)
/abort         stop whatever runs in this session
/new           begin the session anew: the agent forgets what was said in it
/quit          end (or Ctrl-D)
//WORDS        say /WORDS to the agent: gateways have commands of their own
Ctrl-C         stop the answer under way; twice to leave";

/// A parsed line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ChatCommand {
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
pub(crate) fn read(line: &str) -> ChatCommand {
    let line = line.trim_end();
    if line.trim().is_empty() {
        return ChatCommand::Nothing;
    }
    let Some(command) = line.strip_prefix('/') else {
        return ChatCommand::Say(line.to_owned());
    };
    if command.starts_with('/') {
        return ChatCommand::Say(command.to_owned());
    }
    let mut words = command.split_whitespace();
    let (name, argument, rest) = (words.next(), words.next(), words.next());
    match (name, argument, rest) {
        (Some("history"), None, None) => ChatCommand::History(SHOWN),
        (Some("history"), Some(count), None) => match count.parse() {
            Ok(count @ 1..=1000) => ChatCommand::History(count),
            _ => ChatCommand::Unknown(line.to_owned()),
        },
        (Some("abort"), None, None) => ChatCommand::Abort,
        (Some("new"), None, None) => ChatCommand::New,
        (Some("help" | "?"), None, None) => ChatCommand::Help,
        (Some("quit" | "exit"), None, None) => ChatCommand::Quit,
        _ => ChatCommand::Unknown(line.to_owned()),
    }
}

/// Ends the mode in which pasted text is marked.
const NO_PASTE_MARKS: &[u8] = b"\x1b[?2004l";

/// The terminal as it was; it becomes so again when this is dropped, wherever the program ends.
pub(crate) struct Terminal(Option<Termios>);

impl Terminal {
    pub(crate) fn of_stdin() -> Self {
        Self(tcgetattr(stdin()).ok())
    }

    /// Hides typed characters, which would appear in the middle of an answer. They are not lost: the next prompt has them.
    pub(crate) fn quiet(&self) {
        if let Some(mut modes) = self.0.clone() {
            modes.local_modes.remove(LocalModes::ECHO);
            set(&modes);
        }
    }

    /// As it was.
    pub(crate) fn restore(&self) {
        if let Some(modes) = &self.0 {
            set(modes);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.restore();
            let _ = stdout().write_all(NO_PASTE_MARKS).and_then(|()| stdout().flush());
        }
    }
}

fn set(modes: &Termios) {
    // A terminal that is gone needs no modes.
    let _ = tcsetattr(stdin(), OptionalActions::Drain, modes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_said_and_commands_are_done() {
        for (line, command) in [
            ("hello there ", ChatCommand::Say("hello there".into())),
            ("one\ntwo\n", ChatCommand::Say("one\ntwo".into())),
            ("  ", ChatCommand::Nothing),
            ("/history", ChatCommand::History(20)),
            ("/history 3", ChatCommand::History(3)),
            ("/history 0", ChatCommand::Unknown("/history 0".into())),
            ("/new", ChatCommand::New),
            ("/abort", ChatCommand::Abort),
            ("/quit", ChatCommand::Quit),
            ("/help", ChatCommand::Help),
            ("//status", ChatCommand::Say("/status".into())),
            ("/stauts", ChatCommand::Unknown("/stauts".into())),
            ("/new session", ChatCommand::Unknown("/new session".into())),
            ("/", ChatCommand::Unknown("/".into())),
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
