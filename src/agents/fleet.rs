//! Control planes over Windlass's own lines, made from the store's records of gateways.

use std::error::Error;
use std::sync::Arc;

use async_trait::async_trait;
use dashmap::DashMap;
use tokio::sync::Mutex;
use windlass_agents::control_plane::{ControlError, ControlPlane, OpenClaw};
use windlass_agents::provisioner::{ACTIVITY, Fleet};
use windlass_line::threads;
use windlass_line::{Endpoint, EventFilter, GatewaySpec, Header, RegistryError, Subscription, TlsPolicy};
use windlass_protocol::{CallError, ClientInfo, DeviceIdentity, GatewayId, NotSent, Secret, SecretOrigin};
use windlass_store::{Gateway, GatewayUid};

use crate::Windlass;
use crate::identity;

/// Events of a gateway that wait to be looked at: those of a storm can be missed, an agent at work sends more.
const ACTIVITY_QUEUE: usize = 256;

/// Resolves the names of secrets that the embedding service keeps itself.
pub(super) type HostSecrets = dyn Fn(&str) -> Option<Secret> + Send + Sync;

pub(super) struct LineFleet {
    windlass: Windlass,
    access: Access,
    planes: DashMap<GatewayUid, Arc<Mutex<Option<KnownGateway>>>>,
}

/// A gateway that was asked for, as its record was then.
struct KnownGateway {
    record: Gateway,
    plane: Arc<OpenClaw>,
}

/// Secrets and keys that a line is opened with.
#[derive(Clone)]
struct Access {
    secrets: Arc<HostSecrets>,
    device: Option<Arc<DeviceIdentity>>,
}

impl Access {
    /// The spec of its line. Blocks while it reads files.
    fn spec(&self, gateway: &Gateway) -> Result<GatewaySpec, String> {
        let endpoint = Endpoint::parse(&gateway.url).map_err(|error| format!("url: {error}"))?;
        let mut spec = GatewaySpec::new(line_id(gateway)?, endpoint);
        if let Some(source) = &gateway.token {
            spec.token = source
                .read(&|name| (self.secrets)(name))
                .map_err(|error| format!("token: {}", with_causes(&error)))?;
            let named_by = format!("the record of gateway {}", gateway.name);
            spec.origins.token = Some(SecretOrigin::new(source.place()).named_by(named_by));
        }
        spec.tls = tls(gateway)?;
        if gateway.disable_device_pairing {
            spec.client = ClientInfo::control_ui(env!("CARGO_PKG_VERSION"), std::env::consts::OS);
            let origin = Header::new("Origin", spec.endpoint.origin()).map_err(|error| format!("url: {error}"))?;
            spec.headers.push(origin);
        } else {
            spec.device = Some(self.device()?);
        }
        Ok(spec)
    }

    fn device(&self) -> Result<Arc<DeviceIdentity>, String> {
        match &self.device {
            Some(device) => Ok(Arc::clone(device)),
            None => identity::load_default().map_err(|error| format!("device: {error}")),
        }
    }
}

impl LineFleet {
    pub(super) fn new(windlass: Windlass, secrets: Arc<HostSecrets>, device: Option<Arc<DeviceIdentity>>) -> Self {
        Self {
            windlass,
            access: Access { secrets, device },
            planes: DashMap::new(),
        }
    }

    async fn open(&self, gateway: &Gateway) -> Result<crate::Gateway, ControlError> {
        let (access, record) = (self.access.clone(), gateway.clone());
        let read = threads::blocking(move || access.spec(&record)).map_err(|why| why.to_string());
        let spec = match read {
            Ok(read) => read.await.unwrap_or_else(|why| Err(why.to_string())),
            Err(why) => Err(why),
        };
        let spec = spec.map_err(|why| invalid(format!("gateway {}: {why}", gateway.name)))?;
        let id = spec.id.clone();
        let opened = match self.windlass.add(spec.clone()).await {
            Err(RegistryError::AlreadyThere(_)) => self.windlass.update(spec).await,
            opened => opened.map(drop),
        };
        let closed = || ControlError::from(CallError::from(NotSent::Closed));
        opened.map_err(|_| closed())?;
        self.windlass.gateway(&id).ok_or_else(closed)
    }
}

#[async_trait]
impl Fleet for LineFleet {
    async fn control_plane(&self, gateway: &Gateway) -> Result<Arc<dyn ControlPlane>, ControlError> {
        let slot = Arc::clone(&*self.planes.entry(gateway.id).or_default());
        // Two who ask at once must not open two lines.
        let mut known = slot.lock().await;
        if let Some(known) = &*known
            && is_reached_alike(&known.record, gateway)
        {
            return Ok(Arc::clone(&known.plane) as _);
        }
        let sessions = self.open(gateway).await?.sessions();
        let inner = self.windlass.inner();
        let plane = Arc::new(OpenClaw::new(sessions, inner.with_rng(rand::RngExt::random)));
        *known = Some(KnownGateway {
            record: gateway.clone(),
            plane: Arc::clone(&plane),
        });
        Ok(plane)
    }

    async fn activity(&self, gateway: &Gateway) -> Option<Subscription> {
        let line = line_id(gateway).ok()?;
        self.control_plane(gateway).await.ok()?;
        let filter = ACTIVITY.into_iter().fold(EventFilter::all(), EventFilter::name);
        Some(self.windlass.gateway(&line)?.events_bounded(filter, ACTIVITY_QUEUE))
    }
}

/// The control plane of a gateway that needs no record in a store.
pub fn control_plane_of(gateway: &crate::Gateway) -> Arc<dyn ControlPlane> {
    let seed = gateway.inner().with_rng(rand::RngExt::random);
    Arc::new(OpenClaw::new(gateway.sessions(), seed))
}

/// Whether both records describe the same way to their gateway. Other changes need no other line.
fn is_reached_alike(one: &Gateway, other: &Gateway) -> bool {
    let way = |gateway: &Gateway| {
        (
            gateway.url.clone(),
            gateway.token.clone(),
            gateway.allow_insecure_tls,
            gateway.tls_fingerprint.clone(),
            gateway.disable_device_pairing,
        )
    };
    way(one) == way(other)
}

/// The name of a record's line.
fn line_id(gateway: &Gateway) -> Result<GatewayId, String> {
    GatewayId::new(gateway.id.to_string()).map_err(|error| error.to_string())
}

fn tls(gateway: &Gateway) -> Result<TlsPolicy, String> {
    match &gateway.tls_fingerprint {
        Some(fingerprint) => fingerprint
            .parse()
            .map(TlsPolicy::Pinned)
            .map_err(|error| format!("tls_fingerprint: {error}")),
        None if gateway.allow_insecure_tls => Ok(TlsPolicy::Insecure),
        None => Ok(TlsPolicy::SystemRoots),
    }
}

fn with_causes(error: &dyn Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", with_causes(cause)),
        None => error.to_string(),
    }
}

fn invalid(why: String) -> ControlError {
    CallError::from(NotSent::Invalid { why }).into()
}
