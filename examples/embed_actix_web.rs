//! Windlass inside an actix-web service: health, calls and event streams of all gateways over HTTP.
//!
//! Without arguments it talks to simulated gateways, visits itself and ends. With a gateway's URL (and its token in
//! `OPENCLAW_GATEWAY_TOKEN`) it serves that one until Ctrl-C.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

mod shared;

use std::convert::Infallible;
use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Data, Path};
use actix_web::{App, HttpResponse, HttpServer};
use futures_util::StreamExt as _;
use windlass::{EventFilter, GatewayId, Windlass};

use crate::shared::Listening;

#[actix_web::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let real = shared::real_gateway();
    let (windlass, _sims) = shared::lines(real.as_deref()).await?;
    let state = Data::new(windlass.clone());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .route("/health", web::get().to(health))
            .route("/gateways/{id}/call/{method}", web::post().to(call))
            .route("/gateways/{id}/events", web::get().to(events))
    })
    .workers(2)
    .disable_signals()
    .bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = *server.addrs().first().ok_or("the server listens nowhere")?;
    println!("listening on http://{address}");
    let server = server.run();
    let handle = server.handle();
    let server = actix_web::rt::spawn(server);

    let listening = match real {
        Some(_) => tokio::signal::ctrl_c().await.map(|()| None)?,
        None => Some(tour(address).await?),
    };
    // Windlass ends calls and event streams, so that the server has nothing to wait for.
    windlass.shutdown(shared::DRAIN).await;
    handle.stop(true).await;
    server.await??;
    if let Some(events) = listening {
        events.end().await?;
    }
    println!("stopped");
    Ok(())
}

async fn health(windlass: Data<Windlass>) -> HttpResponse {
    let (all_up, body) = shared::health(&windlass);
    json(if all_up { 200 } else { 503 }, body.to_string())
}

async fn call(windlass: Data<Windlass>, path: Path<(String, String)>, body: String) -> HttpResponse {
    let (id, method) = path.into_inner();
    let (status, body) = shared::call(&windlass, &id, method, &body).await;
    json(status, body)
}

async fn events(windlass: Data<Windlass>, id: Path<String>) -> HttpResponse {
    let gateway = GatewayId::new(id.as_str()).ok().and_then(|id| windlass.gateway(&id));
    let Some(gateway) = gateway else {
        return HttpResponse::NotFound().finish();
    };
    // A subscription is a stream. It ends with the response, and the response with Windlass.
    let events = gateway.events(EventFilter::all()).map(|item| {
        let (name, data) = shared::to_sse(&item);
        Ok::<_, Infallible>(Bytes::from(format!("event: {name}\ndata: {data}\n\n")))
    });
    HttpResponse::Ok().content_type("text/event-stream").streaming(events)
}

fn json(status: u16, body: String) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    HttpResponse::build(status).content_type("application/json").body(body)
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
