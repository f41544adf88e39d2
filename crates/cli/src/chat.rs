//! `windlass chat`: a conversation, on a terminal or by lines of stdin. `editor` reads lines from a terminal.

mod editor;

use std::io::{self, BufRead as _, IsTerminal as _, Read as _};
use std::time::Duration;

use clap::Args;
use windlass::sessions::{HistoryQuery, ResetOutcome};
use windlass_line::threads;
use windlass_protocol::SessionKey;
use windlass_protocol::request::HISTORY_LIMIT;

#[cfg(unix)]
use crate::chat::editor::Terminal;
use crate::chat::editor::{ChatCommand, Editor, HELP, Typed};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::interrupts::Interrupts;
use crate::output::{DIM, GOOD, HEAD, Output, Spinner};
use crate::sessions::connected::{self, ConnectedSession};
use crate::sessions::history;
use crate::text::escaped;
use crate::turn::{self, Followed, FollowedMessage, Notices, OnInterrupt, TEXT_BYTES, TurnScreen};
use crate::units::parse_span;

/// How long an answer is waited for, outages and restarts of the gateway included: long tasks of agents take minutes.
const ANSWER: Duration = Duration::from_mins(15);

/// Talk with an agent
///
/// Type a message and see the answer as it comes. Cuts and restarts of the gateway are reported and bridged: messages are neither
/// lost nor sent twice. Ctrl-C stops an answer, Ctrl-D exits, /help lists the commands. Typed text is not kept on this machine.
///
/// Without a terminal, or with --json, each line of stdin is sent and answered before the next one is read. The first line without
/// an answer ends the program with its exit code.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  windlass chat                      the default agent
  windlass chat Scribe               an agent, by name or id: its main session
  windlass chat agent:main:review    a session by its key, made by the first message
  printf 'hello\\nand bye\\n' | windlass chat Scribe --json")]
pub(crate) struct ChatArgs {
    /// The session, by key, label or agent [default: the default agent's main session]
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    /// Show the last N messages at the start
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(..=i64::from(HISTORY_LIMIT)))]
    history: u32,
    /// Give up after this long, including outages and the agent's work [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
    /// Give up after this long if the gateway can't be reached [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    connect_timeout: Option<Duration>,
}

/// The result of a message in a chat.
enum TurnResult {
    Ended(ExitCode),
    /// Its answer was stopped.
    Stopped,
    /// One is tired of waiting.
    Left,
}

/// A conversation under way.
struct Talk<'a> {
    desk: &'a ConnectedSession,
    session: SessionKey,
    answer_within: Duration,
    output: &'a Output,
    notices: Notices,
    interrupts: Interrupts,
}

pub(crate) async fn run(global: &Global, args: ChatArgs, output: &Output) -> Result<ExitCode, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let opened = tokio::select! {
        opened = ConnectedSession::open_within(global, args.connect_timeout, output) => opened,
        _ = interrupts.next() => return Ok(ExitCode::Interrupted),
    };
    let desk = opened?;
    let ended = talk(&desk, &args, interrupts, output).await;
    desk.close().await;
    ended
}

async fn talk(
    desk: &ConnectedSession,
    args: &ChatArgs,
    interrupts: Interrupts,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let talk = Talk {
        session: connected::session(desk, args.session.as_deref()).await?,
        desk,
        answer_within: args.timeout.unwrap_or(ANSWER),
        output,
        notices: Notices::of(&desk.gateway),
        interrupts,
    };
    if io::stdin().is_terminal() && output.redraws() {
        talk_on_terminal(talk, args.history).await
    } else {
        talk_by_lines(talk).await
    }
}

impl Talk<'_> {
    /// Sends a message and shows the answer.
    async fn say(&mut self, text: String) -> Result<TurnResult, Failure> {
        let message = self.desk.sessions.message(self.session.clone(), text);
        let message = message.give_up_after(self.answer_within);
        let following = self.desk.sessions.send(message).await;
        let following = following.map_err(|error| turn::not_sent(&error))?;
        let key = following.key().to_owned();
        let mut screen = TurnScreen::new(self.output);
        screen.sent(&self.session, &key)?;
        let turn = FollowedMessage {
            sessions: &self.desk.sessions,
            session: &self.session,
            on_interrupt: OnInterrupt::Abort,
            until_started: false,
        };
        let followed = turn.follow(following, &mut screen, &mut self.notices, &mut self.interrupts);
        match followed.await? {
            Followed::Ended(end) => turn::ended(&end, &key, self.output).map(TurnResult::Ended),
            Followed::Stopped => Ok(TurnResult::Stopped),
            Followed::Started { .. } | Followed::Left => Ok(TurnResult::Left),
        }
    }
}

/// Says each line, and ends with the first that has no answer.
async fn talk_by_lines(mut talk: Talk<'_>) -> Result<ExitCode, Failure> {
    loop {
        let read = tokio::select! {
            read = line() => read?,
            _ = talk.interrupts.next() => return Ok(ExitCode::Interrupted),
        };
        let Some(line) = read else {
            return Ok(ExitCode::Ok);
        };
        if line.is_empty() {
            continue;
        }
        match talk.say(line).await? {
            TurnResult::Ended(ExitCode::Ok) => {}
            TurnResult::Ended(exit) => return Ok(exit),
            TurnResult::Stopped | TurnResult::Left => return Ok(ExitCode::Interrupted),
        }
    }
}

