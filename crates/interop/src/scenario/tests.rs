//! How scenarios end.

use std::io;

use super::*;
use crate::{group::Launcher, install::Installer};

/// A context on a pretended installation: enough for scenarios that start nothing.
async fn ctx() -> (Ctx, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let package = dir.path().join("2026.9.6/node_modules/openclaw");
    std::fs::create_dir_all(&package).expect("folders");
    std::fs::write(package.join("openclaw.mjs"), "").expect("a script");
    std::fs::write(dir.path().join("2026.9.6/.complete"), "").expect("a mark");
    let folder = Installer::new(dir.path().to_owned(), Launcher::direct(), Console::plain());
    let release = folder.find(&Release::newest()).expect("it is there");
    let model = FakeModel::start().await.expect("a model");
    (Ctx::new(release, model, Console::plain()), dir)
}

fn scenario(run: for<'a> fn(&'a Ctx) -> Run<'a>) -> Scenario {
    Scenario {
        name: "x",
        what: "x",
        deadline: Duration::from_millis(50),
        run,
    }
}

async fn why(run: for<'a> fn(&'a Ctx) -> Run<'a>) -> String {
    let (ctx, _dir) = ctx().await;
    match scenario(run).play(&ctx).await.0 {
        Outcome::Failed { why } => why,
        other => panic!("it did not fail: {other:?}"),
    }
}

#[tokio::test]
async fn an_error_fails_a_scenario_with_all_its_causes() {
    let said = why(|_| {
        Box::pin(async {
            let source = io::Error::other("the disk is full");
            Err(StartError::Io { what: "write", source })?;
            Ok(Outcome::passed())
        })
    })
    .await;
    assert_eq!(said, "cannot write: the disk is full");
}

#[tokio::test]
async fn a_panic_fails_a_scenario_and_spares_the_runner() {
    let said = why(|ctx| Box::pin(async move { panic!("on {}", ctx.release()) })).await;
    assert_eq!(said, "it panicked: on 2026.9.6");
}

#[tokio::test]
async fn a_scenario_without_end_fails_at_its_deadline() {
    let said = why(|_| Box::pin(std::future::pending())).await;
    assert_eq!(said, "no end after 0 s");
}

#[tokio::test]
async fn an_outcome_passes_through() {
    let (ctx, _dir) = ctx().await;
    let run = scenario(|_| Box::pin(async { Ok(Outcome::not_possible("no files")) }));
    let (outcome, _) = run.play(&ctx).await;
    assert_eq!(
        outcome,
        Outcome::NotPossible {
            reason: "no files".to_owned()
        }
    );
    assert_eq!((outcome.word(), outcome.text().as_str()), ("not possible", "no files"));
}

#[test]
fn a_check_names_what_was_expected_and_seen() {
    assert_eq!(check_eq("events", &2, &2), Ok(()));
    let failure = check_eq("events", &1, &2).expect_err("they differ");
    assert_eq!(failure.to_string(), "events: expected 2, saw 1");
}
