//! A gateway is told by a signal to restart inside its process.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use windlass::{Generation, Windlass};

use super::kit::{Bench, Stream, TURN, UP, run_turn};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, USUAL_DEADLINE, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "restart-signal",
    what: "The restart signal: the line goes and comes back, and the stream says that the gateway restarted",
    deadline: USUAL_DEADLINE,
    run: |ctx| Box::pin(run(ctx)),
};

/// How long a signal may take to end the connection: 0.1 to 1.4 s where it is heeded.
const NOTICE: Duration = Duration::from_secs(3);
/// How often it is sent: a gateway may be deaf to it while it is still starting.
const ATTEMPTS: usize = 4;
/// The output of Node.js if a program has no handler of its own for SIGUSR1.
const UNHANDLED: [&str; 2] = ["Debugger listening", "Starting inspector"];

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    // 2026.1.30 takes the signal only where this is set; the later ones are born with it.
    let real = ctx.gateway_config(json!({"commands": {"restart": true}})).await?;
    let mut bench = Bench::with(real, Windlass::start()?, |_| {}).await?;
    bench.wait_up().await?;
    let mut stream = Stream::of(&bench.gateway);
    // A turn shows that the gateway is done with starting. Before that 2026.4.15 is deaf to the
    // signal, and 2026.5.12, in two runs of four, never heeds one again.
    run_turn(&bench, &mut stream, "agent:main:started", "started", TURN).await?;
    // In this order: where SIGUSR1 does nothing, SIGUSR2 restarts (2026.9.6); where SIGUSR1
    // restarts, SIGUSR2 would end the process (2026.3.13).
    for (name, signal) in [("SIGUSR1", Signal::USR1), ("SIGUSR2", Signal::USR2)] {
        let Some(down) = heeded(&bench, &mut stream, signal).await? else {
            continue;
        };
        check_eq("the connection that ended", &down, &Generation::new(1))?;
        let up = tokio::select! {
            up = stream.back(UP) => up?,
            exit = bench.real.wait_exit(UP) => {
                exit?;
                return Ok(Outcome::not_possible(format!("no signal restarts it: {name} ends the process")));
            }
        };
        let back = (Generation::new(2), Some(true));
        check_eq("the next connection, and whether the gateway restarted", &up, &back)?;
        bench.ask("agents.list", json!({})).await?;
        bench.finish().await?;
        return Ok(Outcome::passed_with(format!("the signal is {name}")));
    }
    Ok(Outcome::not_possible("neither SIGUSR1 nor SIGUSR2 restarts it"))
}

/// Sends the signal until the connection ends. Nothing when it is none that the gateway heeds.
async fn heeded(bench: &Bench, stream: &mut Stream, signal: Signal) -> Result<Option<Generation>, Failure> {
    for _ in 0..ATTEMPTS {
        bench.real.signal(signal)?;
        if let Ok(down) = stream.down(NOTICE).await {
            return Ok(Some(down));
        }
        let log = bench.real.log_tail();
        if signal == Signal::USR1 && UNHANDLED.iter().any(|words| log.contains(words)) {
            return Ok(None);
        }
    }
    Ok(None)
}
