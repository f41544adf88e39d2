//! The bench that the scenarios are played on.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::LocalSet;
use windlass::{
    CallError, Clock as _, DeviceIdentity, Endpoint, Gateway, GatewayId, GatewaySpec, LineEvent, LineStatus, Marker,
    RawJson, Secret, Subscription, TokioClock, Windlass, WindlassBuilder, transport,
};
use windlass_testkit::{Generation, SimGateway, SimGatewayBuilder};

use crate::secrets::LogWatch;

/// The token that simulated gateways want here. Tests look for it in logs, so it is found nowhere else.
pub(crate) const TOKEN: &str = "gateway-token-7f3a90c2";

/// The seed of all jitter, printed by a test that fails; another one is taken from `WINDLASS_SEED`.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("WINDLASS_SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    eprintln!("WINDLASS_SEED={seed}");
    seed
}

/// Plays a scenario where local tasks can be spawned, with all that is logged under watch.
pub(crate) async fn play<F: Future>(scenario: F) -> F::Output {
    LogWatch::start();
    LocalSet::new().run_until(scenario).await
}

pub(crate) fn sim(generation: Generation) -> SimGatewayBuilder {
    SimGateway::builder().generation(generation).token(TOKEN)
}

pub(crate) fn device() -> DeviceIdentity {
    DeviceIdentity::from_seed([7; 32])
}

/// What a line to the simulated gateway of this name is made from.
pub(crate) fn spec(name: &str) -> GatewaySpec {
    let endpoint = Endpoint::parse(&format!("ws://{name}")).unwrap();
    let mut spec = GatewaySpec::new(GatewayId::new(name).unwrap(), endpoint);
    spec.token = Some(Secret::new(TOKEN));
    spec.device = Some(Arc::new(device()));
    spec
}

/// Windlass on the test's own thread, dialling simulated gateways by host name.
pub(crate) fn windlass(sims: impl IntoIterator<Item = (String, SimGateway)>) -> Windlass {
    windlass_with(sims, |builder| builder)
}

/// The same with settings of its own.
pub(crate) fn windlass_with(
    sims: impl IntoIterator<Item = (String, SimGateway)>,
    change: impl FnOnce(WindlassBuilder) -> WindlassBuilder,
) -> Windlass {
    let sims: Arc<Mutex<HashMap<_, _>>> = Arc::new(Mutex::new(sims.into_iter().collect()));
    let connector = transport::dial_with(move |endpoint: Endpoint| {
        let sim = sims.lock().unwrap().get(&endpoint.host()).cloned();
        async move {
            match sim {
                Some(sim) => sim.dial().await,
                None => Err(std::io::ErrorKind::ConnectionRefused.into()),
            }
        }
    });
    change(Windlass::builder().connector(connector).seed(seed()))
        .start_local()
        .unwrap()
}

/// Measures (virtual) time.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self(TokioClock::start().now())
    }

    pub(crate) fn elapsed(&self) -> Duration {
        TokioClock::start().now().saturating_duration_since(self.0)
    }
}

/// One gateway, its line, and Windlass around it.
pub(crate) struct Bench {
    pub(crate) windlass: Windlass,
    pub(crate) gateway: Gateway,
    pub(crate) sim: SimGateway,
}

impl Bench {
    /// A line that is not up yet.
    pub(crate) async fn new(sim: SimGateway) -> Self {
        Self::with(sim, |_| {}).await
    }

    /// A line that is not up yet, to a gateway that is reached in another way than by [`spec`].
    pub(crate) async fn with(sim: SimGateway, change: impl FnOnce(&mut GatewaySpec)) -> Self {
        let windlass = windlass([("gw".to_owned(), sim.clone())]);
        let mut spec = spec("gw");
        change(&mut spec);
        let gateway = windlass.add(spec).await.unwrap();
        Self { windlass, gateway, sim }
    }

    /// A line that is up.
    pub(crate) async fn up(generation: Generation) -> Self {
        let bench = Self::new(sim(generation).start_pipe()).await;
        bench.wait_up().await;
        bench
    }

    pub(crate) async fn wait_up(&self) -> LineStatus {
        self.gateway
            .wait_until_up(Duration::from_secs(60))
            .await
            .expect("the line comes up")
    }

    /// Waits for a state of the line; the test fails after an hour (of virtual time).
    pub(crate) async fn wait_state(&self, wanted: impl FnMut(&LineStatus) -> bool) -> LineStatus {
        let mut status = self.gateway.status();
        let seen = tokio::time::timeout(Duration::from_secs(3600), status.wait_for(wanted)).await;
        seen.expect("the state comes within an hour")
            .expect("the line lives")
            .clone()
    }

    /// A call under way in the background.
    pub(crate) fn call(&self, method: &'static str, params: serde_json::Value) -> Ongoing {
        let call = self.gateway.call(method, params).timeout(Duration::from_secs(120));
        tokio::task::spawn_local(async move { call.await })
    }

    /// Waits until the gateway has received this method so many times.
    pub(crate) async fn wait_requests(&self, method: &str, count: usize) {
        self.sim
            .wait_for(|journal| journal.requests(method).len() >= count)
            .await
            .unwrap();
    }

    /// Ends everything and proves that nothing is left: no call, no subscriber, no socket.
    pub(crate) async fn finish(self) {
        LogWatch::assert_clean();
        let left = self.gateway.inspect().await.unwrap();
        assert_eq!((left.in_flight, left.waiting), (0, 0), "calls are left");
        self.windlass.shutdown(Duration::from_secs(1)).await;
        self.sim
            .wait_for(|journal| journal.open_connections() == 0)
            .await
            .unwrap();
        self.sim.shutdown().await;
    }
}

pub(crate) type Ongoing = tokio::task::JoinHandle<Result<RawJson, CallError>>;

pub(crate) async fn end(ongoing: Ongoing) -> Result<RawJson, CallError> {
    ongoing.await.expect("the call's task ends by itself")
}

/// A chat message as a call's parameters.
pub(crate) fn chat(message: &str) -> serde_json::Value {
    serde_json::json!({ "sessionKey": "agent:main:main", "message": message })
}

/// The next item of a stream, at latest after ten minutes of virtual time.
pub(crate) async fn next(events: &mut Subscription) -> LineEvent {
    tokio::time::timeout(Duration::from_secs(600), events.next())
        .await
        .expect("an item comes")
        .expect("the stream lives")
}

/// The next marker, over any events.
pub(crate) async fn next_marker(events: &mut Subscription) -> Marker {
    loop {
        if let LineEvent::Marker(marker) = next(events).await {
            return *marker;
        }
    }
}
