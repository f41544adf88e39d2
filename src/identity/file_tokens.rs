//! Device tokens in one private file, each with the gateway and the address that it belongs to.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use windlass_files::private::{self, Found};
use windlass_line::{DeviceTokenStore, TokenKey, TokenStoreError};
use windlass_protocol::{DEVICE_TOKEN_MAX, GatewayId, Secret};

/// The file's name, in the folder of the device identity that the tokens belong to.
pub const TOKENS_FILE_NAME: &str = "windlass-device-tokens.json";

/// The `version` that is written: tokens with their addresses. Version 1 had them by gateway id alone.
const VERSION: u32 = 2;

/// Keeps device tokens in a JSON file of mode 0600:
/// `{"version":2,"tokens":[{"gateway":"<id>","address":"<url>","token":"<token>"}]}`.
///
/// A token of a file of version 1 (`{"<id>":"<token>"}`) has no address. It is given to the first address that asks for it by its
/// id, if that has no path, and belongs to that address from then on; an address with a path never gets one.
///
/// An entry that can't be used (no gateway's name, no token, a token of more than 4 KiB) is read over, with a warning, and is gone at
/// the next change; the others are not touched by it.
///
/// Every change reads the file again first, so that processes that share it lose a token only when they write in the
/// very same moment; the loser's device then connects with the gateway's token, and is issued another.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use windlass::Windlass;
/// use windlass::identity::FileTokens;
///
/// let windlass = Windlass::builder().device_tokens(FileTokens::open("device-tokens.json")?).start()?;
/// # drop(windlass);
/// # Ok(())
/// # }
/// ```
pub struct FileTokens {
    path: PathBuf,
    /// The tokens of the file when it was last read; also the lock of this process's changes.
    tokens: Mutex<Tokens>,
}

/// Tokens by gateway and address.
type Tokens = BTreeMap<Key, Secret>;

/// An entry's key; without an address it comes from a file of version 1.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    gateway: GatewayId,
    address: Option<String>,
}

impl From<&TokenKey> for Key {
    fn from(key: &TokenKey) -> Self {
        Self {
            gateway: key.gateway.clone(),
            address: Some(key.address.address()),
        }
    }
}

/// The token file could not be read. Names the file and the next step; never repeats its content.
#[derive(Debug, thiserror::Error)]
#[error("device tokens {}: {problem}", path.display())]
pub struct TokenFileError {
    /// The file.
    pub path: PathBuf,
    /// The problem.
    pub problem: TokenFileProblem,
}

/// The problem of a token file. The texts carry their causes.
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
    #[error("the file has version {0}, known are 1 and {VERSION}; it is left as it is: use the Windlass that wrote it")]
    Version(u32),
    /// It can't be written.
    #[error("the file can't be written ({0}); make its folder writable")]
    Unwritable(io::Error),
}

/// The member that tells the versions apart.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct LayoutV1<'a> {
    #[serde(borrow)]
    tokens: BTreeMap<String, &'a RawValue>,
}

#[derive(Deserialize)]
struct LayoutV2<'a> {
    #[serde(borrow)]
    tokens: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct EntryV2 {
    gateway: GatewayId,
    address: Option<String>,
    token: Secret,
}

