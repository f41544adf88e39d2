//! The gateways of a process, for callers on any thread.
//!
//! Each operation takes effect at one moment: when it changes or reads the table, under the table's lock. In the same moment the
//! request to the shard is put into its queue, so shards see the operations in the order in which they took effect, and an
//! operation with a dropped future has either not begun or is carried out all the same.
//!
//! An entry is there for as long as its line: the shard holds the entry's [`Registration`] together with the line, and gives it
//! back when the line is closed, for any reason. So no entry is left over, and none is missing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use windlass_protocol::GatewayId;

use crate::GatewaySpec;
use crate::line::{Line, LineBackend};
use crate::registry::{Addition, DirectoryEntry, DirectoryTable, Inspection, OnceAdded, Registration, RegistryError};
use crate::shard::{MailboxPermit, PendingReply, ShardHandle};

/// The directory.
///
/// ```no_run
/// # use windlass_line::{GatewayDirectory, RegistryError, ShardHandle};
/// # async fn example(shards: Vec<ShardHandle>, id: windlass_protocol::GatewayId) -> Result<(), RegistryError> {
/// let gateways = GatewayDirectory::new(shards);
/// if let Some(line) = gateways.get(&id) {
///     gateways.reconnect_now(&line).await?;
///     println!("{:?}", gateways.inspect(&line).await?);
/// }
/// gateways.remove(&id, std::time::Duration::from_secs(5)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct GatewayDirectory {
    shards: Vec<ShardHandle>,
    table: Arc<DirectoryTable>,
}

/// The result of an operation's look at the table.
enum OperationStep<T> {
    /// It took effect; the shard will answer.
    Begun(PendingReply<T>),
    /// It did not: this has to be waited for.
    Wait(Obstacle),
}

/// The obstacle of an operation.
enum Obstacle {
    /// The shard's queue is full.
    Queue(usize),
    /// A line of this id is closing.
    Closing,
}

/// A gateway that is to be added.
struct NewGateway {
    line: Arc<Line>,
    shard: usize,
    /// Nothing once it was handed to its shard.
    addition: Option<Addition>,
}

impl GatewayDirectory {
    /// A directory without gateways, over these shards: one at least.
    pub fn new(shards: Vec<ShardHandle>) -> Self {
        let table = Arc::default();
        Self { shards, table }
    }

    /// The shards.
    pub fn shards(&self) -> &[ShardHandle] {
        &self.shards
    }

    /// Takes a gateway in, on one of the shards. Where a line of the same id is closing, this waits until it is closed.
    ///
    /// `entered` is called in the moment in which the gateway is there, and must do little. `added` is done once its line runs,
    /// before this returns, and also when the caller went away.
    ///
    /// ## Cancel safety
    /// When the future is dropped, the gateway is either there, as if this had returned, or not.
    ///
    /// # Errors
    /// When the id is taken, or the shard stopped.
    pub async fn add(
        &self,
        shard: usize,
        spec: GatewaySpec,
        (line, backend): (Line, LineBackend),
        entered: impl Fn(&Arc<Line>),
        added: impl FnOnce(Arc<Line>) -> OnceAdded,
    ) -> Result<Arc<Line>, RegistryError> {
        let line = Arc::new(line);
        let mut newcomer = NewGateway {
            addition: Some(Addition::new(spec, backend, Some(added(Arc::clone(&line))))),
            line: Arc::clone(&line),
            shard: shard % self.shards.len(),
        };
        let begun = self
            .begin(|entries| self.enter(entries, &mut newcomer, &entered))
            .await?;
        begun.wait().await?;
        Ok(line)
    }

    fn enter(
        &self,
        entries: &mut BTreeMap<GatewayId, DirectoryEntry>,
        newcomer: &mut NewGateway,
        entered: &impl Fn(&Arc<Line>),
    ) -> Result<OperationStep<()>, RegistryError> {
        let id = newcomer.line.id().clone();
        match entries.get(&id) {
            Some(entry) if entry.closing => return Ok(OperationStep::Wait(Obstacle::Closing)),
            Some(_) => return Err(RegistryError::AlreadyThere(id)),
            None => {}
        }
        let shard = newcomer.shard;
        let Some(place) = self.shards[shard].place()? else {
            return Ok(OperationStep::Wait(Obstacle::Queue(shard)));
        };
        // Dequeued once only: this is the step in which it is there.
        let Some(mut addition) = newcomer.addition.take() else {
            return Err(RegistryError::Fault);
        };
        addition.register(Registration {
            table: Arc::downgrade(&self.table),
            id: id.clone(),
        });
        let line = Arc::clone(&newcomer.line);
        entered(&line);
        let closing = false;
        entries.insert(id, DirectoryEntry { line, shard, closing });
        Ok(OperationStep::Begun(place.add(addition)))
    }

