//! `windlass tokens`: tokens of people and programs that call the service.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use windlass::store::{ApiTokens as _, Timestamp};
use windlass_operations::Role;
use windlass_operations::tokens::{self, TokenInput, TokenView};

use crate::change::caller;
use crate::columns::{Cell, TextTable};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{BAD, GOOD, Output};
use crate::store::{self, Missing, now, random, short, shown};
use crate::text::span;
use crate::units::parse_age;

/// Manage tokens for windlass serve
///
/// A token lets a person or program call the service over HTTP. The store holds its hash only.
#[derive(Debug, Args)]
pub(crate) struct TokensArgs {
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Debug, Subcommand)]
enum TokensCommand {
    Create(TokensCreateArgs),
    /// List all tokens with their roles and last use
    List,
    /// Revoke a token; requests with it are refused within seconds
    Revoke {
        /// The token, by its name or id
        #[arg(value_name = "TOKEN")]
        token: String,
    },
}

/// Create a token and print it, this once
#[derive(Debug, Args)]
#[command(after_help = "\
Roles:
  viewer    reads everything
  operator  reads, sends messages, provisions agents
  approver  reads, and resolves approvals and pairings
  admin     does everything")]
struct TokensCreateArgs {
    /// The name of the person or program that gets it; it stands in the audit trail
    name: String,
    /// The rights: viewer, operator, approver or admin
    #[arg(long, value_name = "ROLE", value_parser = role)]
    role: Role,
    /// The time after which it expires, for example 12h or 30d [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_age)]
    expires: Option<Duration>,
}

fn role(text: &str) -> Result<Role, String> {
    text.parse().map_err(|error| format!("it {error}"))
}

pub(crate) async fn run(global: &Global, args: TokensArgs, output: &Output) -> Result<ExitCode, Failure> {
    match args.command {
        TokensCommand::Create(args) => create(global, args, output).await,
        TokensCommand::List => list(global, output).await,
        TokensCommand::Revoke { token } => revoke(global, &token, output).await,
    }
}

async fn create(global: &Global, args: TokensCreateArgs, output: &Output) -> Result<ExitCode, Failure> {
    let store = store::open(global, Missing::Make).await?;
    let input = TokenInput {
        name: args.name,
        role: args.role,
        expires_in_s: args.expires.map(|life| life.as_secs()),
    };
    let made = tokens::create(&*store, &caller(), input, (random()?, random()?), now()).await?;
    if output.json() {
        let mut value = as_json(&made.record);
        value["token"] = json!(made.token);
        output.value(&value)?;
    } else {
        output.note(&format!(
            "token {} with the role {}; it is not shown again:",
            shown(&made.record.name),
            made.record.role
        ));
        output.line(&made.token)?;
    }
    Ok(ExitCode::Ok)
}

async fn list(global: &Global, output: &Output) -> Result<ExitCode, Failure> {
    let store = store::open(global, Missing::Refuse).await?;
    let all = tokens::list(&*store, &caller()).await?.items;
    if output.json() {
        let rows: Vec<Value> = all.iter().map(as_json).collect();
        output.value(&json!({"tokens": rows}))?;
        return Ok(ExitCode::Ok);
    }
    let now = now();
    let rows: Vec<Vec<Cell>> = all.iter().map(|token| row(token, now)).collect();
    let headings = ["TOKEN", "ROLE", "STATE", "EXPIRES", "LAST USED", "ID"];
    let table = TextTable::new(&headings, &rows).spare(&["EXPIRES", "ID"]);
    output.line(&table.lines(output.width()).join("\n"))?;
    Ok(ExitCode::Ok)
}

async fn revoke(global: &Global, token: &str, output: &Output) -> Result<ExitCode, Failure> {
    let store = store::open(global, Missing::Refuse).await?;
    let all = store.api_tokens().await?;
    let mut begins = all.iter().filter(|known| {
        token.len() >= store::SHORTEST_PREFIX && known.id.to_string().starts_with(&token.to_lowercase())
    });
    // Tables show the beginning of an id, and any unique one names its token.
    let named = match (begins.next(), begins.next()) {
        (Some(one), None) => one.id.to_string(),
        _ => token.to_owned(),
    };
    let revoked = tokens::revoke(&*store, &caller(), &named, now()).await?;
    if output.json() {
        output.value(&as_json(&revoked))?;
    } else {
        output.line(&format!("token {} revoked", shown(&revoked.name)))?;
    }
    Ok(ExitCode::Ok)
}

fn row(token: &TokenView, now: Timestamp) -> Vec<Cell> {
    let dash = || "-".to_owned();
    let is_over = token.expires_at.is_some_and(|end| end <= now);
    let state = match (token.revoked_at, is_over) {
        (Some(_), _) => Cell::styled("revoked", BAD),
        (None, true) => Cell::styled("expired", BAD),
        (None, false) => Cell::styled("valid", GOOD),
    };
    let left = |end: Timestamp| {
        if end > now {
            format!("in {}", span(end.saturating_duration_since(now)))
        } else {
            "over".to_owned()
        }
    };
    let ago = |used: Timestamp| format!("{} ago", span(now.saturating_duration_since(used)));
    vec![
        Cell::plain(shown(&token.name)),
        Cell::plain(token.role),
        state,
        Cell::plain(token.expires_at.map_or_else(dash, left)),
        Cell::plain(token.last_used_at.map_or_else(dash, ago)),
        Cell::plain(short(&token.id)),
    ]
}

fn as_json(token: &TokenView) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "role": token.role,
        "createdAt": token.created_at,
        "expiresAt": token.expires_at,
        "lastUsedAt": token.last_used_at,
        "revokedAt": token.revoked_at,
    })
}
