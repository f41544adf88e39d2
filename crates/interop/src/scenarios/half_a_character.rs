//! Half a character in everything that a gateway lets be set: a label, an answer, a presence, an agent's name.

use std::time::Duration;

use serde_json::json;
use windlass::{
    RawJson,
    agents::RunOptions,
    sessions::{HistoryQuery, SessionQuery},
};

use super::kit::{ANSWER, Bench, Fleet, LOOK, TURN, answered, ask, offers, say, spec, wait_up};
use crate::scenario::{Ctx, Failure, Outcome, Scenario, check, check_eq};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "half-a-character",
    what: "Half a character in a label, an answer, another client's presence and an agent's name hides nothing: lists, \
           histories, rosters and hellos are read, and a configuration is written back as it was",
    // Agents are provisioned, and releases up to 2026.3 restart for it.
    deadline: Duration::from_secs(600),
    run: |ctx| Box::pin(run(ctx)),
};

/// The first half of an emoji, as it stands on the wire.
const HALF: &str = r"\ud83d";
const SESSION: &str = "agent:main:half";

async fn run(ctx: &Ctx) -> Result<Outcome, Failure> {
    let fleet = Fleet::up(ctx, false).await?;
    fleet.bench.started().await?;
    spoken(&fleet.bench).await?;
    label(&fleet.bench).await?;
    presence(&fleet.bench).await?;
    let note = name(&fleet).await?;
    fleet.finish().await?;
    Ok(note.map_or_else(Outcome::passed, Outcome::passed_with))
}

/// An answer that ends in one is an answer, in events and in the history.
async fn spoken(bench: &Bench) -> Result<(), Failure> {
    let end = say(bench, SESSION, "HALF", TURN).await?;
    answered("the answer", end, "half \u{fffd}")?;
    let page = bench
        .gateway
        .sessions()
        .history(&SESSION.parse()?, &HistoryQuery::last())
        .await?;
    let texts: Vec<_> = page
        .rows
        .iter()
        .filter_map(windlass::request::ChatMessage::text)
        .collect();
    check(texts.iter().any(|text| text.trim_end() == "half \u{fffd}"), || {
        format!("the answer is not in the history: {texts:?}")
    })
}

/// A label with one hides no row of a list, nor of a roster.
async fn label(bench: &Bench) -> Result<(), Failure> {
    answered(
        "another answer",
        say(bench, "agent:main:whole", "whole", TURN).await?,
        "echo: whole",
    )?;
    send(
        bench,
        "sessions.patch",
        &format!(r#"{{"key":"{SESSION}","label":"lab{HALF}"}}"#),
    )
    .await?;
    let list = bench.gateway.sessions().list(&SessionQuery::default()).await?;
    let label = list
        .iter()
        .find(|row| row.key == SESSION)
        .and_then(|row| row.label.as_deref());
    check_eq("the label", &label, &Some("lab\u{fffd}"))?;
    check(list.iter().any(|row| row.key == "agent:main:whole"), || {
        "the other session is hidden".to_owned()
    })?;
    let mut roster = bench.gateway.session_cache().await?;
    let view = tokio::time::timeout(ANSWER, roster.fresh()).await??;
    let label = view.sessions.get(SESSION).and_then(|entry| entry.row.label.as_deref());
    check_eq("the label in the roster", &label, &Some("lab\u{fffd}"))?;
    drop(roster);
    let gone = async {
        while bench.gateway.inspect().await?.subscribers > 1 {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    };
    tokio::time::timeout(ANSWER, gone).await?
}

/// A presence with one lets another line come up.
async fn presence(bench: &Bench) -> Result<(), Failure> {
    send(bench, "system-event", &format!(r#"{{"text":"cut {HALF}"}}"#)).await?;
    let other = bench.windlass.add(spec(&bench.real, "other")?).await?;
    let status = wait_up(&other).await?;
    check_eq("the connection", &status.generation.number(), &1)?;
    // A hello-ok has it, too; a line does not store it.
    let presence = ask(&other, "system-presence", json!({})).await?.to_string();
    check(presence.contains("cut \u{fffd}"), || {
        format!("not in the presence: {presence}")
    })?;
    bench.windlass.remove(other.id(), ANSWER).await?;
    Ok(())
}

/// A name with one stays as it is while agents are provisioned beside it.
async fn name(fleet: &Fleet) -> Result<Option<String>, Failure> {
    let bench = &fleet.bench;
    if !offers(bench, "agents.update")? {
        fleet.provision(RunOptions::default()).await?;
        return Ok(Some("agents have no method that sets a name".to_owned()));
    }
    let workspace = bench.real.state_dir().join("odd");
    let create = json!({"name": "odd", "workspace": workspace});
    fleet.ask_patiently("agents.create", create).await?;
    let update = RawJson::parse(format!(r#"{{"agentId":"odd","name":"Ro{HALF}"}}"#))?;
    let settled = async {
        // 2026.9.6 takes some tenths of a second to know its own new agent.
        while bench
            .gateway
            .call("agents.update", &update)
            .timeout(ANSWER)
            .await
            .is_err()
        {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(ANSWER, settled).await?;
    // 2026.2.26 makes the next agent from the configuration that it read last: the name would be lost.
    let known = async {
        loop {
            let listed = bench.gateway.call("agents.list", json!({})).timeout(ANSWER).await;
            if listed.is_ok_and(|listed| listed.as_str().contains(&format!("Ro{HALF}"))) {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(ANSWER, known).await?;
    fleet.provision(RunOptions::default()).await?;
    wait_up(&bench.gateway).await?;
    let config = bench.gateway.call("config.get", json!({})).timeout(ANSWER).await?;
    let kept = format!(r#""name":"Ro{HALF}""#);
    check(config.as_str().contains(&kept), || {
        let near = config
            .as_str()
            .find(r#""name":"Ro"#)
            .map(|at| config.as_str()[at..].chars().take(40).collect::<String>());
        format!("the name was changed: {near:?}")
    })?;
    Ok(None)
}

/// A call with parameters that no string of Rust can contain.
async fn send(bench: &Bench, method: &'static str, params: &str) -> Result<(), Failure> {
    let params = RawJson::parse(params)?;
    bench.gateway.call(method, &params).timeout(ANSWER).await?;
    Ok(())
}
