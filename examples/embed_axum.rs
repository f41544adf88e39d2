//! Windlass inside an axum service: health, calls and event streams of all gateways over HTTP.
//!
//! Without arguments it talks to simulated gateways, visits itself and ends. With a gateway's URL (and its token in
//! `OPENCLAW_GATEWAY_TOKEN`) it serves that one until Ctrl-C.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

mod shared;

use std::convert::Infallible;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::StreamExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use windlass::{EventFilter, GatewayId, Windlass};

use crate::shared::Listening;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let real = shared::real_gateway();
    let (windlass, _sims) = shared::lines(real.as_deref()).await?;
    let app = Router::new()
        .route("/health", get(health))
        .route("/gateways/{id}/call/{method}", post(call))
        .route("/gateways/{id}/events", get(events))
        .with_state(windlass.clone());

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}");
    let (stop, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        // Either way it is time to go.
        let _ = stopped.await;
    });
    let server = tokio::spawn(server.into_future());

    let listening = match real {
        Some(_) => tokio::signal::ctrl_c().await.map(|()| None)?,
        None => Some(tour(address).await?),
    };
    // The server takes no more requests; Windlass ends calls and event streams; then the last responses are out.
    drop(stop);
    windlass.shutdown(shared::DRAIN).await;
    server.await??;
    if let Some(events) = listening {
        events.end().await?;
    }
    println!("stopped");
    Ok(())
}

async fn health(State(windlass): State<Windlass>) -> Response {
    let (all_up, body) = shared::health(&windlass);
    json(if all_up { 200 } else { 503 }, body.to_string())
}

async fn call(State(windlass): State<Windlass>, Path((id, method)): Path<(String, String)>, body: String) -> Response {
    let (status, body) = shared::call(&windlass, &id, method, &body).await;
    json(status, body)
}

async fn events(State(windlass): State<Windlass>, Path(id): Path<String>) -> Response {
    let gateway = GatewayId::new(id).ok().and_then(|id| windlass.gateway(&id));
    let Some(gateway) = gateway else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // A subscription is a stream. It ends with the response, and the response with Windlass.
    let events = gateway.events(EventFilter::all()).map(|item| {
        let (name, data) = shared::to_sse(&item);
        Ok::<_, Infallible>(Event::default().event(name).data(data))
    });
    Sse::new(events).into_response()
}

fn json(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// What a visitor sees, whose event stream is still open when the service stops.
async fn tour(address: SocketAddr) -> Result<Listening, Box<dyn Error>> {
    println!("{}", shared::visit(address, "GET /health", "").await?);
    let mut events = shared::listen(address, "GET /gateways/september/events").await?;
    let message = r#"{"sessionKey":"agent:main:main","message":"hello over HTTP"}"#;
    for (request, body) in [
        ("POST /gateways/march/call/agents.list", ""),
        ("POST /gateways/september/call/chat.send", message),
        ("POST /gateways/september/call/no.such.method", ""),
        ("POST /gateways/nowhere/call/health", ""),
    ] {
        println!("{request}: {}", shared::visit(address, request, body).await?);
    }
    let names = tokio::time::timeout(shared::DRAIN, events.names_until(r#""state":"final""#)).await??;
    println!("events of the run: {}", names.join(" "));
    Ok(events)
}
