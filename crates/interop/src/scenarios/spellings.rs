//! One session under many spellings of its key, and the session that all agents share.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use windlass::{EventFilter, LineEvent, Windlass, sessions::SessionQuery};

use super::kit::{Bench, TURN, answered, say};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "spellings",
    what: "A session is answered, watched, shown and listed in whichever spelling it is named; so is the one that all agents share",
    // Two starts, each with a first turn.
    deadline: Duration::from_secs(900),
    run: |ctx| Box::pin(run(ctx)),
};

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let bench = Bench::up(ctx).await?;
    for session in [
        "agent:main:Test1",
        "AGENT:Main:Test1",
        "Main",
        "Weird Key",
        "agent:main:matrix:channel:!AbC:srv.org",
    ] {
        let end = say(&bench, session, session, TURN).await?;
        answered(session, end, &format!("echo: {session}"))?;
    }
    take_turns(&bench).await?;
    hear(
        &bench,
        EventFilter::all().name("chat").session("main"),
        "agent:main:MAIN",
    )
    .await?;
    hear(&bench, EventFilter::all().name("chat").agent("Main"), "main").await?;
    bench.finish().await?;
    share_one_session(ctx).await?;
    Ok(Outcome::passed())
}

/// Messages to one session wait for each other, or one would join another's run.
async fn take_turns(bench: &Bench) -> Result<(), Failure> {
    let spellings = ["main", "agent:main:main", "MAIN"];
    let ends = join_all(spellings.map(|session| say(bench, session, session, TURN))).await;
    for (end, session) in ends.into_iter().zip(spellings) {
        answered(session, end?, &format!("echo: {session}"))?;
    }
    Ok(())
}

/// A filter matches events with another spelling of the session key.
async fn hear(bench: &Bench, filter: EventFilter, session: &str) -> Result<(), Failure> {
    let mut events = bench.gateway.events(filter);
    answered("what is heard", say(bench, session, "hear", TURN).await?, "echo: hear")?;
    let heard = async {
        while let Some(item) = events.next().await {
            if matches!(item, LineEvent::Event(_)) {
                return true;
            }
        }
        false
    };
    let heard = tokio::time::timeout(TURN, heard).await.unwrap_or(false);
    check(heard, || format!("nothing was heard of {session}"))
}

async fn share_one_session(ctx: &Ctx) -> Result<(), Failure> {
    let real = ctx.gateway_config(json!({"session": {"scope": "global"}})).await?;
    let bench = Bench::with(real, Windlass::start()?, |_| {}).await?;
    bench.wait_up().await?;
    for session in ["main", "Global", "agent:main:main"] {
        let end = say(&bench, session, session, TURN).await?;
        answered(session, end, &format!("echo: {session}"))?;
        let row = bench.gateway.sessions().get(&session.parse()?).await?;
        check_eq(session, &row.map(|row| row.key), &Some("global".to_owned()))?;
    }
    let listed = bench.gateway.sessions().list(&SessionQuery::all()).await?;
    let keys: Vec<String> = listed.into_iter().map(|row| row.key).collect();
    // 2026.1.30 lists the main session of before beside it.
    check(keys.iter().any(|key| key == "global"), || {
        format!("the sessions that are listed: {keys:?}")
    })?;
    let mut roster = bench.gateway.session_cache().await?;
    let seen = roster.wait_for(|view| view.sessions.get("agent:main:main").is_some());
    let seen = tokio::time::timeout(TURN, seen).await.is_ok_and(|seen| seen.is_ok());
    check(seen, || "the roster has no global session".to_owned())?;
    drop(roster);
    hear(&bench, EventFilter::all().name("chat").session("main"), "global").await?;
    bench.finish().await
}
