//! `windlass gateways list`.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde_json::{Value, json};
use windlass::TlsPolicy;
use windlass::store::{Gateway, Store};
use windlass_protocol::{Advice, Advise as _, Verdict};

use crate::columns::{Cell, Table};
use crate::config::{FILE_NAME, GatewayConfig, parse_span};
use crate::exit::{Exit, Failure};
use crate::fleet::{CONNECT, Host};
use crate::global::Global;
use crate::ids::short;
use crate::output::{BAD, GOOD, Output, WARN, advice_lines};
use crate::session;
use crate::store::{Missing, Records, is_there, shown, shown_url};

/// Show gateways, and with --check what release they are and whether it is supported
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// These only, by name or id
    gateways: Vec<String>,
    /// Connect to them and tell their releases
    #[arg(long)]
    check: bool,
    /// Wait so long for gateways that do not answer [default: 15s]
    #[arg(long, value_name = "TIME", value_parser = parse_span, requires = "check")]
    timeout: Option<Duration>,
}

/// What a gateway says of itself.
enum Checked {
    Verdict(Verdict),
    Down(Exit, Advice),
}

pub(super) async fn run(global: &Global, args: ListArgs, output: &Output) -> Result<Exit, Failure> {
    // A list of records is of use without the configuration.
    let listed = session::configured(global).unwrap_or_else(|error| {
        output.note(&error.to_string());
        Vec::new()
    });
    if !listed.is_empty() && !args.check && args.gateways.is_empty() && !is_there(global) {
        return show(None, &[], &listed, output);
    }
    let records = Records::open(global, Missing::Refuse).await?;
    let chosen: Vec<Gateway> = if args.gateways.is_empty() {
        records.gateways.clone()
    } else {
        let named: Result<Vec<_>, _> = args
            .gateways
            .iter()
            .map(|name| records.gateway(name).cloned())
            .collect();
        named?
    };
    if !args.check {
        let listed = if args.gateways.is_empty() { listed } else { Vec::new() };
        return show(Some(&records), &chosen, &listed, output);
    }
    let checked = check(&records, &chosen, args.timeout.unwrap_or(CONNECT), output).await?;
    show_checked(&records, &chosen, &checked, output)?;
    Ok(checked.iter().map(Checked::exit).max().unwrap_or(Exit::Ok))
}

async fn check(
    records: &Records,
    gateways: &[Gateway],
    limit: Duration,
    output: &Output,
) -> Result<Vec<Checked>, Failure> {
    let host = Host::start(gateways)?;
    let store = Arc::clone(&records.store) as Arc<dyn Store>;
    let mut builder = host.windlass.agents(store);
    if let Some(device) = &host.device {
        builder = builder.device(Arc::clone(device));
    }
    let agents = builder.preview().await?;
    let checked = join_all(gateways.iter().map(|gateway| async {
        let plane = agents.control_plane(gateway).await;
        let plane = match host.settle(gateway, plane, limit, output).await {
            Ok(plane) => plane,
            Err(down) => return Checked::Down(down.exit, down.advice),
        };
        match tokio::time::timeout(limit, plane.verdict()).await {
            Ok(Ok(verdict)) => Checked::Verdict(verdict),
            Ok(Err(error)) => Checked::Down(Exit::Rejected, error.advice()),
            Err(_) => Checked::Down(
                Exit::Unknown,
                Advice::new(
                    "The gateway does not tell its release in time.",
                    "Give a longer --timeout.",
                ),
            ),
        }
    }))
    .await;
    drop(agents);
    host.close().await;
    Ok(checked)
}

impl Checked {
    const fn exit(&self) -> Exit {
        match self {
            Self::Verdict(Verdict::Supported { .. }) => Exit::Ok,
            Self::Verdict(_) => Exit::Refused,
            Self::Down(exit, _) => *exit,
        }
    }

    fn cell(&self) -> Cell {
        match self {
            Self::Verdict(verdict @ Verdict::Supported { .. }) => Cell::styled(verdict, GOOD),
            Self::Verdict(verdict @ Verdict::TooOld { .. }) => Cell::styled(verdict, BAD),
            Self::Verdict(verdict) => Cell::styled(verdict, WARN),
            Self::Down(Exit::Refused, _) => Cell::styled("refuses us", BAD),
            Self::Down(..) => Cell::styled("not reached", BAD),
        }
    }

    fn advice(&self) -> Option<Advice> {
        match self {
            Self::Verdict(Verdict::Supported { .. }) => None,
            Self::Verdict(verdict) => Some(verdict.advice()),
            Self::Down(_, advice) => Some(advice.clone()),
        }
    }

    fn as_json(&self) -> Value {
        let (name, version) = match self {
            Self::Verdict(Verdict::Supported { version }) => ("supported", Some(version.to_string())),
            Self::Verdict(Verdict::TooOld { version, .. }) => ("tooOld", Some(version.to_string())),
            Self::Verdict(_) => ("unknown", None),
            Self::Down(..) => ("notReached", None),
        };
        let advice = self.advice();
        json!({
            "verdict": name,
            "version": version,
            "summary": advice.as_ref().map(|advice| &advice.summary),
            "nextStep": advice.as_ref().map(|advice| &advice.next_step),
        })
    }
}

