//! `windlass gateways list`.

use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use serde_json::{Value, json};
use windlass::TlsPolicy;
use windlass::agents::control_plane_of;
use windlass::store::Gateway;
use windlass_protocol::{Advice, Advise as _, Verdict};

use crate::agents::context::CONNECT;
use crate::columns::{Cell, TextTable};
use crate::config::{FILE_NAME, GatewayConfig, MalformedEntry};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::{BAD, GOOD, Output, WARN, advice_lines};
use crate::session::{self, Patience, Setup, Target};
use crate::store::{self, Missing, Records, is_there, short, shown, shown_url};
use crate::units::parse_span;

/// List gateways; with --check connect and show their releases
#[derive(Debug, Args)]
pub(crate) struct GatewaysListArgs {
    /// Only these gateways, by name or id
    gateways: Vec<String>,
    /// Connect, and show each release and whether it is supported
    #[arg(long)]
    check: bool,
    /// Wait this long for gateways that do not answer [default: 15s]
    #[arg(long, value_name = "TIME", value_parser = parse_span, requires = "check")]
    timeout: Option<Duration>,
}

/// The gateways of the store and those of the configuration, as far as they are named.
struct GatewayList {
    /// Missing where there is no store.
    records: Option<Records>,
    configured: Vec<GatewayConfig>,
    malformed: Vec<MalformedEntry>,
}

/// The result of connecting to a gateway.
enum Checked {
    Verdict(Verdict),
    Down(ExitCode, Advice),
}

pub(crate) async fn run(global: &Global, args: GatewaysListArgs, output: &Output) -> Result<ExitCode, Failure> {
    let mut global = global.clone();
    global.gateway.extend(args.gateways);
    let listed = GatewayList::read(&global, output).await?;
    if !args.check {
        return listed.show(output);
    }
    let (rows, exit) = check(&global, args.timeout.unwrap_or(CONNECT), output).await?;
    listed.show_checked(&rows, output)?;
    Ok(exit)
}

/// A row of the checked list: the gateway's name, its line's id (none for a malformed entry), its address, and the result.
struct CheckedRow {
    name: String,
    line: Option<String>,
    url: String,
    checked: Checked,
}

async fn check(global: &Global, limit: Duration, output: &Output) -> Result<(Vec<CheckedRow>, ExitCode), Failure> {
    let Setup {
        targets,
        tokens,
        unusable,
        ..
    } = session::prepare_listed(global, output).await?;
    let (windlass, gateways) = session::open(&targets, tokens).await?;
    let rows = targets.iter().zip(&gateways).map(|(target, gateway)| async move {
        CheckedRow {
            name: target.name.clone(),
            line: Some(target.id.to_string()),
            url: shown(&target.endpoint.to_string()),
            checked: release_of(target, gateway, limit, output).await,
        }
    });
    let mut rows = join_all(rows).await;
    session::close(windlass).await;
    for (place, gateway) in unusable {
        let row = CheckedRow {
            name: gateway.name,
            line: gateway.id.map(|id| id.to_string()),
            url: gateway.endpoint.map_or_else(|| "-".into(), |at| shown(&at.to_string())),
            checked: Checked::Down(ExitCode::Usage, gateway.why),
        };
        rows.insert(place, row);
    }
    let exit = rows.iter().map(|row| row.checked.exit()).max().unwrap_or(ExitCode::Ok);
    Ok((rows, exit))
}

async fn release_of(target: &Target, gateway: &windlass::Gateway, limit: Duration, output: &Output) -> Checked {
    let status = session::settle(gateway, &target.name, Patience::All, limit, output).await;
    if !status.is_up() {
        let (exit, advice) = session::exit_and_advice(target, &status);
        return Checked::Down(exit, advice);
    }
    match tokio::time::timeout(limit, control_plane_of(gateway).verdict()).await {
        Ok(Ok(verdict)) => Checked::Verdict(verdict),
        Ok(Err(error)) => Checked::Down(ExitCode::Rejected, error.advice()),
        Err(_) => Checked::Down(
            ExitCode::Unknown,
            Advice::new(
                "The gateway does not tell its release in time.",
                "Give a longer --timeout.",
            ),
        ),
    }
}

impl Checked {
    const fn exit(&self) -> ExitCode {
        match self {
            Self::Verdict(Verdict::Supported { .. }) => ExitCode::Ok,
            Self::Verdict(_) => ExitCode::Refused,
            Self::Down(exit, _) => *exit,
        }
    }

