//! A user's folder of templates.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::bounds::MAX_TEMPLATE;
use crate::{Content, Role, TemplateError, shipped};

/// What template files are called after the name of what they render.
const SUFFIX: &str = ".j2";

/// A file that overrides something.
pub(crate) struct File {
    pub(crate) path: PathBuf,
    pub(crate) place: Place,
    pub(crate) source: String,
}

/// What it overrides.
pub(crate) enum Place {
    /// A content, for these roles.
    Content(Vec<Role>, Content),
    /// A shipped part or message, by its name.
    Named(&'static str),
}

/// Every override of the folder; those for all roles come before those for one, which win.
pub(crate) fn read(folder: &Path) -> Result<Vec<File>, TemplateError> {
    let (folders, files): (Vec<_>, Vec<_>) = entries(folder)?.into_iter().partition(|path| path.is_dir());
    let mut found = Vec::new();
    for path in files {
        let Some(content) = stem(&path).and_then(Content::of_file) else {
            let allowed = format!("{}; folders main, lead, worker, shared, messages", content_files());
            return Err(TemplateError::UnknownFile { path, allowed });
        };
        found.push(file(path, Place::Content(Role::ALL.to_vec(), content))?);
    }
    for path in folders {
        read_inner(path, &mut found)?;
    }
    Ok(found)
}

/// Reads `main`, `lead`, `worker`, `shared` or `messages`.
fn read_inner(folder: PathBuf, found: &mut Vec<File>) -> Result<(), TemplateError> {
    let name = folder
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
        .to_owned();
    let role = Role::ALL.into_iter().find(|role| role.as_str() == name);
    if role.is_none() && !["shared", "messages"].contains(&name.as_str()) {
        let allowed = "folders main, lead, worker, shared, messages".to_owned();
        return Err(TemplateError::UnknownFile { path: folder, allowed });
    }
    for path in entries(&folder)? {
        let place = match role {
            Some(role) => stem(&path)
                .and_then(Content::of_file)
                .map(|content| Place::Content(vec![role], content)),
            None => stem(&path).and_then(|stem| shipped_name(&name, stem)).map(Place::Named),
        };
        let Some(place) = place.filter(|_| path.is_file()) else {
            let allowed = if role.is_some() {
                content_files()
            } else {
                named_files(&name)
            };
            return Err(TemplateError::UnknownFile { path, allowed });
        };
        found.push(file(path, place)?);
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
    }
    paths.sort();
    Ok(paths)
}

/// Reads one file: text, of a bounded size.
fn file(path: PathBuf, place: Place) -> Result<File, TemplateError> {
    let read = || {
        let mut source = String::new();
        let limit = MAX_TEMPLATE as u64 + 1;
        fs::File::open(&path)?.take(limit).read_to_string(&mut source)?;
        Ok(source)
    };
    match read() {
        Ok(source) => Ok(File { path, place, source }),
        Err(source) => Err(TemplateError::Folder { path, source }),
    }
}

/// The file's name without `.j2`.
fn stem(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.strip_suffix(SUFFIX)
}

fn shipped_name(folder: &str, stem: &str) -> Option<&'static str> {
    shipped::TEMPLATES
        .into_iter()
        .map(|(name, _)| name)
        .find(|name| name.split_once('/') == Some((folder, stem)))
}

fn content_files() -> String {
    Content::ALL.map(|content| format!("{content}{SUFFIX}")).join(", ")
}

fn named_files(folder: &str) -> String {
    let names = shipped::TEMPLATES
        .into_iter()
        .filter_map(|(name, _)| name.split_once('/'));
    let names = names
        .filter(|(inside, _)| *inside == folder)
        .map(|(_, stem)| format!("{stem}{SUFFIX}"));
    names.collect::<Vec<_>>().join(", ")
}
