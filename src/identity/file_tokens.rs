//! Device tokens in one private file, by gateway id.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use windlass_actors::{DeviceTokenStore, TokenStoreError};
use windlass_protocol::{GatewayId, Secret};

use super::private_file::{self, Found};

/// The file's name, in the folder of the device identity that the tokens belong to.
pub const TOKENS_FILE_NAME: &str = "windlass-device-tokens.json";

/// The only `version` there is.
const VERSION: u32 = 1;

/// Keeps device tokens in a JSON file of mode 0600: `{"version":1,"tokens":{"<gateway id>":"<token>"}}`.
///
/// Every change reads the file again first, so that processes that share it lose a token only when they write in the
/// very same moment; the loser's device then connects with the gateway's token, and is issued another.
pub struct FileTokens {
    path: PathBuf,
    /// What the file held when it was last read; also the lock of this process's changes.
    tokens: Mutex<BTreeMap<GatewayId, Secret>>,
}

/// The token file could not be read. Names the file and what to do; never repeats its content.
#[derive(Debug, thiserror::Error)]
#[error("device tokens {}: {problem}", path.display())]
pub struct TokenFileError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: TokenFileProblem,
}

/// What is wrong with a token file. The texts carry their causes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileProblem {
    /// It is there and can't be read.
    #[error("the file can't be read ({0}); it is left as it is: make it readable for this user")]
    Unreadable(io::Error),
    /// Others can read or change it.
    #[error(
        "other users may read or change the file (mode {0:03o}); run chmod 600 on it, and revoke its tokens if somebody may have copied it"
    )]
    Exposed(u32),
    /// It is there and holds no token list.
    #[error(
        "the file is damaged at line {line}, column {column}; it is left as it is: restore it, or move it away and connect \
         with the gateway tokens again"
    )]
    Damaged {
        /// Where reading stopped, from 1.
        line: usize,
        /// See `line`.
        column: usize,
    },
    /// Another `version`.
    #[error("the file has version {0}, known is {VERSION}; it is left as it is: use the Windlass that wrote it")]
    Version(u32),
    /// It can't be written.
    #[error("the file can't be written ({0}); make its folder writable")]
    Unwritable(io::Error),
}

#[derive(Deserialize)]
struct Layout {
    version: u32,
    tokens: BTreeMap<GatewayId, Secret>,
}

