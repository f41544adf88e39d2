//! The device identity file: read as it is, created only where there is none.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use windlass_files::private::{self, Found};
use windlass_protocol::{DeviceFile, DeviceFileError, DeviceIdentity, Secret};

/// The environment variable that says where the device identity is kept.
pub const IDENTITY_PATH_VARIABLE: &str = "OPENCLAW_GATEWAY_DEVICE_IDENTITY_PATH";

/// The place below the home folder, shared with the reference client.
const DEFAULT_PLACE: [&str; 3] = [".openclaw", "identity", "device.json"];

/// There is no place to keep a device identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("HOME is not set, so there is no place for the device identity; set {IDENTITY_PATH_VARIABLE} to a file's path")]
pub struct DevicePathError;

/// A device identity could not be read or created. Names the file and the next step; never repeats its content.
#[derive(Debug, thiserror::Error)]
#[error("device identity {}: {problem}", path.display())]
pub struct IdentityError {
    /// The file.
    pub path: PathBuf,
    /// The problem.
    pub problem: IdentityProblem,
}

/// The problem of a device identity file. The texts carry their causes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityProblem {
    /// It is there and can't be read.
    #[error(
        "it can't be read ({0}); it is left as it is: make it readable for this user, or choose another file with \
         OPENCLAW_GATEWAY_DEVICE_IDENTITY_PATH"
    )]
    Unreadable(io::Error),
    /// Others can read or change it, so the key in it may be known to them. Refused rather than warned of, as ssh does
    /// with its keys: a warning in a log is easily missed, and this key opens every gateway that the device is paired
    /// with.
    #[error(
        "other users may read or change it (mode {0:03o}), and it holds this device's private key; run chmod 600 on it, \
         and if somebody may have copied it, move it away and pair this device again"
    )]
    Exposed(u32),
    /// It is there and holds no usable identity.
    #[error(
        "it is damaged: {0}; it is left as it is: restore it from a backup, or move it away to get a new identity, which \
         every gateway has to approve again"
    )]
    Damaged(DeviceFileError),
    /// There is none, and none can be written.
    #[error(
        "there is none yet and it can't be created ({0}); make its folder writable, or choose another file with OPENCLAW_GATEWAY_DEVICE_IDENTITY_PATH"
    )]
    NotCreated(io::Error),
    /// A new identity can't be written down.
    #[error("a new one could not be made: {0}")]
    NotMade(DeviceFileError),
}

