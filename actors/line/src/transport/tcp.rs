//! The connector of production: name look-up, TCP to the first address that takes it, TLS, each with a deadline.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use crate::threads::ResourceError;
use crate::transport::tls::TlsClient;
use crate::transport::{BoxedIo, Connector, DialError, DialPhase, Dialing, TlsPolicy};
use crate::{Endpoint, clock, threads};

/// Dials gateways over TCP, with TLS for `wss://`.
///
/// The phases are public one by one, so that a diagnosis can show which of them fails.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use windlass_line::{Endpoint, TcpConnector, TlsPolicy};
///
/// let (connector, endpoint) = (TcpConnector::default(), Endpoint::parse("wss://gateway.example")?);
/// let addresses = connector.resolve(&endpoint).await?;
/// let stream = connector.connect(&addresses).await?;
/// let io = connector.encrypt(stream, &endpoint, &TlsPolicy::SystemRoots).await?;
/// # drop(io);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct TcpConnector {
    tls: TlsClient,
    resolver: Resolver,
}

impl TcpConnector {
    /// How long a name look-up may take; resolvers give up after 5 to 10 s by themselves.
    pub const DNS_TIMEOUT: Duration = Duration::from_secs(10);
    /// How long TCP may take: three SYN retries (1 + 2 + 4 s) and a margin.
    pub const TCP_TIMEOUT: Duration = Duration::from_secs(10);
    /// How long TLS may take: two round trips and a signature, even on a slow line.
    pub const TLS_TIMEOUT: Duration = Duration::from_secs(10);

    /// Looks names up in another way than the system does. `ask` is called on a thread of its own, and may block; nothing waits for
    /// it longer than [`DNS_TIMEOUT`](Self::DNS_TIMEOUT).
    pub fn resolving(ask: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self {
            tls: TlsClient::default(),
            resolver: Resolver::new(ask),
        }
    }

    /// Looks up the host.
    ///
    /// # Errors
    /// [`DialError::Dns`], [`DialError::Timeout`], or [`DialError::Resources`] when there is no thread for it.
    pub async fn resolve(&self, endpoint: &Endpoint) -> Result<Vec<SocketAddr>, DialError> {
        let host = endpoint.host();
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, endpoint.port())]);
        }
        let look_up = self.resolver.look_up(&host, endpoint.port());
        within(DialPhase::Dns, Self::DNS_TIMEOUT, look_up).await?
    }

    /// Opens a TCP connection to the first address that takes one. Families take turns, and an address that has not answered for
    /// 250 ms gets the next one beside it (RFC 8305).
    ///
    /// # Errors
    /// [`DialError::Tcp`] with the last address's error, [`DialError::Timeout`] over all of them, or [`DialError::Resources`] when
    /// this process may open no more sockets.
    pub async fn connect(&self, addresses: &[SocketAddr]) -> Result<TcpStream, DialError> {
        let stream = within(
            DialPhase::Tcp,
            Self::TCP_TIMEOUT,
            first_of(addresses, TcpStream::connect),
        )
        .await?;
        let stream = stream.map_err(refused)?;
        // Frames are batched by the writer already; waiting for more would only delay them.
        stream.set_nodelay(true).map_err(DialError::Tcp)?;
        Ok(stream)
    }

    /// Encrypts a connection.
    ///
    /// # Errors
    /// [`DialError::Tls`], or [`DialError::Timeout`].
    pub async fn encrypt(
        &self,
        stream: TcpStream,
        endpoint: &Endpoint,
        policy: &TlsPolicy,
    ) -> Result<BoxedIo, DialError> {
        let handshake = self.tls.handshake(stream, endpoint, policy);
        let stream = within(DialPhase::Tls, Self::TLS_TIMEOUT, handshake).await??;
        Ok(Box::new(stream))
    }
}

