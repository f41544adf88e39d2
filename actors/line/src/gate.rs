//! How many attempts to connect begin at a time.
//!
//! Two things are to be kept from a storm of attempts: this process, which signs and encrypts for each, and a gateway that many
//! lines lead to. A gateway that hangs must cost other lines nothing. So an attempt takes two places:
//!
//! * one of its endpoint's, for as long as it lasts: an attempt that hangs there holds up lines to the same endpoint only;
//! * one of the process's, for [`HELD_FOR`] at most: an attempt that has lasted longer than that waits for its gateway, and does no
//!   work. A thousand gateways that hang take no more than that once in each of their backoffs.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::Endpoint;

/// How long an attempt holds a place of the process's. One on the same shard or in the same data centre is over by then, so that
/// the number of places is the number of attempts; one over a long way only waits from there on. With 64 places no fewer than 640
/// attempts begin in a second, which is less work than a core can do.
const HELD_FOR: Duration = Duration::from_millis(100);

/// Bounds the attempts to connect of a process. Give each shard of a process the same one.
pub struct ConnectGate {
    process: Arc<Semaphore>,
    endpoints: Mutex<BTreeMap<String, Arc<Semaphore>>>,
    places: usize,
}

impl fmt::Debug for ConnectGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectGate")
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl ConnectGate {
    /// A gate with so many places, one at least, for the process and for each endpoint.
    pub fn new(places: usize) -> Arc<Self> {
        let places = places.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            process: Arc::new(Semaphore::new(places)),
            endpoints: Mutex::default(),
            places,
        })
    }

    /// Makes an attempt when there is room for it.
    ///
    /// # Errors
    /// Never in practice: no gate is closed.
    ///
    /// ## Cancel safety
    /// The places are given back when the future is dropped.
    pub(crate) async fn attempt<F: Future>(
        self: &Arc<Self>,
        endpoint: &Endpoint,
        attempt: F,
    ) -> Result<F::Output, AcquireError> {
        let _of_endpoint = self.place_at(endpoint).await?;
        let of_process = Arc::clone(&self.process).acquire_owned().await?;
        let mut attempt = pin!(attempt);
        let early = timeout(HELD_FOR, &mut attempt).await;
        drop(of_process);
        Ok(match early {
            Ok(ended) => ended,
            Err(_) => attempt.await,
        })
    }

    async fn place_at(self: &Arc<Self>, endpoint: &Endpoint) -> Result<EndpointPlace, AcquireError> {
        let endpoint = endpoint.to_string();
        let places = {
            let mut endpoints = self.endpoints();
            let places = endpoints.entry(endpoint.clone());
            Arc::clone(places.or_insert_with(|| Arc::new(Semaphore::new(self.places))))
        };
        // Before the wait, so that an attempt that is given up leaves nothing.
        let mut place = EndpointPlace {
            gate: Arc::clone(self),
            endpoint,
            permit: None,
        };
        place.permit = Some(places.acquire_owned().await?);
        Ok(place)
    }

    fn endpoints(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Semaphore>>> {
        self.endpoints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the attempts at one endpoint, or the wait for one.
struct EndpointPlace {
    gate: Arc<ConnectGate>,
    endpoint: String,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for EndpointPlace {
    fn drop(&mut self) {
        drop(self.permit.take());
        let mut endpoints = self.gate.endpoints();
        // Who waits or has a place holds the semaphore; so does the table.
        if endpoints
            .get(&self.endpoint)
            .is_some_and(|places| Arc::strong_count(places) == 1)
        {
            endpoints.remove(&self.endpoint);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;
    use crate::clock::Clock as _;

    fn endpoint(name: &str) -> Endpoint {
        Endpoint::parse(&format!("ws://{name}")).unwrap()
    }

    /// Attempts that hang, one at each endpoint of these names.
    fn hang(gate: &Arc<ConnectGate>, names: impl IntoIterator<Item = String>) -> JoinSet<()> {
        let mut hanging = JoinSet::new();
        for name in names {
            let gate = Arc::clone(gate);
            hanging.spawn(async move {
                let _ = gate.attempt(&endpoint(&name), pending::<()>()).await;
            });
        }
        hanging
    }

    /// How long an attempt of 10 ms takes, its wait for a place included.
    async fn quick(gate: &Arc<ConnectGate>, name: &str) -> u128 {
        let clock = crate::TokioClock::start();
        let start = clock.now();
        let attempt = async { sleep(Duration::from_millis(10)).await };
        gate.attempt(&endpoint(name), attempt).await.unwrap();
        (clock.now() - start).as_millis()
    }

    #[tokio::test(start_paused = true)]
    async fn gateways_that_hang_cost_another_a_moment_when_they_begin_and_nothing_later() {
        let gate = ConnectGate::new(64);
        let _hanging = hang(&gate, (0..256).map(|n| format!("hangs-{n}")));
        // Until all of them have begun to wait.
        sleep(Duration::from_millis(1)).await;
        assert_eq!(quick(&gate, "good").await, 4 * HELD_FOR.as_millis() - 1 + 10);
        assert_eq!(quick(&gate, "good").await, 10);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_at_one_endpoint_wait_for_each_other_however_long_they_take() {
        let gate = ConnectGate::new(4);
        let mut hanging = hang(&gate, (0..4).map(|_| "hangs".to_owned()));
        sleep(Duration::from_secs(60)).await;
        let late = timeout(Duration::from_secs(60), quick(&gate, "hangs")).await;
        assert!(late.is_err(), "{late:?}");
        assert_eq!(quick(&gate, "good").await, 10);
        hanging.shutdown().await;
        assert_eq!(quick(&gate, "hangs").await, 10);
        assert!(
            gate.endpoints().is_empty(),
            "an endpoint without attempts takes no memory"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn quick_attempts_are_never_more_than_there_are_places() {
        let gate = ConnectGate::new(2);
        let mut all = JoinSet::new();
        for n in 0..20 {
            let gate = Arc::clone(&gate);
            all.spawn(async move { quick(&gate, &format!("good-{n}")).await });
        }
        let took = all.join_all().await;
        assert_eq!(took.iter().max(), Some(&100));
    }
}
