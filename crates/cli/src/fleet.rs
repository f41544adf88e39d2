//! Lines to the gateways of a store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select_all;
use tokio::sync::watch::Receiver;
use windlass::agents::ControlPlane;
use windlass::store::Gateway;
use windlass::{DeviceIdentity, GatewayId, LineState, LineStatus, MemoryTokens, Windlass};
use windlass_protocol::Advice;

use crate::exit::{Exit, Failure};
use crate::output::{Output, advice_line};
use crate::session::{self, Patience, Tokens};
use crate::store::{shown, shown_url};

/// How long a gateway that does not answer is waited for, unless a flag says otherwise: a restart takes some seconds.
pub(crate) const CONNECT: Duration = Duration::from_secs(15);

/// Windlass, with this machine's device where a gateway wants to see one.
pub(crate) struct Host {
    pub(crate) windlass: Windlass,
    pub(crate) device: Option<Arc<DeviceIdentity>>,
}

/// A gateway that can't be worked with now.
#[derive(Debug, Clone)]
pub(crate) struct Down {
    pub(crate) exit: Exit,
    pub(crate) advice: Advice,
}

impl Host {
    /// Starts it for these gateways.
    pub(crate) fn start(gateways: &[Gateway]) -> Result<Self, Failure> {
        let (device, tokens) = if gateways.iter().any(|gateway| !gateway.disable_device_pairing) {
            let (device, tokens) = session::default_device()?;
            (Some(device), Tokens::File(tokens))
        } else {
            (None, Tokens::None(MemoryTokens::default()))
        };
        let windlass = Windlass::builder().device_tokens(tokens).start()?;
        Ok(Self { windlass, device })
    }

    /// The line of a gateway, if it was opened.
    pub(crate) fn line(&self, gateway: &Gateway) -> Option<windlass::Gateway> {
        self.windlass.gateway(&GatewayId::new(gateway.id.to_string()).ok()?)
    }

    /// Waits until the line of a gateway is up. `plane` is what opened it.
    pub(crate) async fn settle(
        &self,
        gateway: &Gateway,
        plane: Result<Arc<dyn ControlPlane>, windlass::agents::ControlError>,
        limit: Duration,
        output: &Output,
    ) -> Result<Arc<dyn ControlPlane>, Down> {
        let name = shown(&gateway.name);
        let plane = plane.map_err(|error| Down {
            exit: Exit::Usage,
            advice: Advice::new(
                error.to_string(),
                "Correct the gateway's record: remove it and add it again.",
            ),
        })?;
        let Some(line) = self.line(gateway) else {
            return Ok(plane);
        };
        let status = session::settle(&line, &name, Patience::All, limit, output).await;
        if status.is_up() {
            return Ok(plane);
        }
        let advice = match &status.last_error {
            Some(error) => Advice::new(
                format!("{name}: {}", error.advice.summary),
                error.advice.next_step.clone(),
            ),
            None => Advice::new(
                format!("{name}: no connection to {} in time", shown_url(&gateway.url)),
                format!("Look what takes so long: windlass doctor --gateway {name}"),
            ),
        };
        let exit = session::exit_of(&status);
        Err(Down { exit, advice })
    }

    /// The lines of these gateways, to be watched.
    pub(crate) fn watch(&self, gateways: &[Gateway]) -> Watched {
        let lines = gateways.iter().filter_map(|gateway| {
            let line = self.line(gateway)?;
            Some((shown(&gateway.name), line.status()))
        });
        Watched(lines.collect())
    }

    /// Closes all lines and waits for it.
    pub(crate) async fn close(self) {
        session::close(self.windlass).await;
    }
}

/// Lines that are watched for changes, with their gateways' names.
pub(crate) struct Watched(Vec<(String, Receiver<LineStatus>)>);

impl Watched {
    /// The next change of a line; for ever none when there are no lines. May be dropped and asked again.
    pub(crate) async fn next(&mut self) -> (String, LineStatus) {
        if self.0.is_empty() {
            return std::future::pending().await;
        }
        let changes = self.0.iter_mut().enumerate().map(|(index, (_, line))| {
            Box::pin(async move {
                // A line that is closed for good changes no more.
                if line.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
                index
            })
        });
        let (index, ..) = select_all(changes).await;
        let (name, line) = &mut self.0[index];
        (name.clone(), line.borrow_and_update().clone())
    }

    /// The next trouble of a line, in words; each reason once in a row.
    pub(crate) async fn next_trouble(&mut self, told: &mut Option<String>) -> String {
        loop {
            let (name, status) = self.next().await;
            let why = match (&status.state, &status.last_error) {
                (LineState::Up { .. }, _) => {
                    *told = None;
                    continue;
                }
                (_, Some(error)) => format!("{name}: {}", advice_line(&error.advice)),
                (_, None) => continue,
            };
            if told.as_ref() != Some(&why) {
                *told = Some(why.clone());
                return why;
            }
        }
    }
}
