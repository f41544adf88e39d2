//! Files that nobody else may read: read with a look at their mode, written whole or not at all.

use std::fs::{self, File, Metadata};
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;
use windlass_files::Owner;
use windlass_protocol::Secret;

/// Largest private file that is read. A device.json has 500 bytes; ten thousand device tokens stay under 2 MiB.
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// What stands at a path.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nothing.
    Nothing,
    /// A file that only its owner (and perhaps its group) can read.
    Text(Secret),
    /// A file that others can read or change, with its mode.
    Exposed(u32),
}

/// Reads a private file.
///
/// Readable for the group is let through, because orchestrators mount secrets as root with a group of the service;
/// writable for the group, or anything for others, is not.
pub(crate) fn read(path: &Path) -> io::Result<Found> {
    let file = match windlass_files::open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(error),
    };
    let meta = file.metadata()?;
    if let Some(mode) = exposed_mode(&meta) {
        return Ok(Found::Exposed(mode));
    }
    if let Some(weakness) = windlass_files::weakness(path, &meta, Owner::Ours)? {
        return Err(weakness.into());
    }
    windlass_files::read_text_from(file, MAX_BYTES).map(|text| Found::Text(Secret::new(text)))
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

/// What can't be read again is not written.
fn readable(text: &Secret) -> io::Result<()> {
    if text.expose().len() <= MAX_BYTES {
        return Ok(());
    }
    let why = format!("it would have more than {MAX_BYTES} bytes");
    Err(io::Error::new(io::ErrorKind::FileTooLarge, why))
}

/// Writes a file that is not there yet; `false` when somebody else was faster, whose file stays as it is.
pub(crate) fn create_new(path: &Path, text: &Secret) -> io::Result<bool> {
    match written(path, text)?.persist_noclobber(path) {
        Ok(_) => sync_folder(path).map(|()| true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

/// Writes a file in place of an older one. A reader sees the old text or the new one, never a part.
pub(crate) fn replace(path: &Path, text: &Secret) -> io::Result<()> {
    written(path, text)?.persist(path).map_err(|error| error.error)?;
    sync_folder(path)
}

/// A finished file beside the one that it will become; `tempfile` creates it with mode 0600.
fn written(path: &Path, text: &Secret) -> io::Result<NamedTempFile> {
    readable(text)?;
    let folder = folder_of(path);
    create_folder(folder)?;
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(text.expose().as_bytes())?;
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
