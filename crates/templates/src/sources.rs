//! The sources of templates: the shipped ones, and the files of a user's folder.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::content::{Content, TemplateRole};
use crate::error::TemplateError;
use crate::grammar::MAX_TEMPLATE;

/// Name and source of every shipped template.
pub(crate) const TEMPLATES: [(&str, &str); 26] = [
    ("IDENTITY.md", include_str!("../templates/IDENTITY.md.j2")),
    ("MEMORY.md", include_str!("../templates/MEMORY.md.j2")),
    ("TOOLS.md", include_str!("../templates/TOOLS.md.j2")),
    ("USER.md", include_str!("../templates/USER.md.j2")),
    ("main/AGENTS.md", include_str!("../templates/main/AGENTS.md.j2")),
    ("main/SOUL.md", include_str!("../templates/main/SOUL.md.j2")),
    ("main/HEARTBEAT.md", include_str!("../templates/main/HEARTBEAT.md.j2")),
    ("main/BOOTSTRAP.md", include_str!("../templates/main/BOOTSTRAP.md.j2")),
    ("lead/AGENTS.md", include_str!("../templates/lead/AGENTS.md.j2")),
    ("lead/SOUL.md", include_str!("../templates/lead/SOUL.md.j2")),
    ("lead/HEARTBEAT.md", include_str!("../templates/lead/HEARTBEAT.md.j2")),
    ("lead/BOOTSTRAP.md", include_str!("../templates/lead/BOOTSTRAP.md.j2")),
    ("worker/AGENTS.md", include_str!("../templates/worker/AGENTS.md.j2")),
    ("worker/SOUL.md", include_str!("../templates/worker/SOUL.md.j2")),
    (
        "worker/HEARTBEAT.md",
        include_str!("../templates/worker/HEARTBEAT.md.j2"),
    ),
    (
        "worker/BOOTSTRAP.md",
        include_str!("../templates/worker/BOOTSTRAP.md.j2"),
    ),
    ("shared/api.md", include_str!("../templates/shared/api.md.j2")),
    ("shared/routine.md", include_str!("../templates/shared/routine.md.j2")),
    ("shared/safety.md", include_str!("../templates/shared/safety.md.j2")),
    (WAKE, include_str!("../templates/messages/wake.j2")),
    (CLEANUP, include_str!("../templates/messages/cleanup.j2")),
    ("messages/nudge", include_str!("../templates/messages/nudge.j2")),
    ("messages/ask-user", include_str!("../templates/messages/ask-user.j2")),
    (
        "messages/lead-question",
        include_str!("../templates/messages/lead-question.j2"),
    ),
    (
        "messages/lead-handoff",
        include_str!("../templates/messages/lead-handoff.j2"),
    ),
    (
        "messages/onboarding",
        include_str!("../templates/messages/onboarding.j2"),
    ),
];

/// The greeting that wakes an agent.
pub(crate) const WAKE: &str = "messages/wake";
/// The message to the main agent when an agent was deleted.
pub(crate) const CLEANUP: &str = "messages/cleanup";

/// The extension of template files, after the name of the file that they render.
const SUFFIX: &str = ".j2";

/// A file that overrides something.
pub(crate) struct TemplateFile {
    pub(crate) path: PathBuf,
    pub(crate) place: OverrideTarget,
    pub(crate) source: String,
}

