//! `windlass serve`: Windlass as a service.
//!
//! | module | contents |
//! |---|---|
//! | `address_file` | where other commands on this machine find the running service |
//! | `demo` | twenty simulated gateways with agents, and faults |

pub(crate) mod address_file;
mod demo;

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use windlass::Windlass;
use windlass::sessions::Outbox;
use windlass::store::{GatewayUid, Store};
use windlass_line::TokioClock;
use windlass_operations::tokens::ApiToken;
use windlass_operations::{ConfiguredGateway, Service, ServiceParts};
use windlass_protocol::Advice;
use windlass_serve::{Authenticator, ListenError, ServeConfig, Server};

use crate::agents::context::TemplateArgs;
use crate::exit::{ExitCode, Failure, with_causes};
use crate::global::Global;
use crate::interrupts::stop_signal;
use crate::output::{DIM, GOOD, HEAD, Output, advice_line};
use crate::serve::address_file::AddressFile;
use crate::serve::demo::DemoFleet;
use crate::session::{self, DeviceTokens};
use crate::store::{self, Missing, random, shown};

/// Run Windlass as a service with an HTTP interface
///
/// Keeps a line to every recorded and configured gateway, supervises the agents of the store, records events, and serves the interface
/// that /openapi.json describes. Requests need a token: windlass tokens create makes one, and the service prints one that holds
/// until it ends. Exits with 0 on SIGINT and SIGTERM, after the requests under way.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The address to listen on
    #[arg(
        long,
        value_name = "ADDRESS",
        default_value = "127.0.0.1:7420",
        env = "WINDLASS_LISTEN",
        hide_env_values = true
    )]
    listen: SocketAddr,
    /// A name by which clients reach the service, beside addresses and localhost; repeat it for several
    #[arg(long = "host", value_name = "NAME")]
    hosts: Vec<String>,
    /// Listen beyond this machine without TLS, for example behind a proxy that ends TLS
    #[arg(long)]
    insecure_http: bool,
    /// Do not record events
    #[arg(long)]
    no_record: bool,
    /// Serve twenty simulated gateways with agents and faults, in memory
    #[arg(long)]
    demo: bool,
    #[command(flatten)]
    templates: TemplateArgs,
}

pub(crate) async fn run(global: &Global, args: &ServeArgs, output: &Output) -> Result<ExitCode, Failure> {
    let mut stop = std::pin::pin!(stop_signal()?);
    // Before the lines start, which take their counters then.
    if let Err(error) = windlass_serve::metrics::install(false) {
        output.note(&format!("no metrics: {error}"));
    }
    let token = ApiToken::from_bytes(random()?);
    let config = ServeConfig {
        listen: args.listen,
        hosts: args.hosts.clone(),
        insecure_http: args.insecure_http,
    };
    let (service, demo) = if args.demo {
        let (fleet, service) = DemoFleet::start(!args.no_record).await?;
        (service, Some(fleet))
    } else {
        (start(global, args, output).await?, None)
    };
    let server = Server::bind(service.clone(), Authenticator::new(&token), &config).await;
    let server = server.map_err(|error| refused(&error))?;
    let address = server.address()?;
    // Removed when it is dropped.
    let file = match &demo {
        Some(_) => None,
        None => Some(AddressFile::write(&store::path(global)?, address, &token)?),
    };
    introduce(output, address, &token, demo.as_ref())?;
    let running = tokio::spawn(server.run());
    if let Some(demo) = &demo {
        demo.play(&service, &mut stop).await;
    } else {
        stop.as_mut().await;
    }
    output.note("stopping: requests under way are answered first");
    service.begin_shutdown();
    // The end of the server is what is waited for; how it ended is of no use any more.
    let _ = running.await;
    drop(file);
    service.shutdown().await;
    if let Some(demo) = demo {
        demo.end().await;
    }
    Ok(ExitCode::Ok)
}