/// An entry as it is written.
#[derive(Serialize)]
struct Written<'a> {
    gateway: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<&'a str>,
    token: &'a str,
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

    fn change(&self, change: impl FnOnce(&mut Tokens) -> bool) -> Result<(), TokenStoreError> {
        let mut tokens = self.lock();
        self.changed(&mut tokens, change)
            .map_err(|problem| TokenStoreError(format!("{}: {problem}", self.path.display())))
    }

    fn changed(&self, tokens: &mut Tokens, change: impl FnOnce(&mut Tokens) -> bool) -> Result<(), TokenFileProblem> {
        *tokens = read(&self.path)?;
        if change(tokens) {
            private::replace(&self.path, render(tokens).expose()).map_err(TokenFileProblem::Unwritable)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DeviceTokenStore for FileTokens {
    fn load(&self, key: &TokenKey) -> Option<Secret> {
        let mut tokens = self.lock();
        match read(&self.path) {
            Ok(found) => *tokens = found,
            Err(error) => tracing::warn!(path = %self.path.display(), %error, "device tokens are used as last read"),
        }
        let wanted = Key::from(key);
        if let Some(token) = tokens.get(&wanted) {
            return Some(token.clone());
        }
        let old = old_keys(key).into_iter().find(|old| tokens.contains_key(old))?;
        let token = tokens.get(&old).cloned();
        let bound = self.changed(&mut tokens, |tokens| match tokens.remove(&old) {
            Some(token) => tokens.insert(wanted, token).is_none(),
            None => false,
        });
        if let Err(error) = bound {
            tracing::warn!(path = %self.path.display(), %error, "a device token keeps its old place");
        }
        token
    }

    fn store(&self, key: &TokenKey, token: &Secret) -> Result<(), TokenStoreError> {
        if !may_be_kept(token) {
            return Err(TokenStoreError(format!(
                "it has {} bytes, and one of 1 to {DEVICE_TOKEN_MAX} is kept",
                token.expose().len()
            )));
        }
        self.change(|tokens| tokens.insert(key.into(), token.clone()).as_ref() != Some(token))
    }

    fn clear(&self, key: &TokenKey) -> Result<(), TokenStoreError> {
        self.change(|tokens| tokens.remove(&Key::from(key)).is_some())
    }
}

/// Where a file of version 1 may have the token of a gateway; nowhere if its address has a path, because an entry of that file
/// may be the token of another path.
fn old_keys(key: &TokenKey) -> Vec<Key> {
    if key.address.path() != "/" {
        return Vec::new();
    }
    let mut gateways = vec![key.gateway.clone()];
    if key.gateway == key.address.gateway_id() {
        gateways.extend(key.address.host_and_port_id());
    }
    let old = |gateway| Key { gateway, address: None };
    gateways.into_iter().map(old).collect()
}

impl fmt::Debug for FileTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileTokens")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

fn read(path: &Path) -> Result<Tokens, TokenFileProblem> {
    match private::read(path).map_err(TokenFileProblem::Unreadable)? {
        Found::Nothing => Ok(Tokens::new()),
        Found::Exposed(mode) => Err(TokenFileProblem::Exposed(mode)),
        Found::Text(text) => parse(Secret::new(text).expose()),
    }
}

fn parse(text: &str) -> Result<Tokens, TokenFileProblem> {
    // The error's own text could repeat a part of a token.
    let damaged = |error: serde_json::Error| TokenFileProblem::Damaged {
        line: error.line(),
        column: error.column(),
    };
    let Version { version } = serde_json::from_str(text).map_err(damaged)?;
    match version {
        1 => {
            let layout: LayoutV1<'_> = serde_json::from_str(text).map_err(damaged)?;
            let entry = |(gateway, token): (String, &RawValue)| {
                let gateway = GatewayId::new(gateway).ok()?;
                Some((Key { gateway, address: None }, serde_json::from_str(token.get()).ok()?))
            };
            Ok(usable(layout.tokens.into_iter().map(entry)))
        }
        VERSION => {
            let layout: LayoutV2<'_> = serde_json::from_str(text).map_err(damaged)?;
            let entry = |entry: &RawValue| {
                let EntryV2 {
                    gateway,
                    address,
                    token,
                } = serde_json::from_str(entry.get()).ok()?;
                Some((Key { gateway, address }, token))
            };
            Ok(usable(layout.tokens.into_iter().map(entry)))
        }
        other => Err(TokenFileProblem::Version(other)),
    }
}

/// The entries that can be used. One that can't costs itself and nothing else.
fn usable(entries: impl Iterator<Item = Option<(Key, Secret)>>) -> Tokens {
    let (mut tokens, mut odd) = (Tokens::new(), 0_usize);
    for entry in entries {
        match entry.filter(|(_, token)| may_be_kept(token)) {
            Some((key, token)) => drop(tokens.insert(key, token)),
            None => odd += 1,
        }
    }
    if odd > 0 {
        tracing::warn!(entries = odd, "device tokens that can't be used are read over");
    }
    tokens
}

fn may_be_kept(token: &Secret) -> bool {
    !token.is_empty() && token.expose().len() <= DEVICE_TOKEN_MAX
}

fn render(tokens: &Tokens) -> Secret {
    let written = |(key, token): (&Key, &Secret)| {
        serde_json::json!(Written {
            gateway: key.gateway.as_str(),
            address: key.address.as_deref(),
            token: token.expose(),
        })
    };
    let tokens: Vec<_> = tokens.iter().map(written).collect();
    Secret::new(format!(
        "{:#}\n",
        serde_json::json!({ "version": VERSION, "tokens": tokens })
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// The key of a gateway on a host of its own.
    fn id(gateway: &str) -> TokenKey {
        at(gateway, &format!("ws://{gateway}.example"))
    }

    fn at(gateway: &str, address: &str) -> TokenKey {
        TokenKey::new(gateway.parse().unwrap(), address.parse().unwrap())
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
            ("{\"version\":3,\"tokens\":[]}", 0o600),
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
    fn an_entry_that_can_not_be_used_costs_itself_only() {
        let (_folder, path) = place();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let (long, good) = ("x".repeat(DEVICE_TOKEN_MAX + 1), id("good"));
        let address = good.address.address();
        for text in [
            format!(r#"{{"version":1,"tokens":{{"a b":"s3cret","b":5,"c":"{long}","d":"","good":"kept"}}}}"#),
            format!(
                r#"{{"version":2,"tokens":[{{"gateway":"a b","token":"s3cret"}},7,{{"gateway":"b"}},{{"gateway":"c","token":"{long}"}},
                {{"gateway":"good","address":"{address}","token":"kept"}}]}}"#
            ),
        ] {
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            let tokens = FileTokens::open(&path).unwrap();
            assert_eq!(tokens.load(&good), Some(Secret::new("kept")));
            tokens.store(&id("more"), &Secret::new("more")).unwrap();
            assert_eq!(read(&path).unwrap().len(), 2);
        }
    }

    #[test]
    fn what_could_not_be_read_again_is_not_written() {
        let (_folder, path) = place();
        let tokens = FileTokens::open(&path).unwrap();
        tokens.store(&id("a"), &Secret::new("one")).unwrap();
        let long = Secret::new("x".repeat(DEVICE_TOKEN_MAX + 1));
        for unfit in [long, Secret::new("")] {
            let told = tokens.store(&id("b"), &unfit).unwrap_err().to_string();
            assert!(told.contains("is kept") && !told.contains("xxx"), "{told}");
        }
        let most = Secret::new("x".repeat(DEVICE_TOKEN_MAX));
        let all: Tokens = (0..1100)
            .map(|n| (Key::from(&id(&format!("g{n}"))), most.clone()))
            .collect();
        let refused = private::replace(&path, render(&all).expose()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(tokens.load(&id("a")), Some(Secret::new("one")));
    }

    #[test]
    fn a_store_goes_on_with_what_it_last_read() {
        let (_folder, path) = place();
        let tokens = FileTokens::open(&path).unwrap();
        tokens.store(&id("a"), &Secret::new("one")).unwrap();
        fs::write(&path, "rubbish").unwrap();
        assert_eq!(tokens.load(&id("a")), Some(Secret::new("one")));
    }

    #[test]
    fn a_token_is_given_to_the_address_that_it_belongs_to_and_to_no_other() {
        let (_folder, path) = place();
        let tokens = FileTokens::open(&path).unwrap();
        let known = at("lab", "wss://gw.example/a");
        tokens.store(&known, &Secret::new("own")).unwrap();
        for other in [
            "wss://gw.example/b",
            "wss://gw.example",
            "ws://gw.example/a",
            "wss://gw.example:8443/a",
            "wss://gw2.example/a",
        ] {
            assert_eq!(tokens.load(&at("lab", other)), None, "{other}");
            tokens.clear(&at("lab", other)).unwrap();
        }
        assert_eq!(FileTokens::open(&path).unwrap().load(&known), Some(Secret::new("own")));
    }

    #[test]
    fn a_token_of_an_old_file_belongs_to_the_first_address_without_a_path_that_asks_for_it() {
        let (_folder, path) = place();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let old = r#"{"version":1,"tokens":{"gw.example-443":"by-address","lab":"by-name","h-1":"plain"}}"#;
        fs::write(&path, old).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let by_address = |text: &str| {
            let address: windlass_line::Endpoint = text.parse().unwrap();
            TokenKey::new(address.gateway_id(), address)
        };
        let tokens = FileTokens::open(&path).unwrap();
        for with_a_path in ["wss://gw.example/a", "ws://h:1/a"] {
            assert_eq!(tokens.load(&by_address(with_a_path)), None);
            assert_eq!(tokens.load(&at("lab", with_a_path)), None);
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), old, "nothing was changed yet");
        for (key, token) in [
            (by_address("wss://gw.example"), "by-address"),
            (by_address("ws://h:1"), "plain"),
            (at("lab", "ws://lab.example"), "by-name"),
        ] {
            assert_eq!(tokens.load(&key), Some(Secret::new(token)));
            assert_eq!(
                FileTokens::open(&path).unwrap().load(&key),
                Some(Secret::new(token)),
                "again"
            );
        }
        assert_eq!(tokens.load(&at("lab", "ws://elsewhere.example")), None);
    }
}
