//! Many gateways of all releases at once: one that needs a person, one that is down, and calls to all the others.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use windlass::request::AgentsList;
use windlass::{DeviceIdentity, Endpoint, Gateway, GatewayId, GatewaySpec, LineStatus, Secret, Windlass};
use windlass_testkit::{RELEASES, SimGateway};

const TOKEN: &str = "secret";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut sims = Vec::new();
    for release in RELEASES {
        let sim = SimGateway::builder().release(release).token(TOKEN).start_tcp().await?;
        sims.push((format!("release-{release}"), sim));
    }
    let locked = SimGateway::builder().token("another").start_tcp().await?;
    sims.push(("wrong-token".into(), locked));
    let dead = SimGateway::builder().token(TOKEN).start_tcp().await?;
    dead.kill().await;
    sims.push(("is-down".into(), dead.clone()));

    let windlass = Windlass::builder().shards(2).start()?;
    // One identity for all gateways: each knows this client as the same device.
    let device = Arc::new(DeviceIdentity::from_seed([7; 32]));
    for (name, sim) in &sims {
        let mut spec = GatewaySpec::new(GatewayId::new(name)?, Endpoint::parse(&sim.url())?);
        spec.token = Some(Secret::new(TOKEN));
        spec.device = Some(Arc::clone(&device));
        windlass.add(spec).await?;
    }

    // The lines come up side by side: waiting for all takes as long as the slowest.
    let gateways = windlass.gateways();
    join_all(gateways.iter().map(settled)).await;
    table(&gateways);

    println!("\nagents.list on every gateway, without waiting for those that are down:");
    let rosters = gateways
        .iter()
        .map(|gateway| gateway.request(AgentsList::new()).fail_fast().into_future());
    for (gateway, roster) in gateways.iter().zip(join_all(rosters).await) {
        match roster {
            Ok(roster) => println!("  {:<18} {} agents", gateway.id().as_str(), roster.agents.len()),
            Err(error) => println!("  {:<18} {error}", gateway.id().as_str()),
        }
    }

    // Both troubles end: one gateway is started, the other's token is corrected.
    dead.start_again().await;
    let wrong = GatewayId::new("wrong-token")?;
    if let Some((_, sim)) = sims.iter().find(|(name, _)| *name == *wrong.as_str()) {
        let mut spec = GatewaySpec::new(wrong.clone(), Endpoint::parse(&sim.url())?);
        spec.token = Some(Secret::new("another"));
        spec.device = Some(device);
        windlass.update(spec).await?;
    }
    let up = gateways
        .iter()
        .map(|gateway| gateway.wait_until_up(Duration::from_secs(10)));
    let up = join_all(up).await.into_iter().flatten().count();
    println!("\n{up} of {} gateways are up now", gateways.len());
    if up < gateways.len() {
        return Err("a gateway stayed down".into());
    }

    windlass.remove(&wrong, Duration::from_secs(1)).await?;
    println!("{} gateways are left after one was removed", windlass.gateways().len());
    windlass.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// Waits until the line is up or says why not.
async fn settled(gateway: &Gateway) {
    let mut status = gateway.status();
    let known = |status: &LineStatus| status.is_up() || status.last_error.is_some();
    // The wait ends by an error only when Windlass is gone, and there is nothing to wait for then.
    let _ = tokio::time::timeout(Duration::from_secs(5), status.wait_for(known)).await;
}

fn table(gateways: &[Gateway]) {
    println!("{:<18} {:<9} {:<10} protocol", "gateway", "state", "release");
    for gateway in gateways {
        let (id, status) = (gateway.id().as_str(), gateway.status().borrow().clone());
        let (state, release) = (status.state.name(), status.server_version().unwrap_or("-"));
        let protocol = status.protocol().map_or("-".into(), |protocol| protocol.to_string());
        println!("{id:<18} {state:<9} {release:<10} {protocol}");
        // The last error stays for the record when the line is up again.
        if let Some(error) = status.last_error.as_ref().filter(|_| !status.is_up()) {
            println!("{:<18} {}", "", error.advice);
        }
    }
}
