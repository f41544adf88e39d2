//! The names of gateways, in memory: a call by name reads no store.

use std::collections::{BTreeMap, HashMap};
use std::sync::{PoisonError, RwLock};

use windlass::GatewayId;
use windlass_store::{Gateway, GatewayUid};

/// A gateway of a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredGateway {
    /// The id of its line.
    pub id: GatewayId,
    /// Its name in the file.
    pub name: String,
    /// Its address as it may be shown.
    pub url: String,
}

/// Recorded and configured gateways by name and id.
pub(crate) struct Directory {
    configured: Vec<ConfiguredGateway>,
    records: RwLock<RecordIndex>,
}

#[derive(Default)]
struct RecordIndex {
    by_id: BTreeMap<GatewayUid, DirectoryRecord>,
    /// By the name in lower case.
    by_name: HashMap<String, GatewayUid>,
}

struct DirectoryRecord {
    record: Gateway,
    /// Why its line can't be opened.
    problem: Option<String>,
}

/// A gateway that the service knows.
#[derive(Debug, Clone)]
pub(crate) enum DirectoryGateway {
    /// From the store. The text is the reason why its line can't be opened.
    Recorded(Gateway, Option<String>),
    /// From a configuration file.
    Configured(ConfiguredGateway),
}

impl DirectoryGateway {
    /// The name for people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Recorded(record, _) => &record.name,
            Self::Configured(configured) => &configured.name,
        }
    }

    /// The id in the interface: the record's id, or the id of the line.
    pub(crate) fn id(&self) -> String {
        match self {
            Self::Recorded(record, _) => record.id.to_string(),
            Self::Configured(configured) => configured.id.to_string(),
        }
    }

    /// The id of its line.
    pub(crate) fn line_id(&self) -> Option<GatewayId> {
        match self {
            Self::Recorded(record, _) => GatewayId::new(record.id.to_string()).ok(),
            Self::Configured(configured) => Some(configured.id.clone()),
        }
    }
}

impl Directory {
    pub(crate) fn new(configured: Vec<ConfiguredGateway>) -> Self {
        Self {
            configured,
            records: RwLock::new(RecordIndex::default()),
        }
    }

    /// Takes these records as all there are. Returns those that are gone.
    pub(crate) fn replace(&self, all: &[Gateway]) -> Vec<GatewayUid> {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        let mut before = std::mem::take(&mut *records);
        for record in all {
            let problem = before.by_id.remove(&record.id).and_then(|known| known.problem);
            records.put(record.clone(), problem);
        }
        before.by_id.into_keys().collect()
    }

    /// Takes a record that is new or changed.
    pub(crate) fn put(&self, record: &Gateway) {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        records.remove(record.id);
        records.put(record.clone(), None);
    }

    /// Forgets a record.
    pub(crate) fn remove(&self, id: GatewayUid) {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        records.remove(id);
    }

    /// Notes why the line of a record can't be opened, or that it is open.
    pub(crate) fn set_problem(&self, id: GatewayUid, problem: Option<String>) {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = records.by_id.get_mut(&id) {
            known.problem = problem;
        }
    }

    /// The gateway that a text names: an id, or a name in any case.
    pub(crate) fn find(&self, text: &str) -> Option<DirectoryGateway> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let recorded = text
            .parse()
            .ok()
            .or_else(|| records.by_name.get(&text.to_lowercase()).copied());
        if let Some(known) = recorded.and_then(|id| records.by_id.get(&id)) {
            return Some(known.as_gateway());
        }
        let is_meant = |known: &&ConfiguredGateway| known.id.as_str() == text || known.name.eq_ignore_ascii_case(text);
        self.configured
            .iter()
            .find(is_meant)
            .cloned()
            .map(DirectoryGateway::Configured)
    }

    /// The record that a text names.
    pub(crate) fn recorded(&self, text: &str) -> Option<GatewayUid> {
        match self.find(text)? {
            DirectoryGateway::Recorded(record, _) => Some(record.id),
            DirectoryGateway::Configured(_) => None,
        }
    }

    /// The id in the interface of the gateway whose entries are stored under this id.
    pub(crate) fn name_of(&self, id: GatewayUid) -> String {
        let lines = self.configured.iter().map(|known| &known.id);
        let of_file = lines.into_iter().find(|line| GatewayUid::of_line(line) == id);
        of_file.map_or_else(|| id.to_string(), ToString::to_string)
    }

    /// The line of the gateway that a text names.
    pub(crate) fn line_id(&self, text: &str) -> Option<GatewayId> {
        self.find(text)?.line_id()
    }

    /// All, those of the store first, by id.
    pub(crate) fn all(&self) -> Vec<DirectoryGateway> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let recorded = records.by_id.values().map(DirectoryRecord::as_gateway);
        let configured = self.configured.iter().cloned().map(DirectoryGateway::Configured);
        recorded.chain(configured).collect()
    }
}

impl RecordIndex {
    fn put(&mut self, record: Gateway, problem: Option<String>) {
        self.by_name.insert(record.name.to_lowercase(), record.id);
        self.by_id.insert(record.id, DirectoryRecord { record, problem });
    }

    fn remove(&mut self, id: GatewayUid) {
        if let Some(known) = self.by_id.remove(&id) {
            self.by_name.remove(&known.record.name.to_lowercase());
        }
    }
}

impl DirectoryRecord {
    fn as_gateway(&self) -> DirectoryGateway {
        DirectoryGateway::Recorded(self.record.clone(), self.problem.clone())
    }
}
