//! jsonrpsee: its client against its own server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use jsonrpsee::core::client::ClientT as _;
use jsonrpsee::core::params::ObjectParams;
use jsonrpsee::server::{RpcModule, ServerBuilder, ServerConfig};
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use serde_json::value::RawValue;

use super::PeerError;
use super::obey::obey;
use super::request::METHOD;
use crate::allocations::Allocations;
use crate::load::{Call, CallFailed, drive_here};

/// The same answer as the stand-in gives.
const PAYLOAD: &str = r#"{"sessionKey":"agent:main:main","messages":[{"role":"user","content":"good morning"},{"role":"assistant","content":"good morning to you"}],"hasMore":false}"#;

/// Requests that may be under way.
const IN_FLIGHT: usize = 4096;

#[derive(Clone)]
struct Client(Arc<WsClient>);

impl Call for Client {
    async fn call(&self) -> Result<(), CallFailed> {
        let failed = |error: String| CallFailed(error);
        let mut params = ObjectParams::new();
        params
            .insert("sessionKey", "agent:main:main")
            .map_err(|error| failed(error.to_string()))?;
        params.insert("limit", 50).map_err(|error| failed(error.to_string()))?;
        let payload: Result<Box<RawValue>, _> = self.0.request(METHOD, params).await;
        std::hint::black_box(payload.map_err(|error| failed(error.to_string()))?);
        Ok(())
    }
}

pub(super) async fn run(port: u16, allocations: Allocations) -> Result<(), PeerError> {
    let client = WsClientBuilder::default()
        .max_concurrent_requests(IN_FLIGHT)
        .build(format!("ws://127.0.0.1:{port}"))
        .await
        .map_err(|error| PeerError::Connect(error.to_string()))?;
    let client = Client(Arc::new(client));
    obey(allocations, async |order, meter| {
        drive_here(&client, order, meter).await
    })
    .await
}

/// Serves until the process ends.
///
/// # Errors
/// When the port can't be had.
pub async fn serve(told: impl FnOnce(SocketAddr)) -> std::io::Result<()> {
    let mut module = RpcModule::new(RawValue::from_string(PAYLOAD.to_owned())?);
    let registered = module.register_method(METHOD, |_, payload, _| Ok::<_, ErrorObjectOwned>(payload.clone()));
    registered.map_err(std::io::Error::other)?;
    let config = ServerConfig::builder().set_message_buffer_capacity(4096).build();
    let server = ServerBuilder::with_config(config)
        .build((Ipv4Addr::LOCALHOST, 0))
        .await?;
    told(server.local_addr()?);
    server.start(module).stopped().await;
    Ok(())
}
