//! Every request that a line sends stands the official JSON schema of generation 4.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::timeout;
use windlass::{Generation, Windlass, protocol::ErrorCode};
use windlass_testkit::schema::Schema;

use super::kit::{ANSWER, Bench, LOOK, Stream, TURN, UP, Verdict, Way, refusal, run_turn, tapped, wait_status};
use crate::{
    scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check},
    tail::run_to_end,
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "schema",
    what: "Every frame that is sent to a gateway of generation 4 stands the official JSON schema",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// The last package that carries the schema. A gateway may be newer; the schema check handles the
/// additions.
const PACKAGE: &str = "@openclaw/gateway-protocol";
const VERSION: &str = "2026.9.1";
/// 14 MB; seconds in general, minutes on a slow line.
const NPM_DEADLINE: Duration = Duration::from_secs(180);

/// Frames that went to the gateway.
type Sent = Arc<Mutex<Vec<String>>>;

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let sent = Sent::default();
    let keep = Arc::clone(&sent);
    let watch = move |way, text: &str| {
        if way == Way::ToGateway {
            lock(&keep).push(text.to_owned());
        }
        Verdict::Pass
    };
    let windlass = Windlass::builder().connector(tapped(watch)).start()?;
    let mut bench = Bench::with(ctx.gateway().await?, windlass, |_| {}).await?;
    let protocol = bench.wait_up().await?.protocol();
    if protocol != Some(4) {
        bench.finish().await?;
        let protocol = protocol.unwrap_or_default();
        return Ok(Outcome::not_possible(format!(
            "the schema is of generation 4, this gateway speaks {protocol}"
        )));
    }
    let schema = Schema::load(&schema_file(ctx).await?)?;
    let mut stream = Stream::of(&bench.gateway);
    work(&bench, &mut stream).await?;
    // In order: the configuration may still be written after the last change.
    bench.real.stop().await?;
    bench.real.start_again().await?;
    wait_status(&bench.gateway, "the second connection", UP, |status| {
        status.is_up() && status.generation == Generation::new(2)
    })
    .await?;
    run_turn(&bench, &mut stream, "agent:main:again", "again", TURN).await?;
    // Not before the kill: 2026.8.2 does not start again after it ("agent database is unavailable").
    bench.ask("agents.delete", json!({"agentId": "schema"})).await?;
    bench.finish().await?;
    let frames = lock(&sent).clone();
    for frame in &frames {
        schema.check_request(frame)?;
    }
    let connects = frames
        .iter()
        .filter(|frame| frame.contains(r#""method":"connect""#))
        .count();
    // More where a gateway that starts refused some.
    check(connects >= 2, || format!("{connects} connects were seen instead of 2"))?;
    Ok(Outcome::passed_with(format!("{} frames", frames.len())))
}

/// Something of everything that a supervisor does.
async fn work(bench: &Bench, stream: &mut Stream) -> Result<(), Failure> {
    let workspace = bench.real.state_dir().join("schema");
    bench
        .ask("agents.create", json!({"name": "Schema", "workspace": workspace}))
        .await?;
    until_listed(bench, "schema").await?;
    let file = json!({"agentId": "schema", "name": "SOUL.md"});
    let session = "agent:schema:main";
    let calls: [(&'static str, Value); 11] = [
        ("health", Value::Null),
        ("status", Value::Null),
        ("models.list", json!({})),
        ("config.get", json!({})),
        (
            "agents.files.set",
            json!({"agentId": "schema", "name": "SOUL.md", "content": "kind"}),
        ),
        ("agents.files.get", file),
        ("sessions.list", json!({"limit": 5})),
        ("device.pair.list", json!({})),
        ("cron.list", json!({"includeDisabled": true})),
        ("chat.history", json!({"sessionKey": session, "limit": 5})),
        ("chat.abort", json!({"sessionKey": session, "runId": "no-such-run"})),
    ];
    for (method, params) in calls {
        // Sent is enough: 2026.9.6 has no model catalog yet, and says so, while it starts.
        let end = bench.gateway.call(method, params).timeout(ANSWER).await;
        let later = refusal(&end).is_some_and(|rejected| rejected.error.code == ErrorCode::Unavailable);
        check(end.is_ok() || later, || format!("{method} ended as {end:?}"))?;
    }
    run_turn(bench, stream, "agent:schema:main", "hello", TURN).await?;
    let params = json!({"message": "hello", "sessionKey": "agent:schema:by-agent"});
    bench.gateway.call("agent", params).timeout(TURN).final_answer().await?;
    bench
        .ask("sessions.patch", json!({"key": "agent:schema:main", "label": "one"}))
        .await?;
    bench
        .ask("sessions.delete", json!({"key": "agent:schema:by-agent"}))
        .await?;
    Ok(())
}

/// Waits until the gateway lists the agent: 2026.9.6 answers `agents.create` before it knows it.
async fn until_listed(bench: &Bench, id: &str) -> Result<(), Failure> {
    let look = async {
        loop {
            let list = bench.ask("agents.list", json!({})).await?;
            let agents = list["agents"].as_array();
            if agents.is_some_and(|agents| agents.iter().any(|agent| agent["id"] == id)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    timeout(UP, look).await?
}

/// The schema file, from npm when it is not there yet.
async fn schema_file(ctx: &Ctx) -> Result<PathBuf, Failure> {
    let installed = ctx.installed();
    let releases = installed.dir().parent().unwrap_or(installed.dir());
    let dir = releases.join(format!(".gateway-protocol-{VERSION}"));
    let file = dir.join("node_modules").join(PACKAGE).join("protocol.schema.json");
    if !file.is_file() {
        ctx.progress("installing the schema from npm");
        std::fs::create_dir_all(&dir)?;
        let mut npm = installed.launcher().command("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--no-package-lock"])
            .args(["--ignore-scripts", "--no-progress"])
            .arg(format!("{PACKAGE}@{VERSION}"))
            .current_dir(&dir)
            .env("PATH", installed.path())
            .stdin(Stdio::null());
        run_to_end(&mut npm, NPM_DEADLINE).await?;
    }
    Ok(file)
}

fn lock(sent: &Sent) -> std::sync::MutexGuard<'_, Vec<String>> {
    // A list of texts is whole after any panic.
    sent.lock().unwrap_or_else(PoisonError::into_inner)
}
