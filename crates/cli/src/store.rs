//! The store of the commands, and its records by name.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::TryRng as _;
use rand::rngs::SysRng;
use windlass::Endpoint;
use windlass::sqlite::SqliteStore;
use windlass::store::limits::NAME_CHARS;
use windlass::store::{
    Agent, AgentFilter, AgentUid, Board, BoardFilter, BoardId, Gateway, GatewayUid, Organization, Store, StoreError,
    Timestamp,
};
use windlass_line::{Clock as _, TokioClock};

use crate::exit::{Failure, with_causes};
use crate::global::Global;
use crate::text::escaped;

/// The action where there is no store yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Make it: the command is one that begins with nothing.
    Make,
    /// Say so: the command needs records, so the store's name is likely wrong.
    Refuse,
}

/// The records, read for one command.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) gateways: Vec<Gateway>,
    pub(crate) boards: Vec<Board>,
    pub(crate) agents: Vec<Agent>,
}

/// The present.
pub(crate) fn now() -> Timestamp {
    Timestamp::from(TokioClock::start().wall())
}

/// A record's name, harmless on a terminal.
pub(crate) fn shown(name: &str) -> String {
    escaped(name, NAME_CHARS)
}

/// A record's address as it may be shown: its path may be a secret.
pub(crate) fn shown_url(url: &str) -> String {
    Endpoint::parse(url).map_or_else(|error| error.to_string(), |endpoint| shown(&endpoint.to_string()))
}

/// Opens the store that the flags name, for a command that works with none of its gateways. The flags that choose gateways mean
/// nothing here and are refused.
pub(crate) async fn open(global: &Global, missing: Missing) -> Result<Arc<SqliteStore>, Failure> {
    if global.gateway.is_empty() {
        refuse_line_flags(global)?;
        return open_any(global, missing).await;
    }
    Err(Failure::usage(
        "--gateway chooses among the gateways that are there; this command works with none of them",
        "Remove the flag.",
    ))
}

/// The records of gateways, for a command that only looks: no store is made where there is none.
///
/// # Errors
/// In words, why they can't be read.
pub(crate) async fn recorded_gateways(global: &Global) -> Result<Vec<Gateway>, String> {
    let Ok(path) = path(global) else { return Ok(Vec::new()) };
    if !path.exists() {
        return Ok(Vec::new());
    }
    let unread = |error: &dyn std::error::Error| format!("{}: {}", path.display(), with_causes(error));
    let store = SqliteStore::open(&path).await.map_err(|error| unread(&error))?;
    let gateways = windlass::store::Gateways::gateways(&store, None).await;
    // What was read counts, however the store is left.
    let _ = Store::close(&store).await;
    gateways.map_err(|error| unread(&error))
}

/// Whether there is a store where the flags say.
pub(crate) fn is_there(global: &Global) -> bool {
    path(global).is_ok_and(|path| path.exists())
}

/// Opens the store that the flags name, for a command that works with lines too.
pub(crate) async fn open_any(global: &Global, missing: Missing) -> Result<Arc<SqliteStore>, Failure> {
    let path = path(global)?;
    if !path.exists() {
        if missing == Missing::Refuse {
            return Err(Failure::usage(
                format!("{}: the store does not exist", path.display()),
                "Make it with windlass gateways add, or name another with --store (or WINDLASS_STORE).",
            ));
        }
        make_folder(&path).map_err(|error| {
            Failure::usage(
                format!("the folder of {} can't be made: {error}", path.display()),
                "Name a store in a folder of yours with --store.",
            )
        })?;
    }
    let store = SqliteStore::open(&path).await?;
    for change in store.renamed() {
        let (from, to) = (shown(&change.from), shown(&change.to));
        tracing::warn!(
            id = change.id,
            "{} {from:?} is called {to:?} from now on: an older one has the same name",
            change.what
        );
    }
    Ok(Arc::new(store))
}

fn refuse_line_flags(global: &Global) -> Result<(), Failure> {
    refuse(&[
        ("--url", global.url.is_some()),
        ("--config", global.config.is_some()),
        ("--ask-token", global.ask_token),
    ])
}

/// Refuses `--url`, for a command about gateways that are listed.
pub(crate) fn refuse_url(global: &Global) -> Result<(), Failure> {
    refuse(&[("--url", global.url.is_some())])
}

fn refuse(flags: &[(&str, bool)]) -> Result<(), Failure> {
    match flags.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((flag, _)) => Err(Failure::usage(
            format!("{flag} is not taken here: this command works with the gateways of the store"),
            "Remove the flag; --gateway chooses among them.",
        )),
    }
}

/// The path of the store that the flags name.
pub(crate) fn path(global: &Global) -> Result<PathBuf, Failure> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|folder| !folder.is_empty())
            .map(PathBuf::from)
    };
    if let Some(path) = &global.store {
        return Ok(path.clone());
    }
    // A relative folder counts as none, as the specification of these folders has it.
    let data = folder("XDG_DATA_HOME").filter(|folder| folder.is_absolute());
    let data = data.or_else(|| Some(folder("HOME")?.join(".local/share")));
    data.map(|data| data.join("windlass/windlass.db")).ok_or_else(|| {
        Failure::usage(
            "there is no place for the store: neither HOME nor XDG_DATA_HOME is set",
            "Name a file with --store (or WINDLASS_STORE).",
        )
    })
}