    /// Reaches a gateway in another way from now on.
    ///
    /// ## Cancel safety
    /// When the future is dropped, this is either done or has not begun.
    ///
    /// # Errors
    /// When there is no such gateway, or the shard stopped.
    pub async fn update(&self, spec: GatewaySpec) -> Result<(), RegistryError> {
        let mut update = Some(Box::new(spec.clone()));
        let sent = self.begin(|entries| {
            let shard = present(entries, &spec.id)?.shard;
            self.send_to(shard, |place| {
                // Dequeued once only: this is the step in which it is told.
                let update = update.take().ok_or(RegistryError::Fault)?;
                Ok(place.update(update))
            })
        });
        sent.await?.wait().await
    }

    /// Tries this very line now, where it waits for its next attempt.
    ///
    /// # Errors
    /// When it was removed, or the shard stopped.
    pub async fn reconnect_now(&self, line: &Arc<Line>) -> Result<(), RegistryError> {
        let sent = self.begin(|entries| {
            let shard = same_line(entries, line)?.shard;
            self.send_to(shard, |place| Ok(place.reconnect_now(line.id().clone())))
        });
        sent.await?.wait().await
    }

    /// Counts the contents and the work of this very line.
    ///
    /// # Errors
    /// When it was removed, or the shard stopped.
    pub async fn inspect(&self, line: &Arc<Line>) -> Result<Inspection, RegistryError> {
        let asked = self.begin(|entries| {
            let shard = same_line(entries, line)?.shard;
            self.send_to(shard, |place| Ok(place.inspect(line.id().clone())))
        });
        asked.await?.wait().await
    }

    /// Lets a gateway go; returns when its line is closed. It is not there any more from the moment in which this takes effect.
    ///
    /// ## Cancel safety
    /// When the future is dropped, the line is either closed all the same, or as it was.
    ///
    /// # Errors
    /// When there is no such gateway, or the shard stopped.
    pub async fn remove(&self, id: &GatewayId, drain: Duration) -> Result<(), RegistryError> {
        let removal = self.begin(|entries| {
            let entry = present(entries, id)?;
            self.send_to(entry.shard, |place| {
                entry.closing = true;
                Ok(place.remove(id.clone(), drain))
            })
        });
        removal.await?.wait().await
    }

    /// The line of a gateway that is there.
    pub fn get(&self, id: &GatewayId) -> Option<Arc<Line>> {
        let entries = self.table.entries();
        let entry = entries.get(id).filter(|entry| !entry.closing)?;
        Some(Arc::clone(&entry.line))
    }

    /// The lines of all gateways that are there, ordered by id.
    pub fn all(&self) -> Vec<Arc<Line>> {
        let entries = self.table.entries();
        let there = entries.values().filter(|entry| !entry.closing);
        there.map(|entry| Arc::clone(&entry.line)).collect()
    }

    /// Forgets all gateways. For the end, when all shards have stopped.
    pub fn clear(&self) {
        let entries = std::mem::take(&mut *self.table.entries());
        self.table.freed.notify_waiters();
        drop(entries);
    }

    /// Looks at the table until the operation takes effect.
    async fn begin<T>(
        &self,
        mut step: impl FnMut(&mut BTreeMap<GatewayId, DirectoryEntry>) -> Result<OperationStep<T>, RegistryError>,
    ) -> Result<PendingReply<T>, RegistryError> {
        loop {
            // Before the look: what is freed after it is not missed.
            let freed = self.table.freed.notified();
            let looked = step(&mut self.table.entries());
            match looked? {
                OperationStep::Begun(answered) => return Ok(answered),
                OperationStep::Wait(Obstacle::Queue(shard)) => self.shards[shard].wait_for_room().await?,
                OperationStep::Wait(Obstacle::Closing) => freed.await,
            }
        }
    }

    /// Hands a request to a shard, where its queue has room.
    fn send_to<T>(
        &self,
        shard: usize,
        ask: impl FnOnce(MailboxPermit<'_>) -> Result<PendingReply<T>, RegistryError>,
    ) -> Result<OperationStep<T>, RegistryError> {
        Ok(match self.shards[shard].place()? {
            Some(place) => OperationStep::Begun(ask(place)?),
            None => OperationStep::Wait(Obstacle::Queue(shard)),
        })
    }
}

/// The entry of a gateway that is there.
fn present<'a>(
    entries: &'a mut BTreeMap<GatewayId, DirectoryEntry>,
    id: &GatewayId,
) -> Result<&'a mut DirectoryEntry, RegistryError> {
    let entry = entries.get_mut(id).filter(|entry| !entry.closing);
    entry.ok_or_else(|| RegistryError::NotThere(id.clone()))
}

/// The entry of this line, and not of another one with the same id.
fn same_line<'a>(
    entries: &'a mut BTreeMap<GatewayId, DirectoryEntry>,
    line: &Arc<Line>,
) -> Result<&'a mut DirectoryEntry, RegistryError> {
    let entry = present(entries, line.id())?;
    if Arc::ptr_eq(&entry.line, line) {
        Ok(entry)
    } else {
        Err(RegistryError::NotThere(line.id().clone()))
    }
}
