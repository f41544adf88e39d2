//! `windlass sessions send` and `abort`.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::input;
use crate::interrupts::Interrupts;
use crate::output::Output;
use crate::sessions::connected::{self, ConnectedSession, TimeLimit};
use crate::text::escaped;
use crate::turn::{self, Followed, FollowedMessage, Notices, OnInterrupt, TurnScreen};
use crate::units::parse_span;

/// How long an answer is waited for, outages and restarts of the gateway included: long tasks of agents take minutes.
const ANSWER: Duration = Duration::from_mins(15);

/// Send one message and wait for the answer
///
/// The message is sent once, even if the line breaks: the answer is found again after cuts and restarts of the gateway. On a
/// terminal the answer is shown as it comes; otherwise it is printed when it is complete. If the outcome is unknown (exit code 5),
/// or after Ctrl-C, run the same command with --key: it continues, and does not send a message again that has arrived.
#[derive(Debug, Args)]
pub(crate) struct SendArgs {
    /// The session, by key, label or agent
    session: String,
    /// The text, or - to read it from stdin
    text: String,
    /// Continue an earlier send of the same text, by its key
    #[arg(long)]
    key: Option<String>,
    /// Exit as soon as the gateway has accepted the message
    #[arg(long)]
    no_wait: bool,
    /// Also deliver the answer to the session's channel
    #[arg(long)]
    deliver: bool,
    /// Give up after this long, outages and the agent's work included [default: 15m]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
    /// Give up after this long if the gateway can't be reached [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    connect_timeout: Option<Duration>,
}

pub(crate) async fn send(global: &Global, args: &SendArgs, output: &Output) -> Result<ExitCode, Failure> {
    let mut interrupts = Interrupts::listen()?;
    let ready = async {
        let text = input::words("TEXT", &args.text, turn::TEXT_BYTES).await?;
        let desk = ConnectedSession::open_within(global, args.connect_timeout, output).await?;
        Ok::<_, Failure>((text, desk))
    };
    let (text, desk) = tokio::select! {
        ready = ready => ready?,
        _ = interrupts.next() => return Ok(ExitCode::Interrupted),
    };
    let ended = follow(&desk, args, text, &mut interrupts, output).await;
    desk.close().await;
    ended
}

async fn follow(
    desk: &ConnectedSession,
    args: &SendArgs,
    text: String,
    interrupts: &mut Interrupts,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let session = connected::session(desk, Some(&args.session)).await?;
    let message = desk.sessions.message(session.clone(), text);
    let message = message
        .deliver(args.deliver)
        .give_up_after(args.timeout.unwrap_or(ANSWER));
    let message = match &args.key {
        Some(key) => message.continuing(key.as_str()),
        None => message,
    };
    let mut notices = Notices::of(&desk.gateway);
    let following = desk.sessions.send(message).await;
    let following = following.map_err(|error| turn::not_sent(&error))?;
    let key = following.key().to_owned();
    let mut screen = TurnScreen::new(output);
    screen.sent(&session, &key)?;
    let turn = FollowedMessage {
        sessions: &desk.sessions,
        session: &session,
        on_interrupt: OnInterrupt::Leave,
        until_started: args.no_wait,
    };
    match turn.follow(following, &mut screen, &mut notices, interrupts).await? {
        Followed::Ended(end) => turn::ended(&end, &key, output),
        Followed::Started { run_id } => {
            turn::started(&session, &key, &run_id, output)?;
            Ok(ExitCode::Ok)
        }
        Followed::Stopped => Ok(ExitCode::Interrupted),
        Followed::Left => {
            output.note(&format!(
                "left; the agent continues, and --key {key} with the same words finds its answer"
            ));
            Ok(ExitCode::Interrupted)
        }
    }
}

/// Longest run id shown, in characters.
const ID_LIMIT: usize = 80;

/// Stop the run of a session
///
/// It is no error if nothing runs. It is one if the session does not exist.
#[derive(Debug, Args)]
pub(crate) struct AbortArgs {
    /// The session, by key, label or agent [default: the default agent's main session]
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    /// Only this run [default: the current run]
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    #[command(flatten)]
    time: TimeLimit,
}

pub(crate) async fn abort(global: &Global, args: &AbortArgs, output: &Output) -> Result<ExitCode, Failure> {
    let desk = ConnectedSession::open(global, &args.time, output).await?;
    let aborted = async {
        let key = connected::session(&desk, args.session.as_deref()).await?;
        let runs = desk.sessions.abort(&key, args.run.as_deref()).await;
        let runs = runs.map_err(|error| desk.failed(&error))?;
        if runs.is_empty() {
            connected::there(&desk, &key).await?;
        }
        Ok::<_, Failure>((key, runs))
    };
    let aborted = aborted.await;
    desk.close().await;
    let (key, runs) = aborted?;
    if output.json() {
        output.value(&json!({"session": key, "aborted": runs}))?;
    } else if runs.is_empty() {
        output.line(&format!("nothing ran in {}", escaped(key.as_str(), ID_LIMIT)))?;
    } else {
        let shown: Vec<String> = runs.iter().map(|run| escaped(run, ID_LIMIT)).collect();
        output.line(&format!("stopped {}", shown.join(", ")))?;
    }
    Ok(ExitCode::Ok)
}