fn make_folder(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else {
        return Ok(());
    };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The organization that everything belongs to; made at the first use.
pub(crate) async fn organization(store: &dyn Store) -> Result<Organization, Failure> {
    Ok(windlass_operations::gateway_records::organization(store, random()?).await?)
}

impl Records {
    /// Reads all there is.
    pub(crate) async fn read(store: Arc<SqliteStore>) -> Result<Self, StoreError> {
        Ok(Self {
            gateways: windlass::store::Gateways::gateways(&*store, None).await?,
            boards: windlass::store::Boards::boards(&*store, &BoardFilter::default()).await?,
            agents: windlass::store::Agents::agents(&*store, &AgentFilter::default()).await?,
            store,
        })
    }

    /// Opens the store and reads all of it.
    pub(crate) async fn open_all(global: &Global, missing: Missing) -> Result<Self, Failure> {
        Ok(Self::read(open_any(global, missing).await?).await?)
    }

    /// Opens the store and reads it. With `--gateway`, only those gateways with their boards and agents.
    pub(crate) async fn open(global: &Global, missing: Missing) -> Result<Self, Failure> {
        refuse_line_flags(global)?;
        let mut records = Self::open_all(global, missing).await?;
        if !global.gateway.is_empty() {
            let chosen: Result<Vec<_>, _> = global
                .gateway
                .iter()
                .map(|name| records.gateway(name).map(|one| one.id))
                .collect();
            records.narrow(&chosen?);
        }
        Ok(records)
    }

    /// Leaves only these gateways, and the boards and agents on them.
    pub(crate) fn narrow(&mut self, chosen: &[GatewayUid]) {
        self.gateways.retain(|gateway| chosen.contains(&gateway.id));
        self.boards
            .retain(|board| board.gateway_id.is_some_and(|id| chosen.contains(&id)));
        self.agents.retain(|agent| chosen.contains(&agent.gateway_id));
    }

    /// The gateway that a text names.
    pub(crate) fn gateway(&self, text: &str) -> Result<&Gateway, Failure> {
        let found = named(text, &self.gateways, |gateway| (gateway.id.to_string(), &gateway.name));
        if found.is_empty() && !self.gateways.is_empty() {
            let known: Vec<_> = self.gateways.iter().map(|gateway| shown(&gateway.name)).collect();
            return Err(Failure::usage(
                format!(
                    "the store has no gateway {:?}; it has {}",
                    shown(text),
                    known.join(", ")
                ),
                "Agents live on recorded gateways: windlass gateways add records one.",
            ));
        }
        one("gateway", text, &found, |gateway| {
            format!(
                "{} ({}, {})",
                shown(&gateway.name),
                short(gateway.id),
                shown(&gateway.url)
            )
        })
    }

    /// The gateway, where there is only one.
    pub(crate) fn only_gateway(&self) -> Result<&Gateway, Failure> {
        match self.gateways.as_slice() {
            [one] => Ok(one),
            [] => Err(Failure::usage(
                "The store has no gateway.",
                "Record one: windlass gateways add.",
            )),
            several => {
                let names: Vec<_> = several.iter().map(|gateway| shown(&gateway.name)).collect();
                Err(Failure::usage(
                    format!("The store has {} gateways: {}", names.len(), names.join(", ")),
                    "Say which with --on GATEWAY.",
                ))
            }
        }
    }

    /// The board that a text names.
    pub(crate) fn board(&self, text: &str) -> Result<&Board, Failure> {
        let found = named(text, &self.boards, |board| (board.id.to_string(), &board.name));
        one("board", text, &found, |board| {
            format!("{} ({})", shown(&board.name), short(board.id))
        })
    }

    /// The agent that a text names.
    pub(crate) fn agent(&self, text: &str) -> Result<&Agent, Failure> {
        let found = named(text, &self.agents, |agent| (agent.id.to_string(), &agent.name));
        one("agent", text, &found, |agent| {
            let place = self.place_of(agent);
            format!(
                "{} ({}, {} of {place})",
                shown(&agent.name),
                short(agent.id),
                agent.role()
            )
        })
    }

    /// The agents that texts name, each once, or all there are.
    pub(crate) fn chosen(&self, names: &[String], all: bool) -> Result<Vec<&Agent>, Failure> {
        if all {
            return Ok(self.agents.iter().collect());
        }
        let mut chosen: Vec<&Agent> = Vec::with_capacity(names.len());
        for name in names {
            let agent = self.agent(name)?;
            if chosen.iter().all(|other| other.id != agent.id) {
                chosen.push(agent);
            }
        }
        Ok(chosen)
    }

    /// The board's name of an agent, or its gateway's.
    pub(crate) fn place_of(&self, agent: &Agent) -> String {
        match agent.board_id {
            Some(board) => self.board_name(board),
            None => self.gateway_name(agent.gateway_id),
        }
    }

    /// A board's name.
    pub(crate) fn board_name(&self, id: BoardId) -> String {
        let board = self.boards.iter().find(|board| board.id == id);
        board.map_or_else(|| short(id), |board| shown(&board.name))
    }

    /// A gateway's name.
    pub(crate) fn gateway_name(&self, id: GatewayUid) -> String {
        let gateway = self.gateways.iter().find(|gateway| gateway.id == id);
        gateway.map_or_else(|| short(id), |gateway| shown(&gateway.name))
    }

    /// An agent's name.
    pub(crate) fn agent_name(&self, id: AgentUid) -> String {
        let agent = self.agents.iter().find(|agent| agent.id == id);
        agent.map_or_else(|| short(id), |agent| shown(&agent.name))
    }

    /// The gateways on which these agents live.
    pub(crate) fn gateways_of(&self, agents: &[&Agent]) -> Vec<Gateway> {
        let lives_there = |gateway: &&Gateway| agents.iter().any(|agent| agent.gateway_id == gateway.id);
        self.gateways.iter().filter(lives_there).cloned().collect()
    }
}

/// The records that a text names: the one with this id; else all with this name (ignoring case) or with an id that begins with it.
fn named<'a, T>(text: &str, all: &'a [T], keys: impl Fn(&T) -> (String, &String)) -> Vec<&'a T> {
    let wanted = text.trim().to_lowercase();
    if let Some(exact) = all.iter().find(|record| keys(record).0 == wanted) {
        return vec![exact];
    }
    let fits = |record: &&T| {
        let (id, name) = keys(record);
        name.trim().to_lowercase() == wanted || (wanted.len() >= SHORTEST_PREFIX && id.starts_with(&wanted))
    };
    all.iter().filter(fits).collect()
}

