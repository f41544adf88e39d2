//! Files with consequences: tokens, keys, a person's own configuration. Only their owner may change them.

use std::fmt;
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use crate::{open_regular, read_text_from};

/// The accepted owners of a file that is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerPolicy {
    /// This user or root. A process of root takes a file of any user: container runtimes give it files of the host's users.
    Ours,
    /// Any user, unless the file lies in a folder in which every user may make files, as `/tmp`.
    Any,
}

/// The reason why a readable file is not used, with the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Weakness {
    /// Others may change the file, which has this mode.
    Writable(u32),
    /// The file belongs to this user.
    Foreign(u32),
    /// Every user may put another file in its place, because its folder has this mode.
    Folder(PathBuf, u32),
}

impl fmt::Display for Weakness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Writable(mode) => write!(f, "other users may change it (mode {mode:03o}): run chmod go-w on it"),
            Self::Foreign(owner) => write!(
                f,
                "it belongs to the user with the id {owner}: only files of this user or of root are taken here"
            ),
            Self::Folder(folder, mode) => write!(
                f,
                "every user may replace it, because the folder {} has the mode {mode:03o}: run chmod o-w on the folder",
                folder.display()
            ),
        }
    }
}

impl std::error::Error for Weakness {}

impl From<Weakness> for io::Error {
    fn from(weakness: Weakness) -> Self {
        Self::new(io::ErrorKind::PermissionDenied, weakness)
    }
}

/// Reads the whole of a regular UTF-8 file of at most `limit` bytes that no other user can change.
///
/// # Errors
///
/// As [`read_text`](crate::read_text); [`io::ErrorKind::PermissionDenied`] with a [`Weakness`].
pub fn read_guarded_text(path: &Path, limit: usize, owner: OwnerPolicy) -> io::Result<String> {
    let file = open_regular(path)?;
    if let Some(weakness) = weakness(path, &file.metadata()?, owner)? {
        return Err(weakness.into());
    }
    read_text_from(file, limit)
}

/// Whether another user can change a file, or replace it. `meta` is that of the open file.
///
/// As ssh does with its files, but for two rules: a group may change a file if it has the owner's own number (a group of
/// one, which many systems give each user and let write by default), and of folders only the one that holds the file is looked
/// at (container runtimes mount folders of any mode above it).
///
/// # Errors
///
/// When the folder can't be looked at.
#[cfg(unix)]
pub fn weakness(path: &Path, meta: &Metadata, owner: OwnerPolicy) -> io::Result<Option<Weakness>> {
    use std::os::unix::fs::MetadataExt as _;
    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    /// In such a folder only a file's owner can replace it.
    const STICKY: u32 = 0o1000;

    let mode = meta.mode() & 0o777;
    if mode & OTHERS_WRITE != 0 || (mode & GROUP_WRITES != 0 && meta.gid() != meta.uid()) {
        return Ok(Some(Weakness::Writable(mode)));
    }
    // Where a link leads is what counts.
    let real = std::fs::canonicalize(path)?;
    let folder = real.parent().unwrap_or(&real);
    let folder_mode = std::fs::metadata(folder)?.mode();
    let shared = folder_mode & OTHERS_WRITE != 0;
    if shared && folder_mode & STICKY == 0 {
        return Ok(Some(Weakness::Folder(folder.to_owned(), folder_mode & 0o7777)));
    }
    let me = rustix::process::geteuid();
    let ours = meta.uid() == 0 || meta.uid() == me.as_raw() || me.is_root();
    if (owner == OwnerPolicy::Ours || shared) && !ours {
        return Ok(Some(Weakness::Foreign(meta.uid())));
    }
    Ok(None)
}

/// Other systems have other rights, which are not looked at.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub fn weakness(_: &Path, _: &Metadata, _: OwnerPolicy) -> io::Result<Option<Weakness>> {
    Ok(None)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn refused(path: &Path) -> String {
        let error = read_guarded_text(path, 99, OwnerPolicy::Any).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        error.to_string()
    }

    #[test]
    fn a_file_that_others_may_change_or_replace_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        fs::write(&path, "s3cret").unwrap();
        for (mode, taken) in [
            (0o600, true),
            (0o644, true),
            (0o640, true),
            (0o646, false),
            (0o602, false),
        ] {
            set(&path, mode);
            assert_eq!(
                read_guarded_text(&path, 99, OwnerPolicy::Ours).is_ok(),
                taken,
                "{mode:o}"
            );
        }
        assert!(refused(&path).contains("chmod go-w"));
        set(&path, 0o600);
        set(folder.path(), 0o777);
        let told = refused(&path);
        assert!(
            told.contains("chmod o-w on the folder") && !told.contains("s3cret"),
            "{told}"
        );
        // As /tmp is: others may make files there, and not replace this one.
        set(folder.path(), 0o1777);
        assert!(read_guarded_text(&path, 99, OwnerPolicy::Any).is_ok());
    }

    #[test]
    fn the_place_that_counts_is_the_one_that_a_link_leads_to() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        let (path, link) = (open.join("token"), folder.path().join("link"));
        fs::write(&path, "s3cret").unwrap();
        set(&path, 0o600);
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(read_guarded_text(&link, 99, OwnerPolicy::Any).is_ok());
        set(&open, 0o777);
        assert!(refused(&link).contains("folder"));
    }
}
