//! The state that a line's supervisor and its connections share, on the shard's thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use tokio::sync::Semaphore;
use windlass_protocol::time::wall_after;
use windlass_protocol::{GatewayId, StoreAction};

use super::KnownFeatures;
use crate::GatewaySpec;
use crate::clock::Clock;
use crate::gate::ConnectGate;
use crate::line::{LineBackend, PendingCallsOwner, ReconnectState, StatusCell, TopicTable};
use crate::routing::{EventNames, Router};
use crate::tokens::{DeviceTokenStore, TokenKeeper};
use crate::transport::{Connector, FrameWriter};

/// The state that all lines of a shard share.
pub(crate) struct ShardContext {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) tokens: Arc<dyn DeviceTokenStore>,
    /// One permit per thread that may be used to read and keep device tokens.
    pub(crate) token_threads: Arc<Semaphore>,
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

/// One line, as its supervisor and its connection see it. Everything in it outlives the line's connections.
pub(crate) struct LineContext {
    pub(crate) id: GatewayId,
    pub(crate) shard: Rc<ShardContext>,
    pub(crate) pending: PendingCallsOwner,
    pub(crate) router: Arc<Router>,
    pub(crate) topics: Arc<TopicTable>,
    pub(crate) status: StatusCell,
    pub(crate) reconnect: RefCell<ReconnectState>,
    pub(crate) tokens: TokenKeeper,
    /// It was told to close: it is never connected again.
    pub(crate) stopping: Cell<bool>,
    spec: RefCell<Rc<GatewaySpec>>,
}

impl LineContext {
    pub(crate) fn new(spec: GatewaySpec, ends: LineBackend, shard: Rc<ShardContext>, seed: u64) -> Self {
        Self {
            id: spec.id.clone(),
            shard,
            pending: ends.pending,
            router: ends.router,
            topics: ends.topics,
            status: ends.status,
            reconnect: RefCell::new(ReconnectState::new(&spec, seed)),
            tokens: TokenKeeper::default(),
            stopping: Cell::new(false),
            spec: RefCell::new(Rc::new(spec)),
        }
    }

    pub(crate) fn spec(&self) -> Rc<GatewaySpec> {
        Rc::clone(&self.spec.borrow())
    }

    /// Has the store of tokens carry the order out; returns at once.
    pub(crate) fn keep_token(&self, action: StoreAction) {
        if !matches!(action, StoreAction::Keep) {
            self.tokens.keep(&self.shard, self.spec().token_key(), action);
        }
    }

    /// Changes how the gateway is reached. Known facts about the old way are forgotten.
    pub(crate) fn update(&self, spec: GatewaySpec) {
        self.reconnect.borrow_mut().forget(&spec);
        self.spec.replace(Rc::new(spec));
    }
}
