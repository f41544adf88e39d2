//! `windlass call`: one call, its payload on stdout.

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use windlass::{Call, Gateway};
use windlass_line::{Clock as _, TokioClock};
use windlass_protocol::{Advice, Answers, CallError, NotSent, RawJson, method};

use crate::exit::{ExitCode, Failure, advice_on_call, of_call};
use crate::global::Global;
use crate::input;
use crate::output::Output;
use crate::output::pretty;
use crate::session::{self, Patience, Target};
use crate::units::parse_span;

/// Largest parameters that are read from a file or stdin, in bytes: the largest message that a gateway takes, of any release.
const MAX_PARAMS: usize = 25 * 1024 * 1024;

/// Call a method of a gateway and print the answer
///
/// A call is sent at most once, unless the method is read-only or has an idempotency key. Methods that take a key, such as
/// chat.send, get a new one unless --key gives it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  windlass call health
  windlass call sessions.list '{\"limit\": 5}'
  windlass call chat.send '{\"sessionKey\": \"agent:main:main\", \"message\": \"hello\"}' --key deploy-42
  windlass call config.patch @patch.json --gateway prod --timeout 60s")]
pub(crate) struct CallArgs {
    /// The method, for example health
    method: String,
    /// The parameters: JSON, @FILE, or - for stdin
    #[arg(value_name = "JSON|@FILE|-")]
    params: Option<String>,
    /// Give up after this long, including the wait for the connection [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = parse_span)]
    timeout: Option<Duration>,
    /// The idempotency key. Use the same key for every attempt at one message, and never for two messages
    #[arg(long)]
    key: Option<String>,
    /// Wait for the second answer: the method agent answers when a run starts, and again when it ends
    #[arg(long = "final")]
    final_answer: bool,
    /// Fail if the first attempt to connect fails, instead of trying until the timeout
    #[arg(long)]
    no_wait: bool,
}

pub(crate) async fn run(global: &Global, args: CallArgs, output: &Output) -> Result<ExitCode, Failure> {
    if args.final_answer {
        refuse_without_final(&args.method)?;
    }
    let params = params(args.params.as_deref()).await?;
    let (target, timeouts, tokens) = session::prepare_one(global, output).await?;
    let timeout = args.timeout.unwrap_or(timeouts.call);
    let (windlass, gateways) = session::open(std::slice::from_ref(&target), tokens).await?;
    let [gateway] = gateways.as_slice() else {
        return Ok(ExitCode::Usage);
    };
    let ended = make(gateway, &target, &args, &params, timeout, output).await;
    let shown = show(output, &target.name, &args.method, ended);
    session::close(windlass).await;
    shown
}

/// A method that answers once has no last of two answers. A method that this build does not know may have one.
fn refuse_without_final(name: &str) -> Result<(), Failure> {
    match method(name) {
        Some(row) if row.answers == Answers::One => Err(Failure::usage(
            format!("--final: {name} answers once, so there is no second answer to wait for"),
            "Leave --final away; the run of a chat.send is followed by windlass sessions send.",
        )),
        _ => Ok(()),
    }
}

/// The result of a call.
enum CallResult {
    Payload(RawJson),
    /// With the exit code, where the call's own type does not tell it.
    Error(CallError, ExitCode, Advice),
}

async fn make(
    gateway: &Gateway,
    target: &Target,
    args: &CallArgs,
    params: &RawJson,
    timeout: Duration,
    output: &Output,
) -> CallResult {
    let clock = TokioClock::start();
    let begun = clock.now();
    let patience = if args.no_wait {
        Patience::FirstAttempt
    } else {
        Patience::All
    };
    let status = session::settle(gateway, &target.name, patience, timeout, output).await;
    let waited = clock.now().saturating_duration_since(begun);
    if !status.is_up() {
        let not_sent = if args.no_wait {
            NotSent::WouldWait
        } else {
            NotSent::NotReady { waited }
        };
        return down(target, gateway, not_sent.into());
    }
    match call(gateway, args, params)
        .timeout(timeout.saturating_sub(waited))
        .await
    {
        Ok(payload) => CallResult::Payload(payload),
        Err(error) => match of_call(&error) {
            Some(exit) => {
                let advice = advice_on_call(&error);
                CallResult::Error(error, exit, advice)
            }
            None => down(target, gateway, error),
        },
    }
}

