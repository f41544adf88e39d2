//! The state that the lines of a shard share, and the bound on attempts to connect that the shards of a process share.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant, SystemTime};

use rustc_hash::FxHashSet;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use windlass_protocol::Features;
use windlass_protocol::time::wall_after;

use crate::Endpoint;
use crate::clock::Clock;
use crate::tokens::TokenAccess;
use crate::transport::{Connector, FrameWriter};

/// How long an attempt holds a place of the process's. One on the same shard or in the same data centre is over by then, so that
/// the number of places is the number of attempts; one over a long way only waits from there on. With 64 places no fewer than 640
/// attempts begin in a second, which is less work than a core can do.
const HELD_FOR: Duration = Duration::from_millis(100);

/// Bounds the attempts to connect of a process. Give each shard of a process the same one.
///
/// Two things are to be kept from a storm of attempts: this process, which signs and encrypts for each, and a gateway that many
/// lines lead to. A gateway that hangs must cost other lines nothing. So an attempt takes two places:
///
/// * one of its endpoint's, for as long as it lasts: an attempt that hangs there holds up lines to the same endpoint only;
/// * one of the process's, for 100 ms at most: an attempt that has lasted longer than that waits for its gateway, and does no
///   work. A thousand gateways that hang take no more than that once in each of their backoffs.
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
        // An attempt that waits or has a place holds the semaphore; so does the table.
        if endpoints
            .get(&self.endpoint)
            .is_some_and(|places| Arc::strong_count(places) == 1)
        {
            endpoints.remove(&self.endpoint);
        }
    }
}

/// The state that all lines of a shard share.
pub(crate) struct ShardContext {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) tokens: TokenAccess,
    /// Bounds the attempts to connect, over all shards of a process.
    pub(crate) gate: Arc<ConnectGate>,
    pub(crate) known: KnownFeatures,
    pub(crate) names: EventNames,
    /// Where requests become frames, for all lines: one line at a time writes.
    pub(crate) frames: RefCell<FrameWriter>,
}

impl ShardContext {
    /// The time of day at an instant of the clock.
    pub(crate) fn wall_at(&self, instant: Instant) -> SystemTime {
        wall_after(self.clock.wall(), instant.saturating_duration_since(self.clock.now()))
    }
}

/// Different features that are looked through. A fleet has a handful of releases; beyond this a line keeps its own.
const MAX_KNOWN: usize = 32;

/// The features of the gateways that a shard's lines lead to: 466 names of methods on 2026.9.6, 40 kB.
#[derive(Debug, Default)]
pub(crate) struct KnownFeatures(RefCell<Vec<Weak<Features>>>);

impl KnownFeatures {
    /// The same features as `heard`: those of another line if one has heard the same, else these.
    pub(crate) fn share(&self, heard: Arc<Features>) -> Arc<Features> {
        let mut known = self.0.borrow_mut();
        known.retain(|features| features.strong_count() > 0);
        let same = known
            .iter()
            .filter_map(Weak::upgrade)
            .find(|features| *features == heard);
        if let Some(same) = same {
            return same;
        }
        if known.len() < MAX_KNOWN {
            known.push(Arc::downgrade(&heard));
        }
        heard
    }
}

/// Names that are kept. The releases measured have some forty each.
const MAX_NAMES: usize = 256;
/// Longest name that is kept, in bytes; theirs have at most 36.
const MAX_LENGTH: usize = 64;

/// The names of the events that the lines of a shard hear. An event with one of them needs no memory for its name.
#[derive(Debug, Default)]
pub(crate) struct EventNames(RefCell<FxHashSet<Arc<str>>>);

impl EventNames {
    /// This name, the same one each time.
    pub(crate) fn get(&self, name: &str) -> Arc<str> {
        let mut names = self.0.borrow_mut();
        if let Some(name) = names.get(name) {
            return Arc::clone(name);
        }
        let new: Arc<str> = name.into();
        if name.len() <= MAX_LENGTH {
            if names.len() >= MAX_NAMES {
                // A gateway that makes up names costs the others one new copy of theirs.
                names.clear();
            }
            names.insert(Arc::clone(&new));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::JoinSet;
    use tokio::time::sleep;

    use super::*;

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

#[cfg(test)]
mod known_tests {
    use super::*;

    fn features(method: &str) -> Arc<Features> {
        Arc::new(Features {
            methods: Some(vec![method.to_owned()]),
            ..Features::default()
        })
    }

    #[test]
    fn lines_that_hear_the_same_share_it_and_what_nobody_keeps_is_forgotten() {
        let known = KnownFeatures::default();
        let first = known.share(features("a"));
        assert!(Arc::ptr_eq(&first, &known.share(features("a"))));
        let other = known.share(features("b"));
        assert!(!Arc::ptr_eq(&first, &other));
        drop((first, other));
        let _ = known.share(features("c"));
        assert_eq!(known.0.borrow().len(), 1);
    }
}

#[cfg(test)]
mod names_tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let names = EventNames::default();
        assert!(Arc::ptr_eq(&names.get("chat"), &names.get("chat")));
        assert_eq!(&*names.get("tick"), "tick");
        let long = "x".repeat(MAX_LENGTH + 1);
        assert!(!Arc::ptr_eq(&names.get(&long), &names.get(&long)));
    }

    #[test]
    fn made_up_names_do_not_pile_up() {
        let names = EventNames::default();
        for n in 0..10 * MAX_NAMES {
            names.get(&n.to_string());
            assert!(names.0.borrow().len() <= MAX_NAMES);
        }
    }
}
