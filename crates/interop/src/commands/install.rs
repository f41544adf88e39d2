//! `install`: makes sure that releases are installation.

use super::skip_or_fail;
use crate::{cli::InstallArgs, console::Console, exit::Exit, install::Installer, scenario::Failure};

pub(super) async fn install(args: &InstallArgs, installer: &Installer, console: Console) -> Result<Exit, Failure> {
    for release in &args.releases {
        match installer.ensure(release).await {
            Ok(installation) => console.result(&format!("{release} {}", installation.dir().display())),
            Err(error) => return skip_or_fail(&error, console),
        }
    }
    Ok(Exit::Good)
}