impl Connector for TcpConnector {
    fn dial<'a>(&'a self, endpoint: &'a Endpoint, tls: &'a TlsPolicy) -> Dialing<'a> {
        Box::pin(async move {
            let addresses = self.resolve(endpoint).await?;
            let stream = self.connect(&addresses).await?;
            if endpoint.is_secure() {
                self.encrypt(stream, endpoint, tls).await
            } else {
                Ok(Box::new(stream) as BoxedIo)
            }
        })
    }
}

/// A fault that no gateway can help is not reported as its fault.
fn refused(error: io::Error) -> DialError {
    match ResourceError::of_socket(error) {
        Ok(limit) => DialError::Resources(limit),
        Err(error) => DialError::Tcp(error),
    }
}

async fn within<F: Future>(phase: DialPhase, after: Duration, future: F) -> Result<F::Output, DialError> {
    let output = clock::within(after, future).await;
    output.ok_or(DialError::Timeout { phase, after })
}

/// How long an address is waited for before the next one is tried beside it: the value that RFC 8305 recommends.
const STAGGER: Duration = Duration::from_millis(250);

/// Addresses that are tried: all begin within 4 s, which leaves the last one some seconds of the time for TCP.
const MOST_ADDRESSES: usize = 16;

/// The addresses in the order in which they are tried: that of the resolver, but for the families, which take turns.
fn in_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    let (mut same, mut other): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv4() == first.is_ipv4());
    same.reverse();
    other.reverse();
    let mut order = Vec::new();
    while order.len() < MOST_ADDRESSES && !(same.is_empty() && other.is_empty()) {
        order.extend(same.pop());
        order.extend(other.pop());
    }
    order.truncate(MOST_ADDRESSES);
    order
}

/// Opens a connection to the first address that takes it; the attempts at others are dropped.
///
/// As in RFC 8305 ("happy eyeballs"), section 4 and 5: the families take turns, and the next address is tried when the one before it
/// has failed, or has not answered for a while. So an address that swallows packets costs 250 ms, and not the connection.
///
/// # Errors
/// The last address's error, when none takes it.
async fn first_of<S, F>(addresses: &[SocketAddr], dial: impl Fn(SocketAddr) -> F) -> io::Result<S>
where
    F: Future<Output = io::Result<S>>,
{
    let mut waiting = in_turns(addresses).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        match waiting.next() {
            Some(address) => attempts.push(dial(address)),
            None if attempts.is_empty() => return Err(error),
            None => {}
        }
        let mut next = pin!(sleep(STAGGER));
        tokio::select! {
            biased;
            Some(ended) = attempts.next() => match ended {
                Ok(stream) => return Ok(stream),
                Err(failed) => error = failed,
            },
            () = &mut next, if waiting.len() > 0 => {}
        }
    }
}

/// Look-ups that may be under way: more names than are expected to hang at a time, and threads that a process can spare.
const LOOK_UPS: usize = 64;

/// The result for a name: given to all waiting tasks, so it can be cloned.
type LookUpResult = Result<Vec<SocketAddr>, (io::ErrorKind, String)>;

/// Look-ups that are under way, by host and port.
type UnderWay = BTreeMap<(String, u16), watch::Receiver<Option<LookUpResult>>>;

/// Asks for the addresses of a host and port. Blocks.
type LookUpFn = dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync;

/// Names to addresses, on threads that nothing waits for. Cheap to clone; the clones share.
///
/// The system's resolver is asked, because hosts rely on its files (`/etc/hosts`, `nsswitch.conf`). It blocks, for minutes where a
/// name server does not answer, and can't be interrupted. So each look-up has a thread of its own, which neither a runtime nor the
/// process waits for at its end; there are so many at a time and no more; and a name that is being looked up is not looked up a
/// second time, so that one which hangs costs one thread.
#[derive(Clone)]
struct Resolver(Arc<ResolverState>);

