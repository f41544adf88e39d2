//! `windlass completions` and `windlass man`: what a package of the program installs beside it.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use crate::exit::{ExitCode, Failure};
use crate::output::Output;

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  windlass completions bash > /etc/bash_completion.d/windlass
  windlass completions zsh > ~/.zfunc/_windlass
  windlass completions fish > ~/.config/fish/completions/windlass.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Write the manual pages into a folder
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The folder, which has to exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

pub(crate) fn write_completions(args: &CompletionsArgs, output: &Output) -> Result<ExitCode, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command(), "windlass", &mut text);
    output.write(&String::from_utf8_lossy(&text))?;
    Ok(ExitCode::Ok)
}

pub(crate) fn write_pages(args: &ManArgs, output: &Output) -> Result<ExitCode, Failure> {
    let written = clap_mangen::generate_to(crate::command(), &args.folder);
    written.map_err(|error| {
        Failure::usage(
            format!("{}: the pages can't be written: {error}", args.folder.display()),
            "Name a folder that exists and that you may write to.",
        )
    })?;
    output.line(&format!("manual pages are in {}", args.folder.display()))?;
    Ok(ExitCode::Ok)
}