    fn cell(&self) -> Cell {
        match self {
            Self::Verdict(verdict @ Verdict::Supported { .. }) => Cell::styled(verdict, GOOD),
            Self::Verdict(verdict @ Verdict::TooOld { .. }) => Cell::styled(verdict, BAD),
            Self::Verdict(verdict) => Cell::styled(verdict, WARN),
            Self::Down(ExitCode::Refused, _) => Cell::styled("refuses us", BAD),
            Self::Down(ExitCode::Usage, _) => Cell::styled("not set up", BAD),
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
            Self::Down(ExitCode::Usage, _) => ("misconfigured", None),
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

impl GatewayList {
    async fn read(global: &Global, output: &Output) -> Result<Self, Failure> {
        store::refuse_url(global)?;
        let (mut configured, mut malformed) = session::configured(global).unwrap_or_else(|error| {
            // A list of records is of use without the configuration.
            output.note(&error.to_string());
            Default::default()
        });
        let is_configured = |name: &String| {
            configured.iter().any(|gateway| gateway.is_called(name))
                || malformed.iter().any(|entry| entry.name == *name)
        };
        let names = &global.gateway;
        let is_enough = if names.is_empty() {
            !configured.is_empty() || !malformed.is_empty()
        } else {
            names.iter().all(is_configured)
        };
        if !is_there(global) && is_enough {
            return Ok(Self {
                records: None,
                configured,
                malformed,
            });
        }
        let mut records = Records::open_all(global, Missing::Refuse).await?;
        if !names.is_empty() {
            let mut chosen = Vec::new();
            for name in names {
                match records.gateway(name) {
                    Ok(gateway) => chosen.push(gateway.id),
                    Err(_) if is_configured(name) => {}
                    Err(failure) => return Err(failure),
                }
            }
            records.narrow(&chosen);
        }
        configured.sort_by(|one, other| one.name.cmp(&other.name));
        malformed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self {
            records: Some(records),
            configured,
            malformed,
        })
    }

    /// The records, and below them the gateways of the configuration.
    fn show(&self, output: &Output) -> Result<ExitCode, Failure> {
        let recorded = || {
            let records = self.records.iter();
            records.flat_map(|records| records.gateways.iter().map(move |gateway| (records, gateway)))
        };
        let exit = if self.malformed.is_empty() {
            ExitCode::Ok
        } else {
            ExitCode::Usage
        };
        if output.json() {
            let recorded = recorded().map(|(records, gateway)| as_json(records, gateway));
            let configured = self.configured.iter().map(configured_as_json);
            let malformed = self.malformed.iter().map(malformed_as_json);
            let rows: Vec<_> = recorded.chain(configured).chain(malformed).collect();
            output.value(&json!({"gateways": rows}))?;
            return Ok(exit);
        }
        let recorded = recorded().map(|(records, gateway)| row(records, gateway));
        let mut rows: Vec<Vec<Cell>> = recorded.chain(self.configured.iter().map(configured_row)).collect();
        let usable = rows.len();
        rows.extend(self.malformed.iter().map(malformed_row));
        let headings = ["GATEWAY", "URL", "TOKEN", "WORKSPACES", "TLS", "BOARDS", "AGENTS", "ID"];
        let table = TextTable::new(&headings, &rows).spare(&["TLS", "WORKSPACES", "BOARDS", "AGENTS", "TOKEN", "ID"]);
        let lines = table.lines_with(output.width(), |index| match index.checked_sub(usable) {
            Some(index) => advice_lines(&Advice::new(self.malformed[index].error.to_string(), "")),
            None => Vec::new(),
        });
        output.line(&lines.join("\n"))?;
        Ok(exit)
    }

    fn show_checked(&self, rows: &[CheckedRow], output: &Output) -> Result<(), Failure> {
        let record = |row: &CheckedRow| {
            let records = self.records.as_ref()?;
            let has_line = |gateway: &&Gateway| Some(gateway.id.to_string()) == row.line;
            Some((records, records.gateways.iter().find(has_line)?))
        };
        if output.json() {
            let as_json = |row: &CheckedRow| {
                let mut value = match record(row) {
                    Some((records, gateway)) => as_json(records, gateway),
                    None => self.unrecorded_as_json(row),
                };
                value["check"] = row.checked.as_json();
                value
            };
            let rows: Vec<_> = rows.iter().map(as_json).collect();
            output.value(&json!({"gateways": rows}))?;
            return Ok(());
        }
        let cells = |row: &CheckedRow| {
            let id = record(row).map_or_else(|| FILE_NAME.to_owned(), |(_, gateway)| short(gateway.id));
            vec![
                Cell::plain(&row.name),
                Cell::plain(&row.url),
                row.checked.cell(),
                Cell::plain(id),
            ]
        };
        let cells: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
        let table = TextTable::new(&["GATEWAY", "URL", "RELEASE", "ID"], &cells).spare(&["ID", "URL"]);
        let lines = table.lines_with(output.width(), |index| {
            rows[index].checked.advice().iter().flat_map(advice_lines).collect()
        });
        output.line(&lines.join("\n"))?;
        Ok(())
    }

    fn unrecorded_as_json(&self, row: &CheckedRow) -> Value {
        let has_line = |gateway: &&GatewayConfig| Some(gateway.id.to_string()) == row.line;
        if let Some(gateway) = self.configured.iter().find(has_line) {
            return configured_as_json(gateway);
        }
        match self.malformed.iter().find(|entry| shown(&entry.name) == row.name) {
            Some(entry) => malformed_as_json(entry),
            // It came between the two looks at the list.
            None => json!({"source": "file", "name": row.name, "url": row.url}),
        }
    }
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
fn configured_row(gateway: &GatewayConfig) -> Vec<Cell> {
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

fn malformed_row(entry: &MalformedEntry) -> Vec<Cell> {
    let mut cells = vec![Cell::plain(shown(&entry.name)), Cell::styled("not set up", BAD)];
    cells.resize(7, Cell::plain("-"));
    cells.push(Cell::plain(FILE_NAME));
    cells
}

fn configured_as_json(gateway: &GatewayConfig) -> Value {
    json!({
        "source": "file",
        "name": gateway.name,
        "url": gateway.endpoint.to_string(),
        "token": gateway.token.as_ref().map(|token| token.value.reference()),
        "controlUi": gateway.control_ui,
    })
}

fn malformed_as_json(entry: &MalformedEntry) -> Value {
    json!({"source": "file", "name": entry.name, "error": entry.error.to_string()})
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

pub(crate) fn as_json(records: &Records, gateway: &Gateway) -> Value {
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
