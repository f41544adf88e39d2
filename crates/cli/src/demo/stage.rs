//! Three simulated gateways, and Windlass with a line to each.

use std::sync::Arc;
use std::time::Duration;

use windlass::{Gateway, Windlass};
use windlass_line::{Endpoint, GatewaySpec};
use windlass_protocol::{DeviceIdentity, GatewayId, Secret};
use windlass_testkit::{ChatPlan, SimGateway};

use crate::exit::Failure;

/// Both protocol generations: 3 is spoken by the first, 4 by the others.
const RELEASES: [(&str, &str); 3] = [("berlin", "2026.3.13"), ("oslo", "2026.8.2"), ("tokyo", "2026.9.6")];

/// The token of the simulated gateways; it opens nothing else.
const TOKEN: &str = "demo-token-of-simulated-gateways";

/// One gateway in the play.
pub(crate) struct Cast {
    pub(crate) name: &'static str,
    pub(crate) release: &'static str,
    pub(crate) sim: SimGateway,
    pub(crate) gateway: Gateway,
}

/// All of it.
pub(crate) struct Stage {
    pub(crate) windlass: Windlass,
    pub(crate) casts: Vec<Cast>,
}

impl Stage {
    /// Starts gateways and lines.
    pub(crate) async fn set() -> Result<Self, Failure> {
        let windlass = Windlass::start()?;
        let device = Arc::new(DeviceIdentity::from_seed([42; 32]));
        let mut casts = Vec::new();
        for (name, release) in RELEASES {
            let answer = ChatPlan {
                increments: 5,
                pace: Duration::from_millis(30),
                ..ChatPlan::default()
            };
            let sim = SimGateway::builder()
                .release(release)
                .token(TOKEN)
                .chat(answer)
                .start_tcp()
                .await;
            let sim = sim.map_err(|error| {
                Failure::usage(
                    format!("No simulated gateway can be started: {error}"),
                    "The demo needs three free TCP ports on 127.0.0.1.",
                )
            })?;
            let unusable = |error: &dyn std::error::Error| Failure::usage(error.to_string(), "");
            let endpoint = Endpoint::parse(&sim.url()).map_err(|error| unusable(&error))?;
            let id = GatewayId::new(name).map_err(|error| unusable(&error))?;
            let mut spec = GatewaySpec::new(id, endpoint);
            spec.token = Some(Secret::new(TOKEN));
            spec.device = Some(Arc::clone(&device));
            casts.push(Cast {
                name,
                release,
                gateway: windlass.add(spec).await?,
                sim,
            });
        }
        Ok(Self { windlass, casts })
    }

    /// Closes the lines and ends the gateways.
    pub(crate) async fn clear(self) {
        crate::session::close(self.windlass).await;
        for cast in self.casts {
            cast.sim.shutdown().await;
        }
    }
}