/// The next line without its end; nothing when there are no more. On a thread of its own: a read can't be interrupted.
async fn line() -> Result<Option<String>, Failure> {
    let read = threads::detached("stdin", || {
        let mut line = String::new();
        let stdin = io::stdin().lock();
        let bytes = stdin.take(TEXT_BYTES as u64 + 1).read_line(&mut line)?;
        Ok::<_, io::Error>((bytes, line))
    })?;
    let read = read.await.map_err(io::Error::other)?;
    let (bytes, line) = read.map_err(|error| {
        Failure::usage(
            format!("stdin can't be read: {error}"),
            "Pipe UTF-8 text into the program, a message on each line.",
        )
    })?;
    if bytes > TEXT_BYTES {
        return Err(Failure::usage(
            format!("a line of stdin has over {TEXT_BYTES} bytes"),
            "Say less on a line.",
        ));
    }
    Ok((bytes > 0).then(|| line.trim_end().to_owned()))
}

/// Longest name shown, in characters.
const NAME_LIMIT: usize = 120;

/// The next step after an entered line.
enum Next {
    Prompt,
    End(ExitCode),
}

/// Talks until one has enough.
async fn talk_on_terminal(mut talk: Talk<'_>, history: u32) -> Result<ExitCode, Failure> {
    // Dropped last: the terminal is left as it was found.
    #[cfg(unix)]
    let terminal = Terminal::of_stdin();
    let mut editor = Editor::open()?;
    talk.greet(history).await?;
    let mut interrupted = false;
    loop {
        let typed = editor.read(&mut talk.notices, &mut talk.interrupts).await?;
        let again = std::mem::replace(&mut interrupted, typed == Typed::Interrupted);
        let line = match typed {
            Typed::Line(line) => line,
            Typed::Interrupted if again => return Ok(ExitCode::Interrupted),
            Typed::Interrupted => {
                talk.dim("press Ctrl-C again to exit, or Ctrl-D")?;
                continue;
            }
            Typed::Ended => return Ok(ExitCode::Ok),
            Typed::Told => return Ok(ExitCode::Interrupted),
        };
        #[cfg(unix)]
        terminal.quiet();
        let next = talk.obey(editor::read(&line)).await;
        #[cfg(unix)]
        terminal.restore();
        match next {
            Ok(Next::Prompt) => {}
            Ok(Next::End(exit)) => return Ok(exit),
            // What went wrong with one message is no reason to end.
            Err(Failure::Told(_, advice)) => talk.output.error(&advice),
            Err(failure) => return Err(failure),
        }
    }
}

impl Talk<'_> {
    /// Shows the session, its gateway and its last messages.
    async fn greet(&self, history: u32) -> Result<(), Failure> {
        let gateway = &self.desk.gateway;
        let status = gateway.status().borrow().clone();
        let release = status.hello.map(|hello| escaped(&hello.server.version, NAME_LIMIT));
        let session = escaped(self.session.as_str(), NAME_LIMIT);
        let release = release.unwrap_or_default();
        self.output.line(&format!(
            "{HEAD}{session}{HEAD:#} on {GOOD}{}{GOOD:#} {DIM}{release}{DIM:#}",
            self.desk.target.name
        ))?;
        self.dim("Enter sends, Ctrl-C stops an answer, Ctrl-D exits, /help has more")?;
        if history > 0 {
            self.history(history).await?;
        }
        Ok(())
    }

    async fn obey(&mut self, command: ChatCommand) -> Result<Next, Failure> {
        match command {
            ChatCommand::Say(text) => {
                if matches!(self.say(text).await?, TurnResult::Left) {
                    self.dim("left; the agent continues, and its answer will be in the history")?;
                    return Ok(Next::End(ExitCode::Interrupted));
                }
                self.output.line("")?;
            }
            ChatCommand::History(count) => self.history(count).await?,
            ChatCommand::Abort => self.abort().await?,
            ChatCommand::New => self.begin_anew().await?,
            ChatCommand::Help => self.output.line(HELP)?,
            ChatCommand::Quit => return Ok(Next::End(ExitCode::Ok)),
            ChatCommand::Unknown(line) => self.dim(&format!(
                "{} is not a command: see /help; to send it to the agent, type //…",
                escaped(&line, NAME_LIMIT)
            ))?,
            ChatCommand::Nothing => {}
        }
        Ok(Next::Prompt)
    }

    async fn history(&self, count: u32) -> Result<(), Failure> {
        let waiting = Spinner::new(self.output, "reading");
        let query = HistoryQuery::last().limit(count);
        let read = self.desk.sessions.history(&self.session, &query).await;
        let page = read.map_err(|error| self.desk.no_history(&error))?;
        drop(waiting);
        for row in &page.rows {
            self.output.line(&history::lines(row, self.output).join("\n"))?;
        }
        if page.running.is_some() {
            self.dim("an answer is running; your message joins it or waits for it")?;
        }
        if !page.rows.is_empty() {
            self.output.line("")?;
        }
        Ok(())
    }

    async fn abort(&self) -> Result<(), Failure> {
        let stopped = self.desk.sessions.abort(&self.session, None).await;
        let stopped = stopped.map_err(|error| self.desk.failed(&error))?;
        self.dim(match stopped.len() {
            0 => "nothing ran",
            _ => "stopped",
        })
    }

    async fn begin_anew(&self) -> Result<(), Failure> {
        let reset = self.desk.sessions.reset(&self.session).await;
        let reset = reset.map_err(|error| self.desk.failed(&error))?;
        self.dim(match reset {
            ResetOutcome::Emptied(_) | ResetOutcome::Deleted => "new session: the agent has forgotten the conversation",
            ResetOutcome::NotThere => "the session is empty",
        })
    }

    fn dim(&self, words: &str) -> Result<(), Failure> {
        Ok(self.output.line(&format!("{DIM}{words}{DIM:#}"))?)
    }
}