impl FileTokens {
    /// Opens the token file at `path`; it need not exist yet.
    ///
    /// # Errors
    /// [`TokenFileError`] when it exists and can't be used. It is left as it is then.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, TokenFileError> {
        let path = path.into();
        match read(&path) {
            Ok(tokens) => Ok(Self {
                path,
                tokens: Mutex::new(tokens),
            }),
            Err(problem) => Err(TokenFileError { path, problem }),
        }
    }

    /// Opens the token file in the folder of a device identity file.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    pub fn beside(identity: &Path) -> Result<Self, TokenFileError> {
        Self::open(identity.with_file_name(TOKENS_FILE_NAME))
    }

    /// Where the tokens are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<GatewayId, Secret>) -> bool) -> Result<(), TokenStoreError> {
        let mut tokens = self.lock();
        self.changed(&mut tokens, change)
            .map_err(|problem| TokenStoreError(format!("{}: {problem}", self.path.display())))
    }

    fn changed(
        &self,
        tokens: &mut BTreeMap<GatewayId, Secret>,
        change: impl FnOnce(&mut BTreeMap<GatewayId, Secret>) -> bool,
    ) -> Result<(), TokenFileProblem> {
        *tokens = read(&self.path)?;
        if change(tokens) {
            private_file::replace(&self.path, &render(tokens)).map_err(TokenFileProblem::Unwritable)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GatewayId, Secret>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeviceTokenStore for FileTokens {
    fn load(&self, gateway: &GatewayId) -> Option<Secret> {
        let mut tokens = self.lock();
        match read(&self.path) {
            Ok(found) => *tokens = found,
            Err(error) => tracing::warn!(path = %self.path.display(), %error, "device tokens are used as last read"),
        }
        tokens.get(gateway).cloned()
    }

    fn store(&self, gateway: &GatewayId, token: &Secret) -> Result<(), TokenStoreError> {
        self.change(|tokens| tokens.insert(gateway.clone(), token.clone()).as_ref() != Some(token))
    }

    fn clear(&self, gateway: &GatewayId) -> Result<(), TokenStoreError> {
        self.change(|tokens| tokens.remove(gateway).is_some())
    }
}

impl fmt::Debug for FileTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTokens")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<BTreeMap<GatewayId, Secret>, TokenFileProblem> {
    let text = match private_file::read(path).map_err(TokenFileProblem::Unreadable)? {
        Found::Nothing => return Ok(BTreeMap::new()),
        Found::Exposed(mode) => return Err(TokenFileProblem::Exposed(mode)),
        Found::Text(text) => text,
    };
    // The error's own text could repeat a part of a token.
    let layout: Layout = serde_json::from_str(text.expose()).map_err(|error| TokenFileProblem::Damaged {
        line: error.line(),
        column: error.column(),
    })?;
    if layout.version != VERSION {
        return Err(TokenFileProblem::Version(layout.version));
    }
    Ok(layout.tokens)
}

fn render(tokens: &BTreeMap<GatewayId, Secret>) -> Secret {
    let shown: BTreeMap<_, _> = tokens.iter().map(|(id, token)| (id.as_str(), token.expose())).collect();
    Secret::new(format!(
        "{:#}\n",
        serde_json::json!({ "version": VERSION, "tokens": shown })
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn id(text: &str) -> GatewayId {
        GatewayId::new(text).unwrap()
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("identity").join(TOKENS_FILE_NAME);
        (folder, path)
    }

    #[test]
    fn tokens_last_over_a_restart_in_a_private_file() {
        let (_folder, path) = place();
        let tokens = FileTokens::open(&path).unwrap();
        assert_eq!(tokens.load(&id("a")), None);
        tokens.store(&id("a"), &Secret::new("one")).unwrap();
        tokens.store(&id("b"), &Secret::new("two")).unwrap();
        tokens.store(&id("a"), &Secret::new("three")).unwrap();
        tokens.clear(&id("b")).unwrap();
        tokens.clear(&id("never")).unwrap();
        let again = FileTokens::open(&path).unwrap();
        assert_eq!(
            (again.load(&id("a")), again.load(&id("b"))),
            (Some(Secret::new("three")), None)
        );
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn stores_that_share_a_file_see_and_keep_each_others_tokens() {
        let (_folder, path) = place();
        let (one, two) = (FileTokens::open(&path).unwrap(), FileTokens::open(&path).unwrap());
        one.store(&id("a"), &Secret::new("1")).unwrap();
        two.store(&id("b"), &Secret::new("2")).unwrap();
        assert_eq!(
            (one.load(&id("b")), two.load(&id("a"))),
            (Some(Secret::new("2")), Some(Secret::new("1")))
        );
    }

    #[test]
    fn a_store_takes_changes_from_many_threads() {
        let (_folder, path) = place();
        let tokens = FileTokens::open(&path).unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let tokens = &tokens;
                scope.spawn(move || tokens.store(&id(&format!("g{number}")), &Secret::new("t")).unwrap());
            }
        });
        assert_eq!(read(&path).unwrap().len(), 8);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_left_as_it_is() {
        let (_folder, path) = place();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let tokens = FileTokens::open(&path).unwrap();
        for (text, mode) in [
            ("", 0o600),
            ("{\"version\":1,\"tokens\":{\"a\":\"s3cret\"", 0o600),
            ("{\"version\":2,\"tokens\":{\"a\":\"s3cret\"}}", 0o600),
            ("{\"version\":1,\"tokens\":{\"a b\":\"s3cret\"}}", 0o600),
            ("{\"version\":1,\"tokens\":\"s3cret\"}", 0o600),
            ("{\"version\":1,\"tokens\":{\"a\":\"s3cret\"}}", 0o644),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let opened = FileTokens::open(&path).unwrap_err();
            let stored = tokens.store(&id("a"), &Secret::new("other")).unwrap_err();
            let cleared = tokens.clear(&id("a")).unwrap_err();
            let shown = format!("{opened} {opened:?} {stored} {stored:?} {cleared} {tokens:?}");
            assert!(shown.contains(TOKENS_FILE_NAME) && !shown.contains("s3cret"), "{shown}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_store_goes_on_with_what_it_last_read() {
        let (_folder, path) = place();
        let tokens = FileTokens::open(&path).unwrap();
        tokens.store(&id("a"), &Secret::new("one")).unwrap();
        fs::write(&path, "rubbish").unwrap();
        assert_eq!(tokens.load(&id("a")), Some(Secret::new("one")));
    }
}