fn one<'a, T>(
    what: &'static str,
    text: &str,
    found: &[&'a T],
    describe: impl Fn(&T) -> String,
) -> Result<&'a T, Failure> {
    match found {
        [one] => Ok(one),
        [] => Err(Failure::usage(
            format!("there is no {what} {:?}", shown(text)),
            match what {
                "gateway" => "See windlass gateways list.",
                "board" => "See windlass boards list.",
                _ => "See windlass agents list.",
            },
        )),
        several => {
            let candidates: Vec<String> = several.iter().map(|record| describe(record)).collect();
            Err(Failure::usage(
                format!(
                    "{:?} names {} {what}s: {}",
                    shown(text),
                    several.len(),
                    candidates.join(", ")
                ),
                "Use its id; a unique beginning is enough.",
            ))
        }
    }
}

/// Shortest beginning of an id that is taken for the id: shorter ones are more likely meant as names.
pub(crate) const SHORTEST_PREFIX: usize = 4;

/// How much of an id tables show; any unique beginning names the record.
pub(crate) const SHOWN_ID: usize = 8;

/// The first characters of an id, which name its record as long as no other begins so.
pub(crate) fn short(id: impl Display) -> String {
    id.to_string().chars().take(SHOWN_ID).collect()
}

/// An id for a new record.
pub(crate) fn new_id<T>(make: fn([u8; 16]) -> T) -> Result<T, Failure> {
    Ok(make(random()?))
}

/// Bytes of the system's randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    SysRng.try_fill_bytes(&mut bytes).map_err(|error| {
        Failure::usage(
            format!("The system's random numbers can't be read: {error}"),
            "Check /dev/urandom.",
        )
    })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records() -> Vec<(String, String)> {
        [
            ("aaaa1111-0000-4000-8000-000000000000", "Stoker"),
            ("aaaa2222-0000-4000-8000-000000000000", "Stoker"),
            ("bbbb1111-0000-4000-8000-000000000000", "aaaa1111"),
        ]
        .map(|(id, name)| (id.to_owned(), name.to_owned()))
        .into()
    }

    fn found(text: &str) -> Vec<usize> {
        let records = records();
        let hits = named(text, &records, |record| (record.0.clone(), &record.1));
        hits.iter()
            .map(|hit| records.iter().position(|record| record == *hit).unwrap())
            .collect()
    }

    #[test]
    fn a_record_is_named_by_id_by_a_beginning_of_it_or_by_name() {
        assert_eq!(found("AAAA2222-0000-4000-8000-000000000000"), [1]);
        assert_eq!(found("aaaa2"), [1]);
        assert_eq!(found(" stoker "), [0, 1], "two of the same name");
        assert_eq!(found("aaaa1111"), [0, 2], "a name that looks like an id");
        assert_eq!(found("aaa"), [] as [usize; 0], "too short to be meant as an id");
    }

    #[test]
    fn a_name_that_fits_several_is_an_error_with_the_candidates() {
        let records = records();
        let hits: Vec<&(String, String)> = records.iter().take(2).collect();
        let Err(Failure::Told(_, advice)) = one("agent", "stoker", &hits, |record| short(&record.0)) else {
            panic!("two are not one");
        };
        assert!(advice.summary.contains("aaaa1111, aaaa2222"), "{advice}");
    }
}