struct ResolverState {
    ask: Box<LookUpFn>,
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
    fn new(ask: impl Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(ResolverState {
            ask: Box::new(ask),
            places: Arc::new(Semaphore::new(LOOK_UPS)),
            under_way: Mutex::default(),
        }))
    }

    /// The addresses of a name, one at least. As long as it takes: the caller has a deadline.
    ///
    /// ## Cancel safety
    /// The look-up goes on when the future is dropped, for the next request.
    async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, DialError> {
        let mut answer = self.subscribe(host, port).await?;
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
    async fn subscribe(&self, host: &str, port: u16) -> Result<watch::Receiver<Option<LookUpResult>>, DialError> {
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

impl ResolverState {
    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look-up that is under way. It is not any more when this is dropped, be it by a panic, or because there was no thread for it.
struct LookUp {
    shared: Arc<ResolverState>,
    key: (String, u16),
}

impl Drop for LookUp {
    fn drop(&mut self) {
        self.shared.under_way().remove(&self.key);
    }
}

#[cfg(test)]
mod happy_eyeballs_tests {
    use super::*;
    use crate::clock::Clock as _;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// How an address takes a connection: after so many milliseconds, or never.
    #[derive(Clone, Copy)]
    enum Takes {
        After(u64),
        Refuses,
        Never,
    }

    /// Which address is connected, and after how long.
    async fn race(addresses: &[(&str, Takes)]) -> (io::Result<SocketAddr>, u128) {
        let clock = crate::TokioClock::start();
        let start = clock.now();
        let all: Vec<_> = addresses.iter().map(|(text, _)| address(text)).collect();
        let dial = |dialled: SocketAddr| {
            let takes = addresses.iter().find(|(text, _)| address(text) == dialled).unwrap().1;
            async move {
                match takes {
                    Takes::After(ms) => sleep(Duration::from_millis(ms)).await,
                    Takes::Refuses => return Err(io::ErrorKind::ConnectionRefused.into()),
                    Takes::Never => std::future::pending().await,
                }
                Ok(dialled)
            }
        };
        let first = first_of(&all, dial).await;
        (first, (clock.now() - start).as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_all_costs_a_quarter_of_a_second() {
        let (first, took) = race(&[("[2001:db8::1]:80", Takes::Never), ("192.0.2.1:80", Takes::After(30))]).await;
        assert_eq!((first.unwrap(), took), (address("192.0.2.1:80"), 280));
    }

    #[tokio::test(start_paused = true)]
    async fn the_families_take_turns_so_that_three_dead_addresses_of_one_cost_no_more_than_one() {
        let dead = ["[2001:db8::1]:80", "[2001:db8::2]:80", "[2001:db8::3]:80"].map(|text| (text, Takes::Never));
        let addresses = [dead[0], dead[1], dead[2], ("192.0.2.1:80", Takes::After(0))];
        let (first, took) = race(&addresses).await;
        assert_eq!((first.unwrap(), took), (address("192.0.2.1:80"), 250));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_refuses_costs_no_time_and_a_slow_one_may_still_win() {
        let addresses = [
            ("192.0.2.1:80", Takes::Refuses),
            ("192.0.2.2:80", Takes::After(400)),
            ("192.0.2.3:80", Takes::Never),
        ];
        let (first, took) = race(&addresses).await;
        assert_eq!((first.unwrap(), took), (address("192.0.2.2:80"), 400));
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_address_takes_it_the_error_comes_with_the_last_of_them() {
        let addresses = [("192.0.2.1:80", Takes::Refuses), ("192.0.2.2:80", Takes::Refuses)];
        let (first, took) = race(&addresses).await;
        assert_eq!((first.unwrap_err().kind(), took), (io::ErrorKind::ConnectionRefused, 0));
        assert_eq!(race(&[]).await.0.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn no_more_addresses_are_tried_than_there_is_time_for() {
        let many: Vec<_> = (0..100).map(|n| SocketAddr::from(([192, 0, 2, n], 80))).collect();
        assert_eq!(in_turns(&many), many[..MOST_ADDRESSES]);
    }
}

#[cfg(test)]
mod resolver_tests {
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
