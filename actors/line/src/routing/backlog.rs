//! How much may wait for a subscriber, and the policy for more.

/// The policy for a subscriber that is slower than its gateway. The line reads on in any case: a subscriber delays neither
/// the line nor another subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum SlowPolicy {
    /// The oldest items are dropped, and counted: [`Marker::Lagged`](super::Marker::Lagged) stands in their place. For readers that want to be up to
    /// date.
    #[default]
    DropOldest,
    /// Nothing is lost while the waiting items fit into the queue and this overflow, as if the gateway were made to wait for the
    /// subscriber. It is not: a gateway closes a client that does not read, and others read the same line. So waiting items
    /// are kept here, and when that is full, `then` follows. For readers that must have everything and are slow at times.
    Block {
        /// Kept beyond the queue.
        overflow: Overflow,
        /// The policy when that is full.
        then: WhenFull,
    },
    /// The stream ends: with its waiting items, then [`Marker::TooSlow`](super::Marker::TooSlow). For readers that would rather start again than go on
    /// with a hole.
    Disconnect,
}

/// How much is kept for a subscriber under [`SlowPolicy::Block`], beyond its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overflow {
    /// Events and markers.
    pub items: usize,
    /// Bytes of their payloads.
    pub bytes: usize,
}

impl Overflow {
    /// 64 k items: a minute of a gateway that streams a thousand events a second to a subscriber that does not read at all.
    pub const ITEMS: usize = 65_536;
    /// 64 MiB: more than two of the largest frames that a gateway sends.
    pub const BYTES: usize = 64 * 1024 * 1024;
}

impl Default for Overflow {
    fn default() -> Self {
        Self {
            items: Self::ITEMS,
            bytes: Self::BYTES,
        }
    }
}

/// The policy for a full overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// As [`SlowPolicy::DropOldest`].
    #[default]
    DropOldest,
    /// As [`SlowPolicy::Disconnect`].
    Disconnect,
}

/// How much waits for a subscriber, and the policy for more.
///
/// Items that the reader has taken do not wait any more: at most 64 events that came together, and 64 KiB of them. An event that
/// waits may hold on to others that came with it, of no more weight than those that the subscriber picked. It holds on to nothing of
/// the frames that it came among, but for the slack of its own where that is over 16 KiB long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Events and markers that wait at most; 1 at least.
    pub items: usize,
    /// Bytes of their payloads that wait at most. A single item may be larger: it waits alone then.
    pub bytes: usize,
    /// The policy for more.
    pub slow: SlowPolicy,
}

impl Backlog {
    /// 64 MiB: more than two of the largest frames that a gateway sends (25 MiB), and the bound on the memory that a thousand ordinary
    /// events could hold on to.
    pub const BYTES: usize = 64 * 1024 * 1024;

    /// So many items, [`BYTES`](Self::BYTES), and the oldest dropped when more would wait.
    pub const fn items(items: usize) -> Self {
        Self {
            items,
            bytes: Self::BYTES,
            slow: SlowPolicy::DropOldest,
        }
    }

    /// Something else follows when more would wait.
    pub const fn slow(mut self, slow: SlowPolicy) -> Self {
        self.slow = slow;
        self
    }
}

impl From<usize> for Backlog {
    fn from(items: usize) -> Self {
        Self::items(items)
    }
}