fn call(gateway: &Gateway, args: &CallArgs, params: &RawJson) -> Call {
    let mut call = gateway.call(args.method.clone(), params);
    if let Some(key) = &args.key {
        call = call.idempotency_key(key.clone());
    }
    if args.final_answer {
        call = call.final_answer();
    }
    if args.no_wait {
        call = call.fail_fast();
    }
    call
}

/// The line's own trouble tells more than that the call was not sent.
fn down(target: &Target, gateway: &Gateway, error: CallError) -> CallResult {
    let status = gateway.status().borrow().clone();
    match session::why_down(target, &status) {
        Failure::Told(ExitCode::Ok, _) | Failure::Output(_) => {
            let advice = Advice::new(error.to_string(), "Repeat it: the line is up now.");
            CallResult::Error(error, ExitCode::Unreachable, advice)
        }
        Failure::Told(exit, why) => {
            let advice = Advice::new(format!("Not sent. {}", why.summary), why.next_step);
            CallResult::Error(error, exit, advice)
        }
    }
}

/// A payload for programs: the text that came.
#[derive(Serialize)]
struct CallAnswer<'a> {
    gateway: &'a str,
    method: &'a str,
    outcome: &'static str,
    payload: &'a RawJson,
}

fn show(output: &Output, id: &str, method: &str, end: CallResult) -> Result<ExitCode, Failure> {
    match end {
        CallResult::Payload(payload) if output.json() => {
            output.value(&CallAnswer {
                gateway: id,
                method,
                outcome: "ok",
                payload: &payload,
            })?;
            Ok(ExitCode::Ok)
        }
        CallResult::Payload(payload) => {
            output.line(&pretty(payload.as_str()))?;
            Ok(ExitCode::Ok)
        }
        CallResult::Error(error, exit, advice) => {
            if output.json() {
                output.value(&json!({
                    "gateway": id,
                    "method": method,
                    "outcome": outcome(&error),
                    "error": details(&error),
                    "summary": advice.summary,
                    "nextStep": advice.next_step,
                }))?;
            }
            Err(Failure::Told(exit, advice))
        }
    }
}

const fn outcome(error: &CallError) -> &'static str {
    match error {
        CallError::Rejected(_) => "rejected",
        CallError::OutcomeUnknown(_) => "unknown",
        CallError::TimedOut(_) => "timed-out",
        _ => "not-sent",
    }
}

fn details(error: &CallError) -> Value {
    match error {
        CallError::Rejected(rejected) => json!(rejected.error),
        other => json!({"message": other.to_string()}),
    }
}

async fn params(given: Option<&str>) -> Result<RawJson, Failure> {
    let (place, text) = match given {
        None => ("the parameters".to_owned(), "null".to_owned()),
        Some("-") => ("stdin".to_owned(), input::stdin("the parameters", MAX_PARAMS).await?),
        Some(given) => match given.strip_prefix('@') {
            None => ("the parameters".to_owned(), given.to_owned()),
            Some(path) => {
                let read = windlass_files::read_text(path.as_ref(), MAX_PARAMS).map_err(|error| {
                    Failure::usage(
                        format!("{path} can't be read: {error}"),
                        "Name a file with JSON after the @.",
                    )
                })?;
                (path.to_owned(), read)
            }
        },
    };
    RawJson::parse(text).map_err(|error| {
        let problem = format!("{place}: no JSON at line {}, column {}", error.line(), error.column());
        Failure::usage(
            problem,
            "Give one JSON value, in single quotes for the shell: '{\"limit\": 5}'.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parameters_are_json_or_a_usage_error_that_does_not_repeat_them() {
        assert_eq!(params(None).await.unwrap().as_str(), "null");
        assert_eq!(params(Some("{\"a\":1}")).await.unwrap().as_str(), "{\"a\":1}");
        for given in ["{s3cret", "", "@/nonexistent/file", "@/", "@/dev/zero"] {
            match params(Some(given)).await.unwrap_err() {
                Failure::Told(ExitCode::Usage, advice) => assert!(!advice.to_string().contains("s3cret"), "{advice}"),
                other => panic!("{other:?}"),
            }
        }
    }
}
