//! `windlass demo`: what Windlass is for, in a quarter of a minute.
//!
//! | module | what |
//! |---|---|
//! | `stage` | three simulated gateways, and Windlass with a line to each |
//! | `load` | tasks that call and chat all the time |
//! | `chaos` | what goes wrong, and when |
//! | `ledger` | what callers were told, against what gateways did |
//! | `screen` | the live view, the log, the last table |
//! | `real` | the harmless part, on a real gateway |

mod chaos;
mod ledger;
mod load;
mod real;
mod screen;
mod stage;

use std::sync::Arc;

use clap::Args;
use windlass_line::{Clock as _, TokioClock};

use crate::demo::ledger::{Ledger, Tally};
use crate::demo::screen::Screen;
use crate::demo::stage::Stage;
use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::session;

/// Show what Windlass does: simulated gateways are cut and killed under load
///
/// Needs nothing installed. Starts three simulated gateways of both protocol generations, calls and chats from several
/// tasks, cuts connections and kills gateways on a schedule, and in the end compares what the callers were told with what
/// the gateways wrote into their journals. Ends with 0 only if nothing was lost and nothing was done twice.
///
/// With --url or --gateway it reads from a real gateway instead and changes nothing there.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {}

pub(crate) async fn run(global: &Global, _: DemoArgs, output: &Output) -> Result<Exit, Failure> {
    if global.url.is_some() || !global.gateway.is_empty() || global.config.is_some() {
        return real::run(global, output).await;
    }
    let stage = Stage::set().await?;
    let ledger = Arc::new(Ledger::default());
    let screen = Screen::new(output, TokioClock::start());
    screen.introduce(&stage)?;
    let tallies = play(&stage, &ledger, &screen).await?;
    screen.conclude(&stage, &tallies)?;
    stage.clear().await;
    Ok(if tallies.iter().all(Tally::is_clean) {
        Exit::Ok
    } else {
        Exit::Rejected
    })
}

/// Runs load and chaos to their ends, and counts.
async fn play(stage: &Stage, ledger: &Arc<Ledger>, screen: &Screen<'_>) -> Result<Vec<Tally>, Failure> {
    let mut callers = load::start(stage, ledger);
    let (acts, mut news) = tokio::sync::mpsc::channel(chaos::NEWS);
    let performance = async {
        chaos::perform(stage, acts).await;
        load::stop(&mut callers).await;
    };
    tokio::select! {
        () = performance => {}
        failed = screen.follow(stage, ledger, &mut news) => failed?,
    }
    let mut tallies = Vec::new();
    for (index, cast) in stage.casts.iter().enumerate() {
        let counters = cast.gateway.inspect().await?.calls;
        tallies.push(ledger.tally(index, &cast.sim.journal(), counters));
    }
    Ok(tallies)
}

/// Milliseconds since the demo began.
fn elapsed(clock: TokioClock, begun: std::time::Instant) -> u64 {
    u64::try_from(clock.now().saturating_duration_since(begun).as_millis()).unwrap_or(u64::MAX)
}
