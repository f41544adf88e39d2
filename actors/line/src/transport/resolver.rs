//! Names to addresses, on threads that nothing waits for.
//!
//! The system's resolver is asked, because hosts rely on its files (`/etc/hosts`, `nsswitch.conf`). It blocks, for minutes where a
//! name server does not answer, and can't be interrupted. So each look-up has a thread of its own, which neither a runtime nor the
//! process waits for at its end; there are so many at a time and no more; and a name that is being looked up is not looked up a
//! second time, so that one which hangs costs one thread.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, watch};

use super::DialError;
use crate::threads;

/// Look-ups that may be under way: more names than are expected to hang at a time, and threads that a process can spare.
const LOOK_UPS: usize = 64;

/// The result for a name: given to all waiting tasks, so it can be cloned.
type Found = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// Look-ups that are under way, by host and port.
type UnderWay = BTreeMap<(String, u16), watch::Receiver<Option<Found>>>;

/// Asks for the addresses of a host and port. Blocks.
type Ask = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// A resolver. Cheap to clone; the clones share.
#[derive(Clone)]
pub(super) struct Resolver(Arc<Shared>);

struct Shared {
    ask: Box<Ask>,
    places: Arc<Semaphore>,
    under_way: Mutex<UnderWay>,
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Default for Resolver {
    fn default() -> Self {
        Self::new(|host: &str, port| Ok((host, port).to_socket_addrs()?.collect()))
    }
}

impl Resolver {
    pub(super) fn new(ask: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Shared {
            ask: Box::new(ask),
            places: Arc::new(Semaphore::new(LOOK_UPS)),
            under_way: Mutex::default(),
        }))
    }

    /// The addresses of a name, one at least. As long as it takes: the caller has a deadline.
    ///
    /// ## Cancel safety
    /// The look-up goes on when the future is dropped, for the next request.
    pub(super) async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        let mut answer = self.asked(host, port).await?;
        let found = answer.wait_for(Option::is_some).await;
        let found = found.ok().and_then(|found| found.clone());
        match found {
            Some(Ok(addresses)) if addresses.is_empty() => Err(DialError::Dns(io::ErrorKind::NotFound.into())),
            Some(Ok(addresses)) => Ok(addresses),
            Some(Err((kind, text))) => Err(DialError::Dns(io::Error::new(kind, text))),
            None => Err(DialError::Dns(io::Error::other("the look-up was broken off"))),
        }
    }

    /// The answer to a look-up that is under way, or begins now.
    async fn asked(&self, host: &str, port: u16) -> Result<watch::Receiver<Option<Found>>, DialError> {
        let key = (host.to_owned(), port);
        let under_way = self.0.under_way().get(&key).cloned();
        if let Some(answer) = under_way {
            return Ok(answer);
        }
        let place = Arc::clone(&self.0.places).acquire_owned().await;
        let place = place.map_err(|closed| DialError::Dns(io::Error::other(closed)))?;
        let mut entries = self.0.under_way();
        if let Some(answer) = entries.get(&key) {
            return Ok(answer.clone());
        }
        let (found, answer) = watch::channel(None);
        entries.insert(key.clone(), answer.clone());
        drop(entries);
        let shared = Arc::clone(&self.0);
        let look_up = LookUp { shared, key };
        let started = threads::spawn("windlass-names", move || {
            let (host, port) = &look_up.key;
            let asked = (look_up.shared.ask)(host, *port);
            found.send_replace(Some(asked.map_err(|error| (error.kind(), error.to_string()))));
            drop((look_up, place));
        });
        started.map_err(DialError::Resources)?;
        Ok(answer)
    }
}

impl Shared {
    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look-up that is under way. It is not any more when this is dropped, be it by a panic, or because there was no thread for it.
struct LookUp {
    shared: Arc<Shared>,
    key: (String, u16),
}

impl Drop for LookUp {
    fn drop(&mut self) {
        self.shared.under_way().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;

    use super::*;

    /// A resolver that answers to `good`, refuses `bad`, panics over `bug`, and hangs over all other names until `go_on` is dropped.
    fn resolver() -> (Resolver, mpsc::Sender<()>, Arc<AtomicUsize>) {
        let (go_on, wait) = mpsc::channel::<()>();
        let (wait, asked) = (Mutex::new(wait), Arc::new(AtomicUsize::new(0)));
        let count = Arc::clone(&asked);
        let resolver = Resolver::new(move |host, port| {
            count.fetch_add(1, Ordering::SeqCst);
            match host {
                "good" => Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]),
                "none" => Ok(Vec::new()),
                "bad" => Err(io::Error::new(io::ErrorKind::NotFound, "no such name")),
                "bug" => panic!("a resolver panics"),
                _ => {
                    let _ = wait.lock().unwrap().recv();
                    Ok(vec![SocketAddr::from(([127, 0, 0, 2], port))])
                }
            }
        });
        (resolver, go_on, asked)
    }

    #[tokio::test]
    async fn a_name_that_hangs_costs_one_thread_and_other_names_nothing() {
        let (resolver, go_on, asked) = resolver();
        let ask = |resolver: Resolver| tokio::spawn(async move { resolver.look_up("hangs", 1).await });
        let first = ask(resolver.clone());
        let good = resolver.look_up("good", 80).await.unwrap();
        assert_eq!(good, [SocketAddr::from(([127, 0, 0, 1], 80))]);
        let waiters: Vec<_> = (0..100).map(|_| ask(resolver.clone())).collect();
        tokio::task::yield_now().await;
        first.abort();
        drop(go_on);
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap().unwrap().len(), 1);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_name_without_addresses_a_refusal_and_a_panic_are_errors_and_leave_nothing() {
        let (resolver, _go_on, _) = resolver();
        for name in ["none", "bad", "bug"] {
            let error = resolver.look_up(name, 80).await.unwrap_err();
            assert!(matches!(error, DialError::Dns(_)), "{name}: {error:?}");
        }
        resolver.look_up("good", 80).await.unwrap();
        // The last thing that a look-up does is to give its place back.
        let places = resolver.0.places.acquire_many(u32::try_from(LOOK_UPS).unwrap()).await;
        drop(places.unwrap());
        assert!(resolver.0.under_way().is_empty());
    }
}
