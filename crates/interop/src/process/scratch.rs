//! The folder of a gateway, and the values that can be read from it.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// The shown length of a log's end: enough for the failure and its cause.
const TAIL_BYTES: u64 = 8 * 1024;

/// A state folder: removed when dropped, unless it was given by the caller or is to be kept.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
    /// Held for its drop, which removes the folder.
    _owned: Option<TempDir>,
}

impl Scratch {
    /// Makes a fresh folder, or takes `given` as it is; `given` is never removed.
    pub(super) fn new(given: Option<&Path>) -> io::Result<Self> {
        let (path, owned) = if let Some(path) = given {
            fs::create_dir_all(path)?;
            (path.canonicalize()?, None)
        } else {
            let dir = tempfile::Builder::new().prefix("windlass-interop-").tempdir()?;
            (dir.path().canonicalize()?, Some(dir))
        };
        fs::create_dir_all(path.join("home"))?;
        Ok(Self { path, _owned: owned })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn config_file(&self) -> PathBuf {
        self.path.join("openclaw.json")
    }

    /// The file with the output of the gateway process.
    pub(super) fn log_file(&self) -> PathBuf {
        self.path.join("gateway.log")
    }

    /// The end of the gateway's output, with `secret` replaced.
    pub(super) fn log_tail(&self, secret: &str) -> String {
        let tail = read_tail(&self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&tail).replace(secret, "[token]")
    }
}

fn read_tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut tail)?;
    Ok(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_folder_goes_and_a_given_one_stays() {
        let fresh = Scratch::new(None).expect("a folder");
        let path = fresh.path().to_owned();
        assert!(path.join("home").is_dir());
        drop(fresh);
        assert!(!path.exists());

        let keeper = tempfile::tempdir().expect("a folder");
        drop(Scratch::new(Some(keeper.path())).expect("a folder"));
        assert!(keeper.path().join("home").is_dir());
    }

    #[test]
    fn the_log_tail_is_bounded_and_hides_the_token() {
        let scratch = Scratch::new(None).expect("a folder");
        assert_eq!(scratch.log_tail("s3cret"), "", "no log yet");
        let text = format!("{}the token s3cret", "x".repeat(20_000));
        fs::write(scratch.log_file(), text).expect("a log");
        let tail = scratch.log_tail("s3cret");
        assert!(tail.ends_with("xthe token [token]"), "{tail}");
        assert!(tail.len() <= 8 * 1024 + 10);
    }
}
