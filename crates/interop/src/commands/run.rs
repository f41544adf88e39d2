//! `run`: plays scenarios on releases, one gateway at a time.

use std::{path::PathBuf, time::Duration};

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
    let mut records = Vec::new();
    for release in args.releases() {
        let installation = installer.ensure(&release).await;
        for scenario in args.scenarios() {
            let record = match &installation {
                Ok(installation) => play(scenario, installation, console).await?,
                Err(error) => not_installed(scenario, &release, error),
            };
            tell(&record, args.json, console);
            if let Some(table) = &mut table {
                table.put(&record)?;
            }
            records.push(record);
        }
    }
    let summary = Summary::of(&records);
    if args.json {
        console.result(&summary.json().to_string());
    }
    console.say(&summary.line());
    Ok(summary.into())
}

/// The table, written after each scenario: an hour's run that is interrupted leaves what it found.
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

async fn play(scenario: Scenario, installation: &Installed, console: Console) -> Result<Record, Failure> {
    console.progress(installation.release().name(), scenario.name);
    let model = FakeModel::start().await?;
    let ctx = Ctx::new(installation.clone(), model, console);
    let (outcome, took) = scenario.play(&ctx).await;
    Ok(Record {
        release: installation.release().clone(),
        scenario,
        outcome,
        took,
    })
}

/// A scenario on a release that could not be installation: skipped without npm, else failed.
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