/// Opens the store, and starts lines, agents and the recorder.
async fn start(global: &Global, args: &ServeArgs, output: &Output) -> Result<Service, Failure> {
    let store = store::open_any(global, Missing::Make).await? as Arc<dyn Store>;
    store::organization(&*store).await?;
    let outbox = Outbox::open(Arc::clone(&store)).await.map_err(|error| owned(&error))?;
    let (device, tokens) = session::default_device()?;
    let windlass = Windlass::builder()
        .device_tokens(DeviceTokens::File(tokens))
        .outbox(outbox)
        .start()?;
    let agents = windlass.agents(Arc::clone(&store)).device(device);
    let agents = args.templates.apply(agents)?.supervise(true).start().await?;
    let writer = if args.no_record {
        None
    } else {
        let started = windlass.journal(Arc::clone(&store)).writer().start().await;
        Some(started.map_err(|error| owned(&error))?)
    };
    let configured = configured_gateways(global, &windlass, output).await?;
    let parts = ServiceParts {
        windlass,
        store,
        agents,
        writer,
        configured,
        clock: Arc::new(TokioClock::start()),
    };
    Ok(Service::start(parts).await?)
}

/// Opens lines to the gateways of `windlass.toml`. One that can't be used is told of, and keeps no other from working.
async fn configured_gateways(
    global: &Global,
    windlass: &Windlass,
    output: &Output,
) -> Result<Vec<ConfiguredGateway>, Failure> {
    let (listed, malformed) = session::configured(global)?;
    if listed.is_empty() && malformed.is_empty() {
        return Ok(Vec::new());
    }
    let setup = session::prepare_listed(global, output).await?;
    for (_, unusable) in &setup.unusable {
        output.note(&format!("{}: {}", unusable.name, advice_line(&unusable.why)));
    }
    let mut configured = Vec::new();
    for target in setup.targets {
        // A line that is called by a record's id is opened by its record.
        if target.spec.id.as_str().parse::<GatewayUid>().is_ok() {
            continue;
        }
        configured.push(ConfiguredGateway {
            id: target.spec.id.clone(),
            name: target.name.clone(),
            url: shown(&target.spec.endpoint.to_string()),
        });
        windlass.add(target.spec).await?;
    }
    Ok(configured)
}

fn owned(error: &dyn std::error::Error) -> Failure {
    Failure::Told(
        ExitCode::Owned,
        Advice::new(
            with_causes(error),
            "One process at a time works with a store: end that one first.",
        ),
    )
}

fn refused(error: &ListenError) -> Failure {
    Failure::usage(
        error.to_string(),
        match error {
            ListenError::NeedsTls(_) => {
                "Listen on 127.0.0.1 behind a proxy that ends TLS, or give --insecure-http if the network is yours alone."
            }
            _ => "Give another address with --listen.",
        },
    )
}

/// Says where the service is, and how to ask it.
fn introduce(output: &Output, address: SocketAddr, token: &ApiToken, demo: Option<&DemoFleet>) -> Result<(), Failure> {
    let url = format!("http://{address}");
    if output.json() {
        // The one place that shows the token: to the person who started the service, and to no log.
        output.value(&json!({"news": "serving", "url": url, "token": token.expose()}))?;
        return Ok(());
    }
    output.line(&format!("{GOOD}serving{GOOD:#} {url}"))?;
    if let Some(demo) = demo {
        output.line(&format!("{DIM}{}{DIM:#}", demo.describe()))?;
    }
    output.line(&format!("{HEAD}try it{HEAD:#}, with the token of this start:"))?;
    output.line(&format!("  export TOKEN={}", token.expose()))?;
    for path in ["/api/v1/gateways?limit=3", "/api/v1/events?after=now"] {
        output.line(&format!("  curl -sN -H \"Authorization: Bearer $TOKEN\" '{url}{path}'"))?;
    }
    output.line(&format!("  curl -s '{url}/openapi.json'"))?;
    Ok(())
}
