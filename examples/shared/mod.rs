//! What both web examples have in common: their gateways, what they answer, and a visitor.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use windlass::protocol::ErrorClass;
use windlass::{
    CallError, DeviceIdentity, Endpoint, GatewayId, GatewaySpec, LineEvent, NotSent, RawJson, Secret, Windlass,
};
use windlass_testkit::{Generation, SimGateway};

/// The time that calls and streams get to end when the service stops.
pub(crate) const DRAIN: Duration = Duration::from_secs(5);

/// The address of a real gateway, if one is named: as the first argument or in `OPENCLAW_GATEWAY_URL`. Its token is
/// taken from `OPENCLAW_GATEWAY_TOKEN`.
pub(crate) fn real_gateway() -> Option<String> {
    std::env::args()
        .nth(1)
        .or_else(|| std::env::var("OPENCLAW_GATEWAY_URL").ok())
}

/// Starts Windlass with a line to the real gateway, or to two simulated ones, which live as long as what is returned.
pub(crate) async fn lines(real: Option<&str>) -> Result<(Windlass, Vec<SimGateway>), Box<dyn Error>> {
    let windlass = Windlass::start()?;
    if let Some(url) = real {
        let mut spec = GatewaySpec::new(GatewayId::new("real")?, Endpoint::parse(url)?);
        spec.token = std::env::var("OPENCLAW_GATEWAY_TOKEN").ok().map(Secret::new);
        windlass.add(spec).await?;
        return Ok((windlass, Vec::new()));
    }
    let mut sims = Vec::new();
    for (name, generation) in [("march", Generation::V3), ("september", Generation::V4)] {
        let sim = SimGateway::builder()
            .generation(generation)
            .token("secret")
            .start_tcp()
            .await?;
        let mut spec = GatewaySpec::new(GatewayId::new(name)?, Endpoint::parse(&sim.url())?);
        spec.token = Some(Secret::new("secret"));
        spec.device = Some(Arc::new(DeviceIdentity::from_seed([7; 32])));
        windlass.add(spec).await?.wait_until_up(DRAIN).await?;
        sims.push(sim);
    }
    Ok((windlass, sims))
}

/// The state of every gateway, and whether all are up.
pub(crate) fn health(windlass: &Windlass) -> (bool, Value) {
    let statuses = windlass
        .gateways()
        .into_iter()
        .map(|gateway| gateway.status().borrow().clone());
    let statuses: Vec<_> = statuses.collect();
    let rows: Vec<Value> = statuses
        .iter()
        .map(|status| {
            let error = status.current_error();
            json!({
                "id": status.id,
                "state": status.state.name(),
                "release": status.server_version(),
                "protocol": status.protocol(),
                "error": error.map(|error| error.advice.to_string()),
            })
        })
        .collect();
    (
        statuses.iter().all(windlass::LineStatus::is_up),
        json!({ "gateways": rows }),
    )
}

/// Calls a gateway; what comes back is an HTTP status and a JSON body.
pub(crate) async fn call(windlass: &Windlass, id: &str, method: String, body: &str) -> (u16, String) {
    let gateway = GatewayId::new(id).ok().and_then(|id| windlass.gateway(&id));
    let Some(gateway) = gateway else {
        return (404, json!({ "error": "no such gateway" }).to_string());
    };
    let params = if body.trim().is_empty() { "null" } else { body };
    let Ok(params) = RawJson::parse(params) else {
        return (400, json!({ "error": "the body is not JSON" }).to_string());
    };
    match gateway.call(method, params).await {
        Ok(payload) => (200, payload.as_str().to_owned()),
        Err(error) => (status_of(&error), json!({ "error": full_text(&error) }).to_string()),
    }
}

/// What each end of a call is in HTTP.
fn status_of(error: &CallError) -> u16 {
    match error {
        // The caller may come back later, or has to ask differently.
        CallError::Rejected(no) if no.error.class() == ErrorClass::Transient => 503,
        CallError::Rejected(_) => 422,
        CallError::NotSent(NotSent::TooLarge { .. }) => 413,
        CallError::NotSent(NotSent::Invalid { .. }) => 400,
        CallError::NotSent(_) => 503,
        // It may have happened: the caller has to look at the gateway's state before it tries again.
        CallError::OutcomeUnknown(_) => 409,
        CallError::TimedOut(_) => 504,
        _ => 502,
    }
}

/// An error with what caused it.
fn full_text(error: &dyn Error) -> String {
    error
        .source()
        .map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}

/// An item of an event stream as name and data of a server-sent event. Markers tell what was lost.
pub(crate) fn to_sse(item: &LineEvent) -> (String, String) {
    match item {
        // A line break would end the data.
        LineEvent::Event(event) => (
            event.name.to_string(),
            event.payload.as_str().replace(['\r', '\n'], " "),
        ),
        LineEvent::Marker(marker) => ("marker".into(), json!({ "marker": format!("{marker:?}") }).to_string()),
    }
}

async fn ask(address: SocketAddr, request: &str, body: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    let length = body.len();
    let head =
        format!("{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).await?;
    Ok(stream)
}

/// Makes a request, for example `GET /health`; gives the status line and the body.
pub(crate) async fn visit(address: SocketAddr, request: &str, body: &str) -> io::Result<String> {
    let mut answer = String::new();
    ask(address, request, body).await?.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    Ok(format!("{} {body}", head.lines().next().unwrap_or_default()))
}

/// An event stream that was opened: what happens from now on comes out of it.
pub(crate) struct Listening(Lines<BufReader<TcpStream>>);

/// Opens an event stream.
pub(crate) async fn listen(address: SocketAddr, request: &str) -> io::Result<Listening> {
    let mut lines = BufReader::new(ask(address, request, "").await?).lines();
    // The head comes when the service has subscribed.
    while lines.next_line().await?.is_some_and(|line| !line.is_empty()) {}
    Ok(Listening(lines))
}

impl Listening {
    /// The names of the events up to the first with this text in its data.
    pub(crate) async fn names_until(&mut self, last: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        while let Some(line) = self.0.next_line().await? {
            if let Some(name) = line.strip_prefix("event: ") {
                names.push(name.to_owned());
            } else if line.starts_with("data: ") && line.contains(last) {
                return Ok(names);
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }

    /// Reads on until the service ends the stream.
    pub(crate) async fn end(mut self) -> io::Result<()> {
        while self.0.next_line().await?.is_some() {}
        Ok(())
    }
}
