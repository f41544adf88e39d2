//! `windlass chaos`: a fault-injecting proxy in front of a real gateway.
//!
//! | module | contents |
//! |---|---|
//! | `plan` | the file that lists the faults |
//! | `storm` | the plan as faults in the order of time |
//! | `probe` | a line through the proxy that makes calls and sends messages, and the checks of its guarantees |
//! | `screen` | faults and results on the screen, and the counts at the end |

mod plan;
mod probe;
mod screen;
mod storm;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use windlass::Windlass;
use windlass::sessions::SessionKey;
use windlass_line::{Clock as _, Connector as _, Endpoint, GatewaySpec, TcpConnector, TokioClock};
use windlass_protocol::{Advice, Advise as _};
use windlass_testkit::ChaosProxy;

use crate::chaos::plan::ChaosPlan;
use crate::chaos::probe::{Counts, Probe, ProbeOptions};
use crate::chaos::screen::ChaosScreen;
use crate::chaos::storm::Storm;
use crate::exit::{ExitCode, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::session::{self, DeviceTokens, Target};
use crate::units::parse_span;

/// Checks the text of a plan; for `crate::fuzzing`.
pub(crate) fn check_plan(path: &Path, text: &str) -> Result<String, String> {
    let plan = plan::parse(path, text);
    plan.map(|plan| format!("{plan:?}")).map_err(|error| error.to_string())
}

/// Between two drawings of the live table.
const FRAME: Duration = Duration::from_millis(200);
/// Entries of the log that wait to be shown: five thousand a second may come. A run of days takes no more.
const LOG_KEPT: usize = 1024;
/// Seed where neither a flag nor the plan gives one: a run repeats unless it is asked for another.
const SEED: u64 = 1;

/// Run a fault-injecting proxy in front of a gateway
///
/// Forwards clients to the gateway, and cuts, delays, stalls, truncates and corrupts their traffic, by a plan or at random. Point
/// any client at the address that it prints, or use --probe for a built-in client that verifies the guarantees of Windlass. Any
/// client that reaches the address reaches the gateway.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  windlass chaos --upstream ws://127.0.0.1:18789
  windlass chaos --upstream ws://127.0.0.1:18789 --plan chaos.toml --for 10m --probe
  windlass chaos --gateway lab --probe --calls-per-second 50 --chat agent:main:main --json

Without a plan: a random network fault every 5 s on average. docs/chaos.md describes plans.")]
pub(crate) struct ChaosArgs {
    /// The gateway, ws://HOST:PORT or wss://HOST [default: the one that --url, --gateway or the configuration names]
    #[arg(long, value_name = "URL", conflicts_with_all = ["url", "gateway", "config"])]
    upstream: Option<String>,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The plan of faults, as TOML
    #[arg(long, value_name = "FILE")]
    plan: Option<PathBuf>,
    /// The random seed [default: that of the plan, or 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Stop after this long [default: that of the plan, or when interrupted]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_span)]
    lasts: Option<Duration>,
    /// Send read-only test traffic through the proxy and verify the delivery guarantees
    #[arg(long)]
    probe: bool,
    /// The number of calls of the probe per second
    #[arg(long, value_name = "N", requires = "probe", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    calls_per_second: u32,
    /// Let the probe send a message to this session every 5 s and wait for the answer (the model may cost money); repeat it for
    /// several sessions, which take turns
    #[arg(long, value_name = "SESSION", requires = "probe")]
    chat: Vec<SessionKey>,
}

pub(crate) async fn run(global: &Global, args: ChaosArgs, output: &Output) -> Result<ExitCode, Failure> {
    let plan = match &args.plan {
        Some(path) => plan::read(path)?,
        None => ChaosPlan::default(),
    };
    let seed = args.seed.or(plan.seed).unwrap_or(SEED);
    let (target, _, tokens) = session::prepare_one(&chosen(global, &args), output).await?;
    reach(&target).await?;
    let proxy = listen(&args, &target, seed).await?;
    let url = front(&proxy, &target)?;
    let mut screen = ChaosScreen::new(output);
    screen.introduce(&url.to_string(), &target.endpoint.to_string(), seed)?;
    let own = if args.probe {
        Some(drive(&args, target, url, tokens).await?)
    } else {
        None
    };
    let clock = TokioClock::start();
    let begun = clock.now();
    let elapsed = move || clock.now().saturating_duration_since(begun);
    let storm = Storm::new(&plan, seed);
    let ended = tokio::select! {
        ended = follow(&proxy, own.as_ref().map(|(_, probe)| probe), &mut screen, &elapsed) => ended,
        ended = play(storm, &proxy, args.lasts.or(plan.lasts)) => ended,
    };
    ended?;
    let at = elapsed();
    conclude(&proxy, own, &mut screen, at).await
}

/// The gateways that flags choose, `--upstream` being one.
fn chosen(global: &Global, args: &ChaosArgs) -> Global {
    let mut global = global.clone();
    if args.upstream.is_some() {
        global.url.clone_from(&args.upstream);
    }
    global
}

/// A gateway that is not there is told at once.
async fn reach(target: &GatewaySpec) -> Result<(), Failure> {
    let dialled = TcpConnector::default().dial(&target.endpoint, &target.tls).await;
    dialled.map(drop).map_err(|error| {
        let Advice { summary, next_step } = error.advice();
        let summary = format!("{}: {summary}", target.endpoint);
        Failure::Told(ExitCode::Unreachable, Advice::new(summary, next_step))
    })
}

async fn listen(args: &ChaosArgs, target: &GatewaySpec, seed: u64) -> Result<ChaosProxy, Failure> {
    let (endpoint, tls) = (target.endpoint.clone(), target.tls.clone());
    // What a browser would say as Origin ends with the host as HTTP wants it.
    let origin = endpoint.origin();
    let host = origin.split("://").last().unwrap_or_default().to_owned();
    let dialer = move || {
        let (endpoint, tls) = (endpoint.clone(), tls.clone());
        async move {
            let dialled = TcpConnector::default().dial(&endpoint, &tls).await;
            dialled.map_err(std::io::Error::other)
        }
    };
    let proxy = ChaosProxy::builder()
        .listen(args.listen)
        .host(host)
        .seed(seed)
        .log_limit(LOG_KEPT);
    proxy.tcp(dialer).await.map_err(|error| {
        Failure::usage(
            format!("--listen {}: {error}", args.listen),
            "Give another address, or port 0 for a free one.",
        )
    })
}

/// The gateway's address with the proxy in its place.
fn front(proxy: &ChaosProxy, target: &GatewaySpec) -> Result<Endpoint, Failure> {
    let upstream = target.endpoint.address();
    let rest = upstream.split("://").last().unwrap_or_default();
    let path = rest.find('/').map_or("", |at| &rest[at..]);
    Endpoint::parse(&format!("{}{path}", proxy.url())).map_err(|error| Failure::usage(error.to_string(), ""))
}

async fn drive(
    args: &ChaosArgs,
    mut target: Target,
    url: Endpoint,
    tokens: DeviceTokens,
) -> Result<(Windlass, Probe), Failure> {
    // The proxy is ours and leads to the gateway alone, so the gateway's own device token may go there.
    let tokens = DeviceTokens::Of(target.token_key(), Box::new(tokens));
    target.spec.endpoint = url;
    let (windlass, gateways) = session::open(std::slice::from_ref(&target), tokens).await?;
    let [gateway] = gateways.as_slice() else {
        return Err(Failure::usage("the probe works with one gateway", ""));
    };
    let options = ProbeOptions {
        calls_per_second: args.calls_per_second,
        chat: args.chat.clone(),
    };
    let probe = Probe::start(gateway, options);
    Ok((windlass, probe))
}

/// Injects the planned faults until the time is up or an interrupt comes, or, with neither, until the plan ends.
async fn play(storm: Storm, proxy: &ChaosProxy, lasts: Option<Duration>) -> Result<(), Failure> {
    let storm = async {
        match lasts {
            // A storm that is over early leaves calm behind.
            Some(lasts) => drop(tokio::join!(
                tokio::time::timeout(lasts, storm.play(proxy)),
                tokio::time::sleep(lasts)
            )),
            None => storm.play(proxy).await,
        }
    };
    tokio::select! {
        () = storm => Ok(()),
        interrupt = tokio::signal::ctrl_c() => interrupt.map_err(Failure::Output),
    }
}

/// Shows the events as long as it is polled.
async fn follow(
    proxy: &ChaosProxy,
    probe: Option<&Probe>,
    screen: &mut ChaosScreen<'_>,
    elapsed: &impl Fn() -> Duration,
) -> Result<(), Failure> {
    let (mut logged, mut seen) = (proxy.logged(), 0_u64);
    let mut generation = None;
    loop {
        // Seen before it is read: what is written in between wakes the loop once more, and nothing is passed over.
        logged.borrow_and_update();
        let page = proxy.log_since(seen);
        seen = page.next;
        screen.tell(&page)?;
        if let Some(status) = probe.map(Probe::status)
            && generation.replace((status.generation, status.is_up())) != Some((status.generation, status.is_up()))
        {
            screen.tell_line(elapsed(), &status)?;
        }
        if screen.redraws() {
            screen.draw(elapsed(), probe)?;
        }
        // The line's changes follow the log's, and the table is drawn in between.
        let _ = tokio::time::timeout(FRAME, logged.changed()).await;
    }
}

async fn conclude(
    proxy: &ChaosProxy,
    own: Option<(Windlass, Probe)>,
    screen: &mut ChaosScreen<'_>,
    at: Duration,
) -> Result<ExitCode, Failure> {
    proxy.calm();
    let mut counts: Option<Counts> = None;
    if let Some((windlass, probe)) = own {
        counts = Some(probe.conclude().await);
        session::close(windlass).await;
    }
    proxy.shutdown().await;
    screen.conclude(at, counts.as_ref())?;
    Ok(match counts {
        Some(counts) if counts.broken > 0 => ExitCode::Rejected,
        _ => ExitCode::Ok,
    })
}
