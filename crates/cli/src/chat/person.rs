//! Somebody at a terminal.

use windlass::sessions::{HistoryQuery, ResetOutcome};

use crate::chat::command::{self, Command, HELP};
use crate::chat::editor::{Editor, Typed};
#[cfg(unix)]
use crate::chat::terminal::Terminal;
use crate::chat::{Said, Talk};
use crate::exit::{Exit, Failure};
use crate::output::{DIM, GOOD, HEAD};
use crate::sessions::transcript;
use crate::text::escaped;
use crate::waiting::Waiting;

/// Longest name shown, in characters.
const NAME_LIMIT: usize = 120;

/// What follows after a line.
enum Next {
    Prompt,
    End(Exit),
}

/// Talks until one has enough.
pub(crate) async fn talk(mut talk: Talk<'_>, history: u32) -> Result<Exit, Failure> {
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
            Typed::Interrupted if again => return Ok(Exit::Interrupted),
            Typed::Interrupted => {
                talk.dim("again to leave; Ctrl-D ends, too")?;
                continue;
            }
            Typed::Ended => return Ok(Exit::Ok),
            Typed::Told => return Ok(Exit::Interrupted),
        };
        #[cfg(unix)]
        terminal.quiet();
        let next = talk.obey(command::read(&line)).await;
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
    /// Whom one talks with, and what was said last.
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
        self.dim("Enter says it, Ctrl-C stops an answer, Ctrl-D ends, /help has more")?;
        if history > 0 {
            self.history(history).await?;
        }
        Ok(())
    }

    async fn obey(&mut self, command: Command) -> Result<Next, Failure> {
        match command {
            Command::Say(text) => {
                if matches!(self.say(text).await?, Said::Left) {
                    self.dim("left; the agent goes on, and its answer will be in the history")?;
                    return Ok(Next::End(Exit::Interrupted));
                }
                self.output.line("")?;
            }
            Command::History(count) => self.history(count).await?,
            Command::Abort => self.abort().await?,
            Command::New => self.begin_anew().await?,
            Command::Help => self.output.line(HELP)?,
            Command::Quit => return Ok(Next::End(Exit::Ok)),
            Command::Unknown(line) => self.dim(&format!(
                "{} is no command: see /help; to say it to the agent, type //…",
                escaped(&line, NAME_LIMIT)
            ))?,
            Command::Nothing => {}
        }
        Ok(Next::Prompt)
    }

    async fn history(&self, count: u32) -> Result<(), Failure> {
        let waiting = Waiting::new(self.output, "reading");
        let query = HistoryQuery::last().limit(count);
        let read = self.desk.sessions.history(&self.session, &query).await;
        let page = read.map_err(|error| self.desk.no_history(&error))?;
        drop(waiting);
        for row in &page.rows {
            self.output.line(&transcript::lines(row, self.output).join("\n"))?;
        }
        if page.running.is_some() {
            self.dim("an answer is under way; what you say joins it, or waits for it")?;
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
            ResetOutcome::Emptied(_) | ResetOutcome::Deleted => "begun anew: the agent does not remember what was said",
            ResetOutcome::NotThere => "nothing was said here yet",
        })
    }

    fn dim(&self, words: &str) -> Result<(), Failure> {
        Ok(self.output.line(&format!("{DIM}{words}{DIM:#}"))?)
    }
}
