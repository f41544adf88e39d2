//! `windlass sessions abort`.

use clap::Args;
use serde_json::json;

use crate::exit::{Exit, Failure};
use crate::global::Global;
use crate::output::Output;
use crate::sessions::desk::{Desk, Limit};
use crate::sessions::named;
use crate::text::escaped;

/// Longest run id shown, in characters.
const ID_LIMIT: usize = 80;

/// Stop what runs in a session
///
/// That nothing ran is no error; a session that is not there is one.
#[derive(Debug, Args)]
pub(crate) struct AbortArgs {
    /// The session, by key, label or agent [default: the default agent's main session]
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    /// Only this run [default: whatever runs]
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    #[command(flatten)]
    time: Limit,
}

pub(crate) async fn run(global: &Global, args: &AbortArgs, output: &Output) -> Result<Exit, Failure> {
    let desk = Desk::open(global, &args.time, output).await?;
    let aborted = async {
        let key = named::session(&desk, args.session.as_deref()).await?;
        let runs = desk.sessions.abort(&key, args.run.as_deref()).await;
        let runs = runs.map_err(|error| desk.failed(&error))?;
        if runs.is_empty() {
            named::there(&desk, &key).await?;
        }
        Ok::<_, Failure>((key, runs))
    };
    let aborted = aborted.await;
    desk.close().await;
    let (key, runs) = aborted?;
    if output.json() {
        output.value(&json!({"session": key, "aborted": runs}))?;
    } else if runs.is_empty() {
        output.line(&format!("nothing ran in {}", escaped(key.as_str(), ID_LIMIT)))?;
    } else {
        let shown: Vec<String> = runs.iter().map(|run| escaped(run, ID_LIMIT)).collect();
        output.line(&format!("stopped {}", shown.join(", ")))?;
    }
    Ok(Exit::Ok)
}