/// The path of the device identity: the value of [`IDENTITY_PATH_VARIABLE`], else `~/.openclaw/identity/device.json`.
///
/// `variable` looks up the environment, for example `|name| std::env::var_os(name)`.
///
/// # Errors
/// [`DevicePathError`] when neither that variable nor `HOME` is set.
pub fn default_identity_path(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, DevicePathError> {
    let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    match set(IDENTITY_PATH_VARIABLE) {
        Some(path) => Ok(path),
        None => set("HOME")
            .map(|home| home.join(PathBuf::from_iter(DEFAULT_PLACE)))
            .ok_or(DevicePathError),
    }
}

/// Reads the device identity at `path`, or creates one there if nothing is there.
///
/// `seed` is the private key of the identity that may be created: 32 random bytes. `now_ms` is its time of birth, in ms
/// since 1970. An existing file is never replaced, even a damaged one. When several processes create one at the
/// same time, all of them end with the same identity. Blocks on the disk.
///
/// # Errors
/// [`IdentityError`] names the file, the problem, and the next step.
pub fn load_or_create(path: &Path, now_ms: u64, seed: [u8; 32]) -> Result<DeviceIdentity, IdentityError> {
    let fail = |problem| IdentityError {
        path: path.to_owned(),
        problem,
    };
    if let Some(identity) = load(path).map_err(fail)? {
        return Ok(identity);
    }
    let made = DeviceFile {
        identity: DeviceIdentity::from_seed(seed),
        created_at_ms: now_ms,
    };
    let text = made.render().map_err(|error| fail(IdentityProblem::NotMade(error)))?;
    if private::create_new(path, text.expose()).map_err(|error| fail(IdentityProblem::NotCreated(error)))? {
        tracing::info!(path = %path.display(), device = made.identity.device_id(), "a device identity was created");
        return Ok(made.identity);
    }
    // Another process was faster: its identity is this machine's.
    let gone = || fail(IdentityProblem::NotCreated(io::ErrorKind::NotFound.into()));
    load(path).map_err(fail)?.ok_or_else(gone)
}

fn load(path: &Path) -> Result<Option<DeviceIdentity>, IdentityProblem> {
    match private::read(path).map_err(IdentityProblem::Unreadable)? {
        Found::Nothing => Ok(None),
        Found::Exposed(mode) => Err(IdentityProblem::Exposed(mode)),
        Found::Text(text) => {
            let file = DeviceFile::parse(Secret::new(text).expose()).map_err(IdentityProblem::Damaged)?;
            Ok(Some(file.identity))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Barrier;

    use super::*;

    const SEED: [u8; 32] = [7; 32];

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn an_identity_is_created_once_with_private_modes_and_read_ever_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/device.json");
        let made = load_or_create(&path, 1, SEED).unwrap();
        assert_eq!(load_or_create(&path, 2, [8; 32]).unwrap(), made);
        assert_eq!(made, DeviceIdentity::from_seed(SEED));
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(
            fs::read_dir(path.parent().unwrap()).unwrap().count(),
            1,
            "a temporary file stayed behind"
        );
    }

    #[test]
    fn a_damaged_identity_is_left_as_it_is_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.json");
        let whole = DeviceFile {
            identity: DeviceIdentity::from_seed(SEED),
            created_at_ms: 1,
        }
        .render()
        .unwrap();
        let half = &whole.expose()[..whole.expose().len() / 2];
        for text in ["", "[]", "{\"version\":1}", half] {
            write(&path, text, 0o600);
            let error = load_or_create(&path, 1, SEED).unwrap_err();
            assert!(matches!(error.problem, IdentityProblem::Damaged(_)), "{error}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn an_identity_that_others_may_read_is_refused_and_one_that_the_group_may_read_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.json");
        load_or_create(&path, 1, SEED).unwrap();
        for open in [0o644, 0o604, 0o602, 0o620, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
            let error = load_or_create(&path, 1, SEED).unwrap_err();
            assert!(
                matches!(error.problem, IdentityProblem::Exposed(mode) if mode == open),
                "{error}"
            );
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        for closed in [0o600, 0o400, 0o640, 0o440] {
            fs::set_permissions(&path, fs::Permissions::from_mode(closed)).unwrap();
            load_or_create(&path, 1, SEED).unwrap();
        }
    }

    #[test]
    fn what_is_no_file_is_not_replaced_either() {
        let folder = tempfile::tempdir().unwrap();
        let error = load_or_create(folder.path(), 1, SEED).unwrap_err();
        assert!(matches!(error.problem, IdentityProblem::Unreadable(_)), "{error}");
        let below_a_file = folder.path().join("file");
        write(&below_a_file, "", 0o600);
        load_or_create(&below_a_file.join("device.json"), 1, SEED).unwrap_err();
        assert!(below_a_file.is_file());
    }

    #[test]
    fn those_who_create_at_once_end_with_one_identity() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity/device.json");
        let start = Barrier::new(8);
        let found: Vec<_> = std::thread::scope(|scope| {
            let racers: Vec<_> = (0..8u8)
                .map(|number| {
                    let (path, start) = (&path, &start);
                    scope.spawn(move || {
                        start.wait();
                        load_or_create(path, 1, [number; 32]).unwrap()
                    })
                })
                .collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        assert!(found.iter().all(|identity| *identity == found[0]));
        assert_eq!(load_or_create(&path, 1, SEED).unwrap(), found[0]);
    }

    #[test]
    fn no_error_shows_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device.json");
        let whole = DeviceFile {
            identity: DeviceIdentity::from_seed(SEED),
            created_at_ms: 1,
        }
        .render()
        .unwrap();
        let other = DeviceIdentity::from_seed([9; 32]);
        let changed = whole
            .expose()
            .replace(DeviceIdentity::from_seed(SEED).device_id(), other.device_id());
        write(&path, &changed, 0o600);
        let error = load_or_create(&path, 1, SEED).unwrap_err();
        // The first bytes of every PKCS#8 Ed25519 key, then those of this one.
        for secret in ["MC4CAQAw", "BwcHBwcHBwcH"] {
            assert!(changed.contains(secret));
            assert!(!format!("{error} {error:?}").contains(secret), "{error:?}");
        }
    }

    #[test]
    fn the_place_comes_from_the_variable_or_the_home_folder() {
        let env = |pairs: &'static [(&str, &str)]| {
            move |name: &str| {
                pairs
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map(|(_, value)| OsString::from(value))
            }
        };
        let place = |pairs| default_identity_path(env(pairs));
        assert_eq!(place(&[("HOME", "/h")]), Ok("/h/.openclaw/identity/device.json".into()));
        assert_eq!(
            place(&[("HOME", "/h"), (IDENTITY_PATH_VARIABLE, "/d.json")]),
            Ok("/d.json".into())
        );
        assert_eq!(
            place(&[("HOME", ""), (IDENTITY_PATH_VARIABLE, "")]),
            Err(DevicePathError)
        );
    }
}
