//! `windlass chat`: a conversation.
//!
//! | module | what |
//! |---|---|
//! | `person` | somebody at a terminal |
//! | `script` | lines from stdin, one turn each |
//! | `command` | what is typed: words, or a command of ours |
//! | `editor` | the line that is typed on |
//! | `terminal` | how the terminal was, and how it is to be left |

mod command;
mod editor;
mod person;
mod script;
#[cfg(unix)]
mod terminal;

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::Args;
use windlass_protocol::SessionKey;
use windlass_protocol::request::HISTORY_LIMIT;

use crate::config::parse_span;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::interrupts::Interrupts;
use crate::output::Output;
use crate::sessions::desk::Desk;
use crate::sessions::named;
use crate::turn::{self, Followed, Notices, OnInterrupt, Screen, Turn};

/// How long an answer is waited for, outages and restarts of the gateway included: long tasks of agents take minutes.
const ANSWER: Duration = Duration::from_secs(15 * 60);

/// Talk with an agent
///
/// Type, and see the answer as it comes. Cuts and restarts of the gateway are told and bridged: what was said is neither lost nor said
/// twice. Ctrl-C stops an answer, Ctrl-D ends, /help shows the few commands. Nothing that is typed is kept on this machine.
///
/// Without a terminal, or with --json, each line of stdin is said and answered before the next is read, and the first one without an
/// answer ends it with its exit code.
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
    /// Begin with the last so many messages
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(..=i64::from(HISTORY_LIMIT)))]
    history: u32,
    /// Give up an answer after this long, outages and the agent's work included [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
    /// Give up after this long when the gateway can't be reached at all [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    connect_timeout: Option<Duration>,
}

/// What became of something that was said.
enum Said {
    Ended(Exit),
    /// Its answer was stopped.
    Stopped,
    /// One is tired of waiting.
    Left,
}

/// A conversation under way.
struct Talk<'a> {
    desk: &'a Desk,
    session: SessionKey,
    answer_within: Duration,
    output: &'a Output,
    notices: Notices,
    interrupts: Interrupts,
}

pub(crate) async fn run(global: &Global, args: ChatArgs, output: &Output) -> Result<Exit, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let opened = tokio::select! {
        opened = Desk::open_within(global, args.connect_timeout, output) => opened,
        _ = interrupts.next() => return Ok(Exit::Interrupted),
    };
    let desk = opened?;
    let ended = talk(&desk, &args, interrupts, output).await;
    desk.close().await;
    ended
}

async fn talk(desk: &Desk, args: &ChatArgs, interrupts: Interrupts, output: &Output) -> Result<Exit, Failure> {
    let talk = Talk {
        session: named::session(desk, args.session.as_deref()).await?,
        desk,
        answer_within: args.timeout.unwrap_or(ANSWER),
        output,
        notices: Notices::of(&desk.gateway),
        interrupts,
    };
    if std::io::stdin().is_terminal() && output.redraws() {
        person::talk(talk, args.history).await
    } else {
        script::talk(talk).await
    }
}

impl Talk<'_> {
    /// Says something and shows what is answered.
    async fn say(&mut self, text: String) -> Result<Said, Failure> {
        let message = self.desk.sessions.message(self.session.clone(), text);
        let message = message.give_up_after(self.answer_within);
        let following = self.desk.sessions.send(message).await;
        let following = following.map_err(|error| turn::not_sent(&error))?;
        let key = following.key().to_owned();
        let mut screen = Screen::new(self.output);
        screen.sent(&self.session, &key)?;
        let turn = Turn {
            sessions: &self.desk.sessions,
            session: &self.session,
            on_interrupt: OnInterrupt::Abort,
            until_started: false,
        };
        let followed = turn.follow(following, &mut screen, &mut self.notices, &mut self.interrupts);
        match followed.await? {
            Followed::Ended(end) => turn::ended(&end, &key, self.output).map(Said::Ended),
            Followed::Stopped => Ok(Said::Stopped),
            Followed::Started { .. } | Followed::Left => Ok(Said::Left),
        }
    }
}
