//! A job on agents, done by the running service of the store: one process at a time works with a store's agents.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use windlass::agents::{FleetReport, Job, ProvisionProgress, RunOptions, SyncOptions, TokenRule, Wake};
use windlass_protocol::Advice;

use crate::agents::context::{AllDown, FileArgs};
use crate::agents::progress::{FleetScreen, report_exit, show_report};
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::serve::address_file::RunningService;
use crate::store::{self, Records};

/// The interval between two looks at a job.
const LOOK: Duration = Duration::from_millis(200);
/// How long the service may take to answer one request; a job itself is looked at again and again.
const ANSWER: Duration = Duration::from_secs(30);
/// The largest answer that is read, in bytes: a report of ten thousand agents.
const ANSWER_LIMIT: usize = 64 * 1024 * 1024;

/// The running service of the store, unless there is none.
pub(crate) fn service(global: &Global) -> Result<impl Future<Output = Option<RunningService>>, Failure> {
    let path = store::path(global)?;
    Ok(async move { RunningService::of_store(&path).await })
}

/// The same, for a job with flags about agents' files: the service has settings of its own.
pub(crate) fn service_of(
    global: &Global,
    files: &FileArgs,
) -> Result<impl Future<Output = Option<RunningService>>, Failure> {
    let given = files.given();
    let found = service(global)?;
    Ok(async move {
        let found = found.await?;
        if let Some(flag) = given {
            // The caller then finds the store owned, and says so.
            tracing::error!("{flag} is not taken by the running service of this store: stop it, or leave the flag out");
            return None;
        }
        Some(found)
    })
}

/// A job of the service, as far as it is shown.
#[derive(Deserialize)]
struct RemoteJob {
    id: String,
    state: String,
    progress: Vec<Value>,
    report: Option<FleetReport>,
    error: Option<String>,
}

/// Lets the service do a job, and shows it to its end.
pub(crate) async fn work(
    service: &RunningService,
    command: &str,
    job: &Job,
    records: &Records,
    output: &Output,
) -> Result<ExitCode, Failure> {
    let (path, body) = request_of(job);
    let started = ask(service, Method::POST, &path, Some(&body)).await?;
    let report = if started.is_null() {
        // Forgetting a gateway has no report of its own.
        FleetReport::default()
    } else {
        follow(service, read(started)?, output).await?
    };
    let exit = report_exit(&report, &AllDown::new());
    show_report(command, &report, records, output)?;
    Ok(exit)
}

async fn follow(service: &RunningService, mut job: RemoteJob, output: &Output) -> Result<FleetReport, Failure> {
    let mut screen = FleetScreen::new(output);
    let mut shown = 0;
    loop {
        for news in job.progress.iter().skip(shown) {
            // News of a later version are not shown.
            if let Ok(news) = serde_json::from_value::<ProvisionProgress>(news.clone()) {
                screen.show(&news)?;
            }
        }
        shown = job.progress.len();
        if job.state != "running" {
            break;
        }
        tokio::time::sleep(LOOK).await;
        let path = format!("/api/v1/operations/{}", job.id);
        job = read(ask(service, Method::GET, &path, None).await?)?;
    }
    screen.clear();
    let why = job.error.unwrap_or_default();
    job.report.ok_or_else(|| {
        Failure::Told(
            ExitCode::Agents,
            Advice::new(
                format!("The service did not end the job: {why}"),
                "Run the same command again: it continues.",
            ),
        )
    })
}

/// The request that asks the service for a job.
fn request_of(job: &Job) -> (String, Value) {
    match job {
        Job::Provision { agents, options } => ("/api/v1/agents/provision".into(), provision(&json!(agents), *options)),
        Job::Delete { agents, delete_files } => (
            "/api/v1/agents/delete".into(),
            json!({"agents": agents, "delete_files": delete_files}),
        ),
        Job::Forget { agents } => (
            "/api/v1/agents/delete".into(),
            json!({"agents": agents, "forget": true}),
        ),
        Job::ForgetGateway { gateway } => (format!("/api/v1/gateways/{gateway}/forget"), json!({})),
        Job::Sync { gateway, options } => ("/api/v1/agents/sync".into(), sync(&json!(gateway), options)),
    }
}

fn provision(agents: &Value, options: RunOptions) -> Value {
    let wake = match options.wake {
        Wake::Never => "never",
        Wake::Always => "always",
        Wake::IfChanged | Wake::UnlessSeen => "if_changed",
    };
    json!({
        "agents": agents,
        "wake": wake,
        "reset_session": options.reset_session,
        "overwrite": options.overwrite,
        "force_bootstrap": options.force_bootstrap,
        "rotate_token": options.token == TokenRule::Rotate,
    })
}

fn sync(gateway: &Value, options: &SyncOptions) -> Value {
    json!({
        "gateway": gateway,
        "board": options.board,
        "include_main": options.include_main,
        "lead_only": options.lead_only,
        "reset_sessions": options.reset_sessions,
        "rotate_tokens": options.rotate_tokens,
        "force_bootstrap": options.force_bootstrap,
        "overwrite": options.overwrite,
    })
}

fn read(job: Value) -> Result<RemoteJob, Failure> {
    serde_json::from_value(job).map_err(|error| unusable(&format!("its answer is not understood: {error}")))
}

/// Sends one request over a connection of its own. An error of the service is told in the service's words.
async fn ask(service: &RunningService, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failure> {
    let answered = tokio::time::timeout(ANSWER, exchange(service, method, path, body)).await;
    let (status, body) = answered
        .map_err(|_| unusable("no answer in time"))?
        .map_err(|error| unusable(&error.to_string()))?;
    if status < 400 {
        return Ok(body);
    }
    let text = |member: &str| body[member].as_str().unwrap_or_default().to_owned();
    let exit = if status == 403 {
        ExitCode::Refused
    } else {
        ExitCode::Usage
    };
    Err(Failure::Told(exit, Advice::new(text("detail"), text("advice"))))
}

async fn exchange(
    service: &RunningService,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Value), Box<dyn std::error::Error + Send + Sync>> {
    let address: SocketAddr = service.address;
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let driver = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, address.to_string())
        .header(AUTHORIZATION, format!("Bearer {}", service.token.expose()))
        .header(CONTENT_TYPE, "application/json");
    let body = body.map(ToString::to_string).unwrap_or_default();
    let response = sender.send_request(request.body(Full::new(Bytes::from(body)))?).await?;
    let status = response.status().as_u16();
    let bytes = Limited::new(response.into_body(), ANSWER_LIMIT)
        .collect()
        .await?
        .to_bytes();
    driver.abort();
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes)?
    };
    Ok((status, body))
}

fn unusable(why: &str) -> Failure {
    Failure::Told(
        ExitCode::Unreachable,
        Advice::new(
            format!("The service that runs for this store can't be used: {why}"),
            "Look into the log of windlass serve, or stop it and run this again.",
        ),
    )
}
