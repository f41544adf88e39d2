//! Where other commands on this machine find the running service of a store: a file beside the store.
//!
//! Only its owner reads it, because the token of this start is in it. It is removed when the service ends; after a kill the next start
//! writes over it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use windlass_operations::tokens::ApiToken;
use windlass_protocol::Secret;

use crate::exit::Failure;

/// The largest file that is read, in bytes: it has an address and a token.
const CONTENT_LIMIT: usize = 4096;
/// How long a service on this machine may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(1);

/// The content of the file.
#[derive(Serialize, Deserialize)]
struct AddressFileContent {
    url: String,
    pid: u32,
    token: String,
}

/// The file of a running service.
#[derive(Debug)]
pub(crate) struct AddressFile {
    path: PathBuf,
}

impl AddressFile {
    /// Writes it.
    pub(crate) fn write(store: &Path, address: SocketAddr, token: &ApiToken) -> Result<Self, Failure> {
        let path = beside(store);
        let content = AddressFileContent {
            url: format!("http://{address}"),
            pid: std::process::id(),
            token: token.expose().to_owned(),
        };
        let written = serde_json::to_vec(&content)
            .map_err(std::io::Error::from)
            .and_then(|content| {
                // Under another name first: no reader finds half a file, and no file of others is written into.
                let new = path.with_extension("serve.new");
                let _ = fs::remove_file(&new);
                let mut options = OpenOptions::new();
                options.write(true).create_new(true);
                #[cfg(unix)]
                std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
                options.open(&new)?.write_all(&content)?;
                fs::rename(&new, &path)
            });
        match written {
            Ok(()) => Ok(Self { path }),
            Err(error) => Err(Failure::usage(
                format!("{}: can't be written: {error}", path.display()),
                "Make the folder of the store writable.",
            )),
        }
    }
}

/// A service that runs for a store, as its file tells.
#[derive(Debug)]
pub(crate) struct RunningService {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// The token of its start.
    pub(crate) token: Secret,
}

impl RunningService {
    /// The service of a store. None where there is no file, or one of a service that was killed.
    pub(crate) async fn of_store(store: &Path) -> Option<Self> {
        let text = windlass_files::read_text(&beside(store), CONTENT_LIMIT).ok()?;
        let content: AddressFileContent = serde_json::from_str(&text).ok()?;
        let address = content.url.strip_prefix("http://")?.parse().ok()?;
        // After a kill the file stays, and nothing listens.
        let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
        connected.ok()?.ok()?;
        Some(Self {
            address,
            token: Secret::new(content.token),
        })
    }
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        // One that is gone already is what was asked for.
        let _ = fs::remove_file(&self.path);
    }
}

/// The path of the file of a store.
fn beside(store: &Path) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(".serve");
    store.with_file_name(name)
}
