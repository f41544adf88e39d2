//! Which of an agent's files are to be written, kept, preserved or deleted: a comparison, without any IO.

use std::collections::BTreeMap;

use serde::Serialize;
use windlass_templates::{Content, Layout, Placement, TemplateRole};

use crate::control_plane::Scratch;

/// The files and the scratch on the gateway.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// Texts of the files that are there.
    pub(crate) texts: BTreeMap<String, String>,
    /// The heartbeat's instructions, where the gateway keeps them apart.
    pub(crate) scratch: Option<Scratch>,
}

impl Seen {
    pub(crate) fn is_there(&self, name: &str) -> bool {
        self.texts.contains_key(name)
    }
}

/// The rules for the files that an agent may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rules {
    /// The role of the agent.
    pub(crate) role: TemplateRole,
    /// The agent exists already: the files that it made its own stay.
    pub(crate) update: bool,
    /// Rewrites those files, too.
    pub(crate) overwrite: bool,
    /// Files that belong to no layout of ours are deleted: true for leads.
    pub(crate) delete_stale: bool,
}

/// The action on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum FileAction {
    /// It is not there yet.
    Create,
    /// It says something else.
    Rewrite,
    /// It is as it should be.
    Keep,
    /// The agent has made it its own.
    Preserve,
    /// It is of no use any more.
    Delete,
}

/// One file and its action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FilePlan {
    /// Its name.
    pub name: String,
    /// The action.
    pub action: FileAction,
}

impl FilePlan {
    /// Whether something is written or deleted.
    pub(crate) const fn is_change(&self) -> bool {
        matches!(
            self.action,
            FileAction::Create | FileAction::Rewrite | FileAction::Delete
        )
    }
}

/// The actions on an agent's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FilesPlan {
    /// Each file that matters, by name.
    pub(crate) files: Vec<FilePlan>,
    /// Whether the heartbeat's instructions are written.
    pub(crate) scratch: bool,
}

impl FilesPlan {
    /// Whether anything is written.
    pub(crate) fn any(&self) -> bool {
        self.scratch || self.files.iter().any(FilePlan::is_change)
    }
}

/// Compares the wanted files with the files on the gateway.
pub(crate) fn plan(wanted: &Placement, layout: &Layout, seen: &Seen, rules: Rules) -> FilesPlan {
    let mut files: Vec<FilePlan> = wanted
        .files
        .iter()
        .map(|(name, text)| FilePlan {
            name: name.clone(),
            action: action(name, text, seen, rules),
        })
        .collect();
    if rules.delete_stale {
        let there: Vec<&str> = seen.texts.keys().map(String::as_str).collect();
        files.extend(layout.stale(&there).into_iter().map(|name| FilePlan {
            name,
            action: FileAction::Delete,
        }));
    }
    let scratch = wanted.scratch.as_deref().is_some_and(|wanted| {
        seen.scratch
            .as_ref()
            .is_some_and(|seen| seen.content.as_deref() != Some(wanted))
    });
    FilesPlan { files, scratch }
}

fn action(name: &str, text: &str, seen: &Seen, rules: Rules) -> FileAction {
    match seen.texts.get(name) {
        None => FileAction::Create,
        Some(there) if same(there, text) => FileAction::Keep,
        Some(_) if is_the_agents_own(name, rules) => FileAction::Preserve,
        Some(_) => FileAction::Rewrite,
    }
}

/// Gateways may put a line end behind the last line, or take it away.
fn same(there: &str, wanted: &str) -> bool {
    there.trim_end() == wanted.trim_end()
}

fn is_the_agents_own(name: &str, rules: Rules) -> bool {
    let own = Content::of_file(name).is_some_and(|content| content.kept_on_update(rules.role));
    own && rules.update && !rules.overwrite
}
