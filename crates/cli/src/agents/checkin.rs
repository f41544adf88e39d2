//! `windlass agents checkin`.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use windlass::store::{AgentStatus, Agents as _, CheckIn, SecretSource};
use windlass_protocol::Advice;

use crate::agents::list::as_json;
use crate::config::{Environment, GivenSecret};
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::store::{self, Missing, Records, shown};

/// Say that an agent is there, on its behalf
///
/// Needs the agent's own token: the AUTH_TOKEN in its workspace.
#[derive(Debug, Args)]
pub(crate) struct CheckinArgs {
    /// The agent, by name, id or a unique beginning of the id
    agent: String,
    #[command(flatten)]
    token: TokenArgs,
    /// How it is [default: online]
    #[arg(long, value_name = "STATUS", value_parser = ["online", "offline", "updating", "provisioning"])]
    status: Option<String>,
}

/// Where its token is.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct TokenArgs {
    /// The environment variable that holds the agent's token
    #[arg(long, value_name = "VAR")]
    token_env: Option<String>,
    /// The file that holds the agent's token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(crate) async fn run(global: &Global, args: &CheckinArgs, output: &Output) -> Result<Exit, Failure> {
    let records = Records::open(global, Missing::Refuse).await?;
    let agent = records.agent(&args.agent)?;
    let token = args.token.read()?;
    if !agent.knows_token(token.expose()) {
        return Err(Failure::Told(
            Exit::Refused,
            Advice::new(
                format!("that is not the token of {}", shown(&agent.name)),
                "Read the AUTH_TOKEN in the agent's workspace, or give it a new one: windlass agents rotate-token.",
            ),
        ));
    }
    let status: Option<AgentStatus> = args.status.as_deref().and_then(|name| name.parse().ok());
    let now = store::now();
    let seen = records.store.check_in(agent.id, CheckIn { at: now, status }).await?;
    let Some(seen) = seen else {
        return Err(Failure::usage(
            format!("{} is gone", shown(&agent.name)),
            "See windlass agents list.",
        ));
    };
    if output.json() {
        output.value(&json!({"checkedIn": true, "agent": as_json(&records, &seen, now)}))?;
    } else {
        output.line(&format!("{} is {}", shown(&seen.name), seen.status))?;
    }
    Ok(Exit::Ok)
}

impl TokenArgs {
    fn read(&self) -> Result<windlass_protocol::Secret, Failure> {
        let (place, source) = match (&self.token_env, &self.token_file) {
            (Some(name), _) => ("flag --token-env", SecretSource::Env(name.clone())),
            (None, Some(path)) => ("flag --token-file", SecretSource::File(path.clone())),
            (None, None) => return Err(Failure::usage("no token is given", "Give --token-env or --token-file.")),
        };
        let variable = |name: &str| std::env::var_os(name);
        let environment = Environment {
            variable: &variable,
            folder: std::env::current_dir().unwrap_or_default(),
        };
        Ok(GivenSecret::Stored(source).read(place, &environment)?)
    }
}
