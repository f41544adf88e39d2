//! Pairing of remote devices, as the asking device and as the operator see it.
//!
//! A connection counts as remote when a trusted proxy says so, hence the forwarded header and
//! `gateway.trustedProxies`. 2026.3.13 then takes plain loopback for remote too, so the operator's
//! own device is paired before the proxy is configured.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::{
    RecordError,
    cast::{guest, operator, stranger},
    redact::REMOTE_ADDRESS,
    tape::{STEP, Tape},
    topics::{say, settle},
};
use crate::{
    device::{Device, SignatureForm},
    process::RealGateway,
    wire::{ConnectAs, Wire, WireError},
};

/// Opens a recorded connection that comes from elsewhere, as the trusted proxy says.
async fn open_remote(tape: &Tape, conn: &str, gateway: &RealGateway) -> Result<Wire, WireError> {
    let address = REMOTE_ADDRESS.to_string();
    let headers = [("x-forwarded-for", address.as_str())];
    tape.open_with(conn, gateway.url(), &headers).await
}

/// Requested, listed, approved, used, removed; requested and rejected.
pub(super) async fn pairing(tape: &Tape, gateway: &mut RealGateway) -> Result<(), RecordError> {
    pair_operator(tape, gateway).await?;
    gateway.stop().await?;
    gateway.merge_config(&json!({"gateway": {"trustedProxies": ["127.0.0.1"]}}))?;
    gateway.start_again().await?;
    let mut operator_wire = as_operator(tape, "operator", gateway).await?;

    ask(tape, "guest-asks", gateway, &guest()).await?;
    let requested = operator_wire.event("device.pair.requested", STEP).await?;
    ask(tape, "guest-asks-again", gateway, &guest()).await?;
    say(&mut operator_wire, "device.pair.list", json!({})).await?;
    let id = &requested["payload"]["requestId"];
    say(&mut operator_wire, "device.pair.approve", json!({"requestId": id})).await?;
    let mut paired = open_remote(tape, "guest-paired", gateway).await?;
    connect(&mut paired, gateway, &guest()).await?;
    say(&mut operator_wire, "device.pair.list", json!({})).await?;
    let remove = json!({"deviceId": guest().id()});
    say(&mut operator_wire, "device.pair.remove", remove).await?;
    // 2026.9.6 closes the removed device's socket, 2026.3.13 leaves it open.
    settle(&mut paired).await;
    drop(paired.close(STEP).await);

    ask(tape, "stranger-asks", gateway, &stranger()).await?;
    let requested = operator_wire.event("device.pair.requested", STEP).await?;
    let id = &requested["payload"]["requestId"];
    say(&mut operator_wire, "device.pair.reject", json!({"requestId": id})).await?;
    let unknown = json!({"requestId": "no-such-request"});
    say(&mut operator_wire, "device.pair.approve", unknown).await?;
    settle(&mut operator_wire).await;
    operator_wire.close(STEP).await?;
    Ok(())
}

/// A local device of the command line client is paired without asking.
async fn pair_operator(tape: &Tape, gateway: &RealGateway) -> Result<(), RecordError> {
    as_operator(tape, "operator-first", gateway).await?.close(STEP).await?;
    Ok(())
}

async fn as_operator(tape: &Tape, conn: &str, gateway: &RealGateway) -> Result<Wire, RecordError> {
    let device = operator();
    let who = ConnectAs::cli()
        .token(gateway.token().expose_secret())
        .device(&device, SignatureForm::V2);
    let mut wire = tape.open(conn, gateway.url()).await?;
    wire.connect(&who, STEP).await??;
    Ok(wire)
}

/// Connects as a remote `device` that is not paired, and sees the refusal and the close.
async fn ask(tape: &Tape, conn: &str, gateway: &RealGateway, device: &Device) -> Result<(), RecordError> {
    let mut wire = open_remote(tape, conn, gateway).await?;
    connect(&mut wire, gateway, device).await?;
    wire.closed(STEP).await?;
    Ok(())
}

async fn connect(wire: &mut Wire, gateway: &RealGateway, device: &Device) -> Result<Value, RecordError> {
    let who = ConnectAs::backend()
        .token(gateway.token().expose_secret())
        .scopes(&["operator.read", "operator.write"])
        .device(device, SignatureForm::V2);
    Ok(wire.connect(&who, STEP).await?.unwrap_or_default())
}
