//! One gateway: a line that comes up, calls over it, and a restart of the gateway that nobody has to care about.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windlass::request::{AgentWait, ChatHistory, ChatSend, ChatSendReply, Health};
use windlass::{CallError, DeviceIdentity, Endpoint, Gateway, GatewayId, GatewaySpec, Secret, Windlass};
use windlass_testkit::{RestartKind, SimGateway};

const SESSION: &str = "agent:main:main";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Stands for a real gateway; its address and token come from your configuration.
    let sim = SimGateway::builder().token("secret").start_tcp().await?;

    let windlass = Windlass::start()?;
    let mut spec = GatewaySpec::new(GatewayId::new("lab")?, Endpoint::parse(&sim.url())?);
    spec.token = Some(Secret::new("secret"));
    // A real program keeps its device identity: see `windlass::identity::load_or_create`.
    spec.device = Some(Arc::new(DeviceIdentity::from_seed([7; 32])));
    let gateway = windlass.add(spec).await?;

    let status = gateway.wait_until_up(Duration::from_secs(5)).await?;
    println!(
        "{} is up: release {}, protocol {}",
        gateway.id(),
        status.server_version().unwrap_or("unknown"),
        status.protocol().unwrap_or_default(),
    );

    let health = gateway.request(Health::new()).await?;
    println!("health: ok={}", health.ok.unwrap_or_default());
    converse(&gateway).await?;
    refused(&gateway).await;
    restart(&gateway, &sim).await?;

    windlass.shutdown(Duration::from_secs(5)).await;
    println!("shut down");
    Ok(())
}

/// Says something, waits for the run to end, and reads what was said.
async fn converse(gateway: &Gateway) -> Result<(), Box<dyn Error>> {
    let sent = gateway.request(ChatSend::new(SESSION, "good morning")).await?;
    let ChatSendReply::Run(sent) = sent else {
        println!("chat.send: a command, carried out");
        return Ok(());
    };
    println!("chat.send: {} ({})", sent.status, sent.run_id);
    let waited = gateway
        .request(AgentWait::new(sent.run_id).timeout_ms(5_000_u64))
        .await?;
    println!("agent.wait: {}", waited.status);
    for row in gateway.request(ChatHistory::new(SESSION)).await?.messages {
        let role = row.role.as_deref().unwrap_or("somebody");
        println!("  {role}: {}", row.text().unwrap_or_default());
    }
    Ok(())
}

/// A call has five ends; four of them are errors that say what to do.
async fn refused(gateway: &Gateway) {
    // Any method can be called by its name, with params of any type.
    match gateway.call("sessions.patch", json!({ "unknown": true })).await {
        Ok(payload) => println!("a surprise: {}", payload.as_str()),
        Err(CallError::Rejected(no)) => println!("sessions.patch was rejected: {}", no.error),
        Err(CallError::NotSent(why)) => println!("nothing happened: {why}"),
        Err(CallError::OutcomeUnknown(why)) => println!("look before you send it again: {why}"),
        Err(error) => println!("{error}"),
    }
}

/// The gateway restarts; the line comes back by itself, and calls wait for it.
async fn restart(gateway: &Gateway, sim: &SimGateway) -> Result<(), Box<dyn Error>> {
    let mut status = gateway.status();
    let before = status.borrow_and_update().generation;
    sim.restart(RestartKind::Clean);
    // This waits for the line, if it is down just now.
    gateway.request(Health::new()).await?;
    let back = status.wait_for(|status| status.is_up() && status.generation > before);
    let back = tokio::time::timeout(Duration::from_secs(5), back).await??.clone();
    println!("the line is up again, over connection {}", back.generation);
    if let Some(error) = back.last_error {
        println!("what happened: {}", error.advice);
    }
    Ok(())
}
