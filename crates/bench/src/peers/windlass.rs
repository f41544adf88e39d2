//! Windlass as a user has it: supervision, deadlines, re-send policy and outcomes are on.

use std::sync::Arc;
use std::time::Duration;

use windlass::{DeviceIdentity, Endpoint, Gateway, GatewayId, GatewaySpec, Secret, Windlass, WindlassBuilder};

use super::PeerError;
use super::obey::obey;
use super::request::{METHOD, PARAMS};
use crate::allocations::Allocations;
use crate::events::{BURST, BYTES};
use crate::load::{Call, CallFailed, drive_here, drive_spread};

/// Requests that may be under way: more than the largest depth that is measured, and than a real gateway would take.
const IN_FLIGHT: usize = 4096;

/// How long a line to loopback may take to come up.
const COMES_UP: Duration = Duration::from_secs(30);

/// Windlass as something that can be called.
#[derive(Debug, Clone)]
pub(crate) struct WindlassClient(Gateway);

impl WindlassClient {
    pub(crate) const fn new(gateway: Gateway) -> Self {
        Self(gateway)
    }

    /// A line to this port that is up.
    pub(crate) async fn connect(windlass: &Windlass, port: u16) -> Result<Self, PeerError> {
        let failed = |why: String| PeerError::Connect(why);
        let added = windlass.add(spec("gw", port, &device())?).await;
        let gateway = added.map_err(|error| failed(error.to_string()))?;
        let up = gateway.wait_until_up(COMES_UP).await;
        up.map_err(|error| failed(error.to_string()))?;
        Ok(Self(gateway))
    }

    pub(crate) const fn gateway(&self) -> &Gateway {
        &self.0
    }

    /// Asks for a burst of events.
    pub(crate) async fn burst(&self) -> Result<(), PeerError> {
        let wanted = serde_json::json!({ "count": BURST, "bytes": BYTES });
        let asked = self.0.call("bench.events", wanted).await;
        asked.map(drop).map_err(|error| PeerError::Connect(error.to_string()))
    }
}

impl Call for WindlassClient {
    async fn call(&self) -> Result<(), CallFailed> {
        let payload = self.0.call(METHOD, PARAMS).await;
        std::hint::black_box(payload.map_err(|error| CallFailed(error.to_string()))?);
        Ok(())
    }
}

/// The specification of a line to this port.
pub(crate) fn spec(id: &str, port: u16, device: &Arc<DeviceIdentity>) -> Result<GatewaySpec, PeerError> {
    let failed = |why: String| PeerError::Connect(why);
    let id = GatewayId::new(id).map_err(|error| failed(error.to_string()))?;
    let endpoint = Endpoint::parse(&format!("ws://127.0.0.1:{port}")).map_err(|error| failed(error.to_string()))?;
    let mut spec = GatewaySpec::new(id, endpoint);
    spec.token = Some(Secret::new("bench"));
    spec.device = Some(Arc::clone(device));
    spec.limits.in_flight = IN_FLIGHT;
    Ok(spec)
}

/// The key that this client signs with.
pub(crate) fn device() -> Arc<DeviceIdentity> {
    Arc::new(DeviceIdentity::from_seed([7; 32]))
}

/// Windlass with metrics, or without.
#[cfg(feature = "metrics")]
pub(crate) fn builder(observed: bool) -> WindlassBuilder {
    use windlass::Metering;

    Windlass::builder().metrics(if observed { Metering::On } else { Metering::Off })
}

/// Windlass as it is built without metrics.
#[cfg(not(feature = "metrics"))]
pub(crate) fn builder(_observed: bool) -> WindlassBuilder {
    Windlass::builder()
}

/// The lines and the callers on the present thread; with all that can be observed, if that is wanted.
pub(super) async fn run_here(port: u16, allocations: Allocations, observed: bool) -> Result<(), PeerError> {
    let windlass = builder(observed).seed(1).start_local();
    let windlass = windlass.map_err(|error| PeerError::Connect(error.to_string()))?;
    let client = WindlassClient::connect(&windlass, port).await?;
    obey(allocations, async |order, meter| {
        drive_here(&client, order, meter).await
    })
    .await
}

/// The lines on their own thread, the callers on the present runtime.
pub(super) async fn run_spread(port: u16, allocations: Allocations) -> Result<(), PeerError> {
    let windlass = builder(false)
        .start()
        .map_err(|error| PeerError::Connect(error.to_string()))?;
    let client = WindlassClient::connect(&windlass, port).await?;
    obey(allocations, async |order, meter| {
        drive_spread(&client, order, meter).await
    })
    .await
}