/// The records, and behind them the gateways of the configuration.
fn show(
    records: Option<&Records>,
    gateways: &[Gateway],
    listed: &[GatewayConfig],
    output: &Output,
) -> Result<Exit, Failure> {
    if output.json() {
        let recorded = records
            .iter()
            .flat_map(|records| gateways.iter().map(|gateway| as_json(records, gateway)));
        let rows: Vec<_> = recorded.chain(listed.iter().map(listed_as_json)).collect();
        output.value(&json!({"gateways": rows}))?;
        return Ok(Exit::Ok);
    }
    let recorded = records
        .iter()
        .flat_map(|records| gateways.iter().map(|gateway| row(records, gateway)));
    let rows: Vec<Vec<Cell>> = recorded.chain(listed.iter().map(listed_row)).collect();
    let headings = ["GATEWAY", "URL", "TOKEN", "WORKSPACES", "TLS", "BOARDS", "AGENTS", "ID"];
    let table = Table::new(&headings, &rows).spare(&["TLS", "WORKSPACES", "BOARDS", "AGENTS", "TOKEN", "ID"]);
    output.line(&table.lines(output.width()).join("\n"))?;
    Ok(Exit::Ok)
}

fn row(records: &Records, gateway: &Gateway) -> Vec<Cell> {
    let dash = || "-".to_owned();
    let token = gateway.token.as_ref().map_or_else(dash, ToString::to_string);
    let (boards, agents) = counts(records, gateway);
    vec![
        Cell::plain(shown(&gateway.name)),
        Cell::plain(shown_url(&gateway.url)),
        Cell::plain(shown(&token)),
        Cell::plain(gateway.workspace_root.as_deref().map_or_else(dash, shown)),
        Cell::plain(tls(gateway)),
        Cell::plain(boards),
        Cell::plain(agents),
        Cell::plain(short(gateway.id)),
    ]
}

/// A gateway of the configuration: it has no record, so no agent lives there.
fn listed_row(gateway: &GatewayConfig) -> Vec<Cell> {
    let token = gateway
        .token
        .as_ref()
        .map_or_else(|| "-".to_owned(), |token| token.value.reference());
    let tls = match gateway.tls {
        TlsPolicy::Pinned(_) => "pinned",
        TlsPolicy::Insecure => "insecure",
        TlsPolicy::SystemRoots => "-",
    };
    vec![
        Cell::plain(shown(&gateway.name)),
        Cell::plain(shown(&gateway.endpoint.to_string())),
        Cell::plain(shown(&token)),
        Cell::plain("-"),
        Cell::plain(tls),
        Cell::plain("-"),
        Cell::plain("-"),
        Cell::plain(FILE_NAME),
    ]
}

fn listed_as_json(gateway: &GatewayConfig) -> Value {
    json!({
        "source": "file",
        "name": gateway.name,
        "url": gateway.endpoint.to_string(),
        "token": gateway.token.as_ref().map(|token| token.value.reference()),
        "controlUi": gateway.control_ui,
    })
}

fn show_checked(records: &Records, gateways: &[Gateway], checked: &[Checked], output: &Output) -> Result<(), Failure> {
    let both = || gateways.iter().zip(checked);
    if output.json() {
        let rows: Vec<_> = both()
            .map(|(gateway, checked)| {
                let mut row = as_json(records, gateway);
                row["check"] = checked.as_json();
                row
            })
            .collect();
        output.value(&json!({"gateways": rows}))?;
        return Ok(());
    }
    let rows: Vec<Vec<Cell>> = both()
        .map(|(gateway, checked)| {
            vec![
                Cell::plain(shown(&gateway.name)),
                Cell::plain(shown_url(&gateway.url)),
                checked.cell(),
                Cell::plain(short(gateway.id)),
            ]
        })
        .collect();
    let table = Table::new(&["GATEWAY", "URL", "RELEASE", "ID"], &rows).spare(&["ID", "URL"]);
    let lines = table.lines_with(output.width(), |index| {
        checked[index].advice().iter().flat_map(advice_lines).collect()
    });
    output.line(&lines.join("\n"))?;
    Ok(())
}

const fn tls(gateway: &Gateway) -> &'static str {
    match (&gateway.tls_fingerprint, gateway.allow_insecure_tls) {
        (Some(_), _) => "pinned",
        (None, true) => "insecure",
        (None, false) => "-",
    }
}

/// Boards and agents on it.
fn counts(records: &Records, gateway: &Gateway) -> (usize, usize) {
    let boards = records
        .boards
        .iter()
        .filter(|board| board.gateway_id == Some(gateway.id));
    let agents = records.agents.iter().filter(|agent| agent.gateway_id == gateway.id);
    (boards.count(), agents.count())
}

pub(super) fn as_json(records: &Records, gateway: &Gateway) -> Value {
    let (boards, agents) = counts(records, gateway);
    json!({
        "source": "record",
        "id": gateway.id,
        "name": gateway.name,
        "url": shown_url(&gateway.url),
        "token": gateway.token,
        "workspaceRoot": gateway.workspace_root,
        "baseUrl": gateway.base_url,
        "tlsFingerprint": gateway.tls_fingerprint,
        "insecureTls": gateway.allow_insecure_tls,
        "controlUi": gateway.disable_device_pairing,
        "boards": boards,
        "agents": agents,
        "createdAt": gateway.created_at,
    })
}
