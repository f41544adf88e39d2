//! `windlass doctor`: one connection, step by step.
//!
//! | module | what |
//! |---|---|
//! | `steps` | the steps and what became of each |
//! | `dial` | name look-up, TCP, TLS, WebSocket upgrade |
//! | `login` | challenge, protocol, token, pairing |
//! | `rights` | scopes |
//! | `report` | the steps on the screen |

mod dial;
mod login;
mod report;
mod rights;
mod steps;

use clap::Args;
use futures_util::future::join_all;
use serde_json::json;
use windlass::GatewaySpec;

use self::login::Login;
use self::steps::Findings;
use super::exit::{Exit, Failure};
use super::global::Global;
use super::output::Output;
use super::session::{self, Setup, Tokens};

/// Connect step by step and say what is wrong, and what to do
///
/// Walks through name look-up, TCP, TLS, WebSocket upgrade, challenge, protocol, login, pairing and scopes, in the order
/// in which a gateway checks them. Changes nothing on the gateway, except that an unknown device may be put on its list
/// of devices that wait for approval.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {}

pub(crate) async fn run(global: &Global, _: DoctorArgs, output: &Output) -> Result<Exit, Failure> {
    let Setup { targets, tokens, .. } = session::prepare(global, output).await?;
    let examined = join_all(targets.iter().map(|target| examine(target, &tokens))).await;
    let exit = examined.iter().map(Findings::exit).max().unwrap_or(Exit::Ok);
    if output.json() {
        let reports: Vec<_> = targets
            .iter()
            .zip(&examined)
            .map(|(at, found)| report::as_json(at, found))
            .collect();
        output.value(&json!({"gateways": reports}))?;
    } else {
        for (target, found) in targets.iter().zip(&examined) {
            output.line(&report::lines(target, found).join("\n"))?;
        }
    }
    Ok(exit)
}

/// Goes through all steps until one fails.
async fn examine(target: &GatewaySpec, tokens: &Tokens) -> Findings {
    let mut findings = Findings::default();
    // What stopped it stands in the findings.
    let _ = walk(target, tokens, &mut findings).await;
    findings
}

/// A step failed, and is written down.
struct Stopped;

async fn walk(target: &GatewaySpec, tokens: &Tokens, findings: &mut Findings) -> Result<(), Stopped> {
    let mut login = Login::new(target, tokens);
    let mut connected = loop {
        let socket = dial::dial(target, findings).await?;
        if let Some(connected) = login.attempt(socket, findings).await? {
            break connected;
        }
    };
    let checked = rights::check(target, &mut connected, findings).await;
    connected.close().await;
    checked
}
