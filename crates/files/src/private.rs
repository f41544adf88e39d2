//! Private files, mode 0600 in a folder of mode 0700: the mode is checked before they are read, and they are replaced atomically.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::{OwnerPolicy, open_regular, read_text_from, weakness};

/// Largest private file that is read and written. A device.json has 500 bytes; ten thousand device tokens stay under 2 MiB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// The result of [`read`].
pub enum Found {
    /// There is no file.
    Nothing,
    /// The text of a file that only its owner (and perhaps its group) can read. Usually a secret: `Debug` hides it.
    Text(String),
    /// Other users can read or change the file, which has this mode. It was not read.
    Exposed(u32),
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("Nothing"),
            Self::Text(text) => write!(f, "Text(<{} bytes>)", text.len()),
            Self::Exposed(mode) => write!(f, "Exposed({mode:03o})"),
        }
    }
}

/// Reads a private file of at most 4 MiB.
///
/// The group may have the right to read, because orchestrators mount secrets as root with a group of the service.
/// A file that the group can write, or that others have any right to, is [`Found::Exposed`].
///
/// # Errors
///
/// As [`read_text`](crate::read_text); [`io::ErrorKind::PermissionDenied`] with a [`Weakness`](crate::Weakness) where the file
/// belongs to another user or lies in a folder in which every user may make files.
pub fn read(path: &Path) -> io::Result<Found> {
    let file = match open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    if let Some(mode) = exposed_mode(&meta) {
        return Ok(Found::Exposed(mode));
    }
    if let Some(weakness) = weakness(path, &meta, OwnerPolicy::Ours)? {
        return Err(weakness.into());
    }
    read_text_from(file, MAX_BYTES).map(Found::Text)
}

#[cfg(unix)]
fn exposed_mode(meta: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    /// Write for the group, everything for others.
    const EXPOSING: u32 = 0o027;
    let mode = meta.permissions().mode() & 0o777;
    (mode & EXPOSING != 0).then_some(mode)
}

#[cfg(not(unix))]
fn exposed_mode(_: &Metadata) -> Option<u32> {
    None
}

/// Refuses a text that [`read`] would refuse.
fn readable(text: &str) -> io::Result<()> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    let why = format!("it would have more than {MAX_BYTES} bytes");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
}

/// Creates a private file, and its folder where that is missing. Returns `false`, and changes nothing, where the file exists.
///
/// # Errors
///
/// [`io::ErrorKind::FileTooLarge`] for a text of more than 4 MiB; otherwise the system's.
pub fn create_new(path: &Path, text: &str) -> io::Result<bool> {
    match written(path, text)?.persist_noclobber(path) {
        Ok(_) => sync_folder(path).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// Replaces a private file atomically: a reader sees the old text or the new one. Creates the folder where it is missing.
///
/// # Errors
///
/// As [`create_new`].
pub fn replace(path: &Path, text: &str) -> io::Result<()> {
    written(path, text)?.persist(path).map_err(|error| error.error)?;
    sync_folder(path)
}

/// Writes and syncs a temporary file in the same folder; `tempfile` creates it with mode 0600.
fn written(path: &Path, text: &str) -> io::Result<NamedTempFile> {
    readable(text)?;
    let folder = folder_of(path);
    create_folder(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn folder_of(path: &Path) -> &Path {
    path.parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

#[cfg(unix)]
fn create_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

#[cfg(not(unix))]
fn create_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// Makes the new name itself last over a loss of power.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder_of(path))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
