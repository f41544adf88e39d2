//! The session cache of a real gateway is equal to a fresh list: after turns, changes, a deletion, a kill.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use windlass::{SessionCache, SessionCacheView, protocol::request::SessionsPatch};

use super::kit::{ANSWER, Bench, LOOK, Restart, TURN, answered, end_of, say};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "roster",
    what: "The roster of sessions sees a run while it goes on, and equals a fresh list after turns, a change, a \
           deletion, and a kill with a restart",
    // Two starts, and a first turn after each.
    deadline: Duration::from_secs(900),
    run: |ctx| Box::pin(run(ctx)),
};

const FIRST: &str = "agent:main:roster-one";
const SECOND: &str = "agent:main:roster-two";
/// Long enough to be seen while it goes on: 30 pieces, one every 100 ms.
const LONG_WORDS: &str = "SLOW:30:100";

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let mut bench = Bench::up(ctx).await?;
    bench.started().await?;
    let mut roster = bench.gateway.session_cache().await?;
    answered("the first answer", say(&bench, FIRST, "one", TURN).await?, "echo: one")?;
    seen_at_work(&bench, &mut roster).await?;
    converges("after two turns", &bench, &mut roster, 2).await?;

    label(&bench, FIRST, "renamed").await?;
    converges("after a change", &bench, &mut roster, 2).await?;
    let sessions = bench.gateway.sessions();
    sessions.delete(&SECOND.parse()?).await?;
    let left = converges("after a deletion", &bench, &mut roster, 1).await?;
    check_eq("the label", &left[FIRST].label.as_deref(), &Some("renamed"))?;

    bench.real.kill().await?;
    Restart::of(&mut bench).await?;
    bench.started().await?;
    answered("the last answer", say(&bench, SECOND, "two", TURN).await?, "echo: two")?;
    let after = converges("after a kill", &bench, &mut roster, 2).await?;
    drop(roster);
    gone(&bench).await?;
    bench.finish().await?;
    Ok(Outcome::passed_with(format!("{} sessions at the end", after.len())))
}

/// A run is in the roster while it goes on, and only then.
async fn seen_at_work(bench: &Bench, roster: &mut SessionCache) -> Result<(), Failure> {
    let message = bench.gateway.message(SECOND.parse()?, LONG_WORDS);
    let following = bench.gateway.send(message).await?;
    let at_work = |view: &SessionCacheView| view.sessions.get(SECOND).is_some_and(|entry| entry.active);
    wait("a run at work", roster, at_work).await?;
    end_of(following, TURN).await?;
    wait("its end", roster, |view| !at_work(view)).await.map(drop)
}

/// The roster's feed ends with its last user, and the list that it may be asking for just then.
async fn gone(bench: &Bench) -> Result<(), Failure> {
    let look = async {
        loop {
            let left = bench.gateway.inspect().await?;
            if (left.topics, left.subscribers, left.in_flight) == (0, 0, 0) {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let ended = tokio::time::timeout(ANSWER, look).await;
    ended.unwrap_or_else(|_| Err(Failure::new("something of the roster is left")))
}

/// The compared fields of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    session_id: Option<String>,
    label: Option<String>,
}

type Sessions = BTreeMap<String, Shown>;

/// Waits until the session cache has `count` sessions and is equal to a list that is loaded then.
///
/// A gateway may change a row between the two, and report the end of a run after its answer. So they are compared again until
/// they agree.
async fn converges(when: &str, bench: &Bench, roster: &mut SessionCache, count: usize) -> Result<Sessions, Failure> {
    let search = async {
        loop {
            let listed = listed(bench).await?;
            let view = roster.now();
            let idle = view.sessions.active().count() == 0;
            if view.is_fresh() && idle && listed.len() == count && shown(&view) == listed {
                return Ok(listed);
            }
            roster.changed().await?;
        }
    };
    let found = tokio::time::timeout(ANSWER, search).await;
    found.unwrap_or_else(|_| {
        let view = roster.now();
        let (stale, shown) = (view.sessions.stale(), shown(&view));
        let active: Vec<_> = view.sessions.active().map(|(key, entry)| (key, &entry.runs)).collect();
        Err(Failure::new(format!(
            "{when} the roster did not come to agree: {stale:?}, {shown:?}, at work: {active:?}"
        )))
    })
}

async fn listed(bench: &Bench) -> Result<Sessions, Failure> {
    let list = bench.ask("sessions.list", json!({ "limit": 1000 })).await?;
    let rows = list["sessions"].as_array().cloned().unwrap_or_default();
    let text = |row: &Value, field: &str| row[field].as_str().map(str::to_owned);
    let shown = |row: &Value| Shown {
        session_id: text(row, "sessionId"),
        label: text(row, "label"),
    };
    let keyed = rows.iter().filter_map(|row| Some((text(row, "key")?, shown(row))));
    Ok(keyed.collect())
}

fn shown(view: &SessionCacheView) -> Sessions {
    let rows = view.sessions.iter().map(|(key, entry)| {
        let shown = Shown {
            session_id: entry.row.session_id.clone(),
            label: entry.row.label.clone(),
        };
        (key.to_owned(), shown)
    });
    rows.collect()
}

async fn label(bench: &Bench, key: &str, label: &str) -> Result<(), Failure> {
    let request = SessionsPatch::new(key).label(label);
    bench.gateway.sessions().patch(&request).await?;
    Ok(())
}

async fn wait(
    what: &str,
    roster: &mut SessionCache,
    fits: impl FnMut(&SessionCacheView) -> bool,
) -> Result<SessionCacheView, Failure> {
    let found = tokio::time::timeout(ANSWER, roster.wait_for(fits)).await;
    let late = |_| Failure::new(format!("{what} was not in the roster within {} s", ANSWER.as_secs()));
    Ok(found.map_err(late)??)
}
