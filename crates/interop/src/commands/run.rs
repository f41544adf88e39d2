//! `run`: plays scenarios on releases, each with gateways of its own.

use std::{path::PathBuf, time::Duration};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use crate::{
    cli::RunArgs,
    clock,
    console::Console,
    exit::Exit,
    install::{InstallError, Installed, Installer},
    model::FakeModel,
    release::Release,
    report::{Cell, Record, Sheet, SheetError, Summary, page, sheet_beside, write_whole},
    scenario::{Ctx, Failure, Outcome, Scenario, with_causes},
};

pub(super) async fn run(args: &RunArgs, installer: &Installer, console: Console) -> Result<Exit, Failure> {
    let mut table = args
        .table
        .clone()
        .map(|page| Table::open(page, args.merge))
        .transpose()?;
    let releases = install(args.releases(), installer).await;
    let scenarios = args.scenarios();
    let cells = releases
        .iter()
        .flat_map(|release| scenarios.iter().map(move |scenario| (*scenario, release)));
    let mut ended = stream::iter(cells)
        .map(|(scenario, (release, installation))| play(scenario, release, installation, console))
        .buffer_unordered(usize::from(args.jobs));
    let mut records = Vec::new();
    while let Some(record) = ended.try_next().await? {
        tell(&record, args.json, console);
        if let Some(table) = &mut table {
            table.put(&record)?;
        }
        records.push(record);
    }
    let summary = Summary::of(&records);
    if args.json {
        console.result(&summary.json().to_string());
    }
    console.say(&summary.line());
    Ok(summary.into())
}

type Installation = Result<Installed, InstallError>;

/// One after the other: npm takes the whole machine.
async fn install(releases: Vec<Release>, installer: &Installer) -> Vec<(Release, Installation)> {
    let mut all = Vec::with_capacity(releases.len());
    for release in releases {
        let installation = installer.ensure(&release).await;
        all.push((release, installation));
    }
    all
}

/// The table, written after each scenario: a run of an hour that is interrupted keeps its results.
struct Table {
    page: PathBuf,
    sheet: Sheet,
    run: String,
}

impl Table {
    fn open(page: PathBuf, merge: bool) -> Result<Self, SheetError> {
        let sheet = if merge {
            Sheet::read(&sheet_beside(&page))?
        } else {
            Sheet::default()
        };
        let run = clock::today();
        Ok(Self { page, sheet, run })
    }

    fn put(&mut self, record: &Record) -> Result<(), SheetError> {
        self.sheet.put(Cell::of(record, &self.run));
        self.sheet.write(&sheet_beside(&self.page))?;
        write_whole(&self.page, &page(&self.sheet))
    }
}

async fn play(
    scenario: Scenario,
    release: &Release,
    installation: &Installation,
    console: Console,
) -> Result<Record, Failure> {
    let installed = match installation {
        Ok(installed) => installed.clone(),
        Err(error) => return Ok(not_installed(scenario, release, error)),
    };
    console.progress(release.name(), scenario.name);
    let model = FakeModel::start().await?;
    let (outcome, took) = scenario.play(&Ctx::new(installed, model, console)).await;
    Ok(Record {
        release: release.clone(),
        scenario,
        outcome,
        took,
    })
}

/// A scenario on a release that could not be installed: skipped without npm, else failed.
fn not_installed(scenario: Scenario, release: &Release, error: &InstallError) -> Record {
    let text = with_causes(error);
    let outcome = match error {
        InstallError::NpmMissing => Outcome::Skipped { reason: text },
        _ => Outcome::Failed { why: text },
    };
    Record {
        release: release.clone(),
        scenario,
        outcome,
        took: Duration::ZERO,
    }
}

fn tell(record: &Record, json: bool, console: Console) {
    if json {
        console.result(&record.json().to_string());
    }
    console.say(&record.line(&console));
}
