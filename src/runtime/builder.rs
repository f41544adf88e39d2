//! How Windlass is put together and started.

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};

use rand::rngs::{StdRng, SysRng};
use rand::{Rng as _, RngExt as _, SeedableRng as _, TryRng as _};
use tokio::sync::watch;
use windlass_line::shard::{CONNECT_CONCURRENCY, ConnectGate};
use windlass_line::{
    Backstop, Clock, Connector, DeviceTokenStore, GatewayDirectory, GuardedClock, MemoryTokens, Metering, Shard,
    ShardConfig, TcpConnector, TokioClock,
};
use windlass_sessions::{Outbox, SessionManager, SessionManagerParts};

use super::Windlass;
use super::shared::SharedRuntime;
use super::threads::{self, StartError};

/// Settings of a [`Windlass`]; the defaults are those of a service on the real network.
///
/// ```no_run
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use windlass::identity::{self, FileTokens};
/// use windlass::{Metering, Windlass};
///
/// let identity = identity::default_identity_path(|name| std::env::var_os(name))?;
/// let windlass = Windlass::builder()
///     .shards(2)
///     .device_tokens(FileTokens::beside(&identity)?)
///     .metrics(Metering::Off)
///     .start()?;
/// # drop(windlass);
/// # Ok(())
/// # }
/// ```
pub struct WindlassBuilder {
    shards: usize,
    connector: Arc<dyn Connector>,
    tokens: Arc<dyn DeviceTokenStore>,
    connects: usize,
    seed: Option<u64>,
    outbox: Option<Outbox>,
    clock: Option<Arc<dyn Clock>>,
    metering: Metering,
}

impl Default for WindlassBuilder {
    fn default() -> Self {
        Self {
            shards: 1,
            connector: Arc::new(TcpConnector::default()),
            tokens: Arc::new(MemoryTokens::default()),
            connects: CONNECT_CONCURRENCY,
            seed: None,
            outbox: None,
            clock: None,
            metering: Metering::default(),
        }
    }
}

impl WindlassBuilder {
    /// Threads to spread the lines over; 1 unless given. One carries hundreds of thousands of calls a second.
    pub fn shards(mut self, shards: usize) -> Self {
        self.shards = shards.max(1);
        self
    }

    /// Opens byte streams in another way: through a proxy, or into a simulated gateway.
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Arc::new(connector);
        self
    }

    /// Keeps device tokens there; in memory unless given.
    pub fn device_tokens(mut self, tokens: impl DeviceTokenStore) -> Self {
        self.tokens = Arc::new(tokens);
        self
    }

    /// Attempts to connect that may be under way at a time to one endpoint, and that may be at work at a time in all; 64 unless
    /// given. One that has only waited for its gateway for a while counts for its endpoint alone.
    pub fn connect_concurrency(mut self, connects: usize) -> Self {
        self.connects = connects;
        self
    }

    /// Keeps messages in the outbox until their end, so that they outlive this process: a pending message is continued when its
    /// gateway is added. Without it messages are gone with the process.
    pub fn outbox(mut self, outbox: Outbox) -> Self {
        self.outbox = Some(outbox);
        self
    }

    /// Reads the time there; that of the tokio runtime unless given. One of several lives under virtual time needs that of the
    /// others.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(GuardedClock::new(clock)));
        self
    }

    /// Draws all jitter from this seed, so that a test can be repeated.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How much the recorder of metrics is told of the lines; [`Metering::On`] unless given.
    #[cfg(feature = "metrics")]
    pub const fn metrics(mut self, metering: Metering) -> Self {
        self.metering = metering;
        self
    }

    /// Starts the threads: all of them, or none.
    ///
    /// # Errors
    /// [`StartError`] when the system has no threads, no descriptors or no randomness to give.
    pub fn start(self) -> Result<Windlass, StartError> {
        let backstop = Backstop::new();
        let (mut inner, unstarted, alive) = self.build(Some(backstop.clone()))?;
        let threads = threads::start(unstarted, &inner.clock, inner.blocked.clone(), backstop, alive)?;
        inner.threads = Mutex::new(threads);
        Ok(Windlass { inner: Arc::new(inner) })
    }

    /// Runs the lines on the present thread, which must be within a tokio `LocalSet`: for tests under virtual time.
    ///
    /// ```
    /// use windlass::Windlass;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let local = tokio::task::LocalSet::new();
    /// local.run_until(async {
    ///     let windlass = Windlass::builder().seed(1).start_local()?;
    ///     assert!(windlass.gateways().is_empty());
    ///     windlass.shutdown(std::time::Duration::ZERO).await;
    ///     Ok(())
    /// }).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StartError::Random`] when there is no seed and the system has no randomness to give.
    pub fn start_local(self) -> Result<Windlass, StartError> {
        let (inner, unstarted, _) = self.build(None)?;
        for shard in unstarted {
            tokio::task::spawn_local(shard.run());
        }
        Ok(Windlass { inner: Arc::new(inner) })
    }

    fn build(self, backstop: Option<Backstop>) -> Result<(SharedRuntime, Vec<Shard>, watch::Sender<()>), StartError> {
        let seed = match self.seed {
            Some(seed) => seed,
            None => SysRng
                .try_next_u64()
                .map_err(|error| StartError::Random(error.to_string()))?,
        };
        if self.metering != Metering::Off {
            windlass_line::describe_metrics();
        }
        if windlass_line::transport::log_takes_frames() {
            tracing::error!(
                "the program's log takes whole WebSocket frames, tokens included: keep the target `tungstenite` below the level trace"
            );
        }
        let mut rng = StdRng::seed_from_u64(seed);
        let clock = self.clock.unwrap_or_else(|| Arc::new(TokioClock::start()));
        let gate = ConnectGate::new(self.connects);
        let mut shard = || {
            Shard::new(ShardConfig {
                clock: Arc::clone(&clock),
                connector: Arc::clone(&self.connector),
                tokens: Arc::clone(&self.tokens),
                gate: Arc::clone(&gate),
                seed: rng.next_u64(),
            })
        };
        let (mut unstarted, shards): (Vec<_>, Vec<_>) = (0..self.shards).map(|_| shard()).unzip();
        let (side_shard, side) = shard();
        let (manager, sessions) = SessionManager::prepare(SessionManagerParts {
            seed: rng.random(),
            clock: Arc::clone(&clock),
            outbox: self.outbox,
        });
        // The session manager runs beside the lines, so that it delays no frame.
        unstarted.push(side_shard.hosting(|| manager.run()));
        let (alive, ended) = watch::channel(());
        let inner = SharedRuntime {
            directory: GatewayDirectory::new(shards),
            side,
            next_shard: AtomicUsize::new(0),
            clock,
            rng: Mutex::new(rng),
            threads: Mutex::default(),
            alive: ended,
            sessions,
            metering: self.metering,
            observers: Mutex::default(),
            blocked: watch::Sender::default(),
            backstop,
        };
        Ok((inner, unstarted, alive))
    }
}

impl fmt::Debug for WindlassBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindlassBuilder")
            .field("shards", &self.shards)
            .finish_non_exhaustive()
    }
}