/// The template that a file overrides.
pub(crate) enum OverrideTarget {
    /// A content, for these roles.
    Content(Vec<TemplateRole>, Content),
    /// A shipped part or message, by its name.
    Named(&'static str),
}

/// The most entries of one folder that are looked at: there are 26 templates, and one for each role of some.
const MAX_ENTRIES: usize = 200;

/// Every override of the folder; those for all roles come before those for one, which win.
///
/// A link is followed as long as it stays within the folder: a file elsewhere, such as a secret of this machine, must not end up in
/// an agent's workspace.
pub(crate) fn read(folder: &Path) -> Result<Vec<TemplateFile>, TemplateError> {
    let root = &folder.canonicalize().map_err(|source| TemplateError::Folder {
        path: folder.to_owned(),
        source,
    })?;
    let (folders, files): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    let mut found = Vec::new();
    for path in files {
        let Some(content) = stem(&path).and_then(Content::of_file) else {
            let allowed = format!("{}; folders main, lead, worker, shared, messages", content_files());
            return Err(TemplateError::UnknownFile { path, allowed });
        };
        found.push(file(
            root,
            path,
            OverrideTarget::Content(TemplateRole::ALL.to_vec(), content),
        )?);
    }
    for path in folders {
        read_inner(root, path, &mut found)?;
    }
    Ok(found)
}

/// Reads `main`, `lead`, `worker`, `shared` or `messages`.
fn read_inner(root: &Path, folder: PathBuf, found: &mut Vec<TemplateFile>) -> Result<(), TemplateError> {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
        .to_owned();
    let role = TemplateRole::ALL.into_iter().find(|role| role.as_str() == name);
    if role.is_none() && !["shared", "messages"].contains(&name.as_str()) {
        let allowed = "folders main, lead, worker, shared, messages".to_owned();
        return Err(TemplateError::UnknownFile { path: folder, allowed });
    }
    within(root, &folder)?;
    for path in entries(&folder)? {
        let place = match role {
            Some(role) => stem(&path)
                .and_then(Content::of_file)
                .map(|content| OverrideTarget::Content(vec![role], content)),
            None => stem(&path)
                .and_then(|stem| shipped_name(&name, stem))
                .map(OverrideTarget::Named),
        };
        let Some(place) = place.filter(|_| !path.is_dir()) else {
            let allowed = if role.is_some() {
                content_files()
            } else {
                named_files(&name)
            };
            return Err(TemplateError::UnknownFile { path, allowed });
        };
        found.push(file(root, path, place)?);
    }
    Ok(())
}

/// The folder's entries in a stable order, without the hidden ones.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, TemplateError> {
    let fault = |source| TemplateError::Folder {
        path: folder.to_owned(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
        if paths.len() > MAX_ENTRIES {
            return Err(TemplateError::TooLarge {
                template: folder.display().to_string(),
                what: "the folder",
                limit: format!("{MAX_ENTRIES} entries"),
            });
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads one file: a regular one, text, of a bounded size.
fn file(root: &Path, path: PathBuf, place: OverrideTarget) -> Result<TemplateFile, TemplateError> {
    // What is read is what was looked at, not what the name leads to by then.
    let real = within(root, &path)?;
    match windlass_files::read_text(&real, MAX_TEMPLATE) {
        Ok(source) => Ok(TemplateFile { path, place, source }),
        Err(source) if source.kind() == ErrorKind::FileTooLarge => Err(TemplateError::TooLarge {
            template: path.display().to_string(),
            what: "the template",
            limit: format!("{MAX_TEMPLATE} bytes"),
        }),
        Err(source) => Err(TemplateError::Folder { path, source }),
    }
}

/// The real path of an entry, which lies in the folder.
fn within(root: &Path, path: &Path) -> Result<PathBuf, TemplateError> {
    let real = path.canonicalize().map_err(|source| TemplateError::Folder {
        path: path.to_owned(),
        source,
    })?;
    if real.starts_with(root) {
        return Ok(real);
    }
    Err(TemplateError::Outside { path: path.to_owned() })
}

/// The file's name without `.j2`.
fn stem(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(SUFFIX)
}

fn shipped_name(folder: &str, stem: &str) -> Option<&'static str> {
    TEMPLATES
        .into_iter()
        .map(|(name, _)| name)
        .find(|name| name.split_once('/') == Some((folder, stem)))
}

fn content_files() -> String {
    Content::ALL.map(|content| format!("{content}{SUFFIX}")).join(", ")
}

fn named_files(folder: &str) -> String {
    let names = TEMPLATES.into_iter().filter_map(|(name, _)| name.split_once('/'));
    let names = names
        .filter(|(inside, _)| *inside == folder)
        .map(|(_, stem)| format!("{stem}{SUFFIX}"));
    names.collect::<Vec<_>>().join(", ")
}
