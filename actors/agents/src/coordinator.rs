//! The coordinator: people and agents speaking to each other, over the agents' sessions.
//!
//! | operation | reaches | allowed to |
//! |---|---|---|
//! | nudge | an agent of a board | a person, agents of that board |
//! | read, write a soul | an agent's `SOUL.md` | the same; written by a person or the lead |
//! | ask the user, onboarding | the gateway's own agent | a person, the board's lead |
//! | message a lead, broadcast | leads, brought to life if need be | a person, the gateway's own agent |
//!
//! Each attempt is an activity on record, carries an id by which its answer is found again, and ends within 45 s. The id is the
//! message's idempotency key: said twice under it, it is heard once.
//!
//! The actor works on each operation in a task of its own.

mod context;
mod messages;
mod operation;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use actix::{Actor, Addr, Context, Handler, Message, MessageResult};
use context::CoordinatorContext;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::oneshot;
use windlass_line::failpoint;
use windlass_line::supervision::{Panic, Restarts, SurvivesPanics, TaskReply, Tasks, Unstarted};
use windlass_store::BoardId;

use crate::provisioner::{Interrupted, ProvisionerHandle, ProvisionerParts};

pub use context::MESSAGE_CHARS;
pub use operation::{
    AskUser, BoardResult, BroadcastReport, CoordinationCaller, CoordinationError, DeliveryReceipt, Forbidden,
    LeadMessage, LeadMessageKind, Nudge, Onboarding, Soul,
};

/// Messages to the coordinator that may wait in its mailbox: it only begins tasks for them.
const MAILBOX: usize = 64;

/// The actor that carries messages between people and agents. Its messages are the operations themselves.
///
/// A panic of a handler costs the message in hand only ([`SurvivesPanics`]); a panic of an operation costs that operation.
pub struct Coordinator {
    context: Rc<CoordinatorContext>,
    /// The operations. All end with the actor.
    tasks: Tasks,
    panics: Restarts,
}

/// The coordinator's handle, for any thread.
#[derive(Clone)]
pub struct CoordinatorHandle {
    address: Addr<Coordinator>,
}

impl fmt::Debug for CoordinatorHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoordinatorHandle").finish_non_exhaustive()
    }
}

/// Reads an agent's `SOUL.md`.
struct ReadSoul(Soul);

/// Replaces an agent's `SOUL.md`.
struct WriteSoul(Soul, String);

/// Sends a message to a board's lead.
struct MessageLead(LeadMessage, BoardId);

/// Sends a message to the leads of these boards, or of all boards of a gateway.
struct Broadcast(LeadMessage, Option<Vec<BoardId>>);

impl fmt::Debug for Coordinator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coordinator").finish_non_exhaustive()
    }
}

impl Actor for Coordinator {
    type Context = Context<Self>;
}

impl SurvivesPanics for Coordinator {
    fn panicked(&mut self, panic: &Panic) {
        let _ = self.panics.panicked(self.context.clock.now(), panic);
    }
}

/// Declares a message of the coordinator: its type, the value of its answer, and how the operation is carried out.
macro_rules! operation {
    ($message:ty => $value:ty: $given:pat => $method:ident($($argument:expr),+)) => {
        impl Message for $message {
            type Result = TaskReply<Result<$value, CoordinationError>>;
        }

        impl Handler<$message> for Coordinator {
            type Result = MessageResult<$message>;

            fn handle(&mut self, $given: $message, _: &mut Self::Context) -> Self::Result {
                MessageResult(self.begin(move |context| async move { context.$method($($argument),+).await }))
            }
        }
    };
}

operation!(Nudge => DeliveryReceipt: nudge => nudge(nudge));
operation!(ReadSoul => String: ReadSoul(soul) => read_soul(soul));
operation!(WriteSoul => (): WriteSoul(soul, content) => write_soul(soul, content));
operation!(AskUser => DeliveryReceipt: ask => ask_user(ask));
operation!(Onboarding => DeliveryReceipt: onboarding => onboard(onboarding));
operation!(MessageLead => DeliveryReceipt: MessageLead(message, board) => message_lead(message, board));
operation!(Broadcast => BroadcastReport: Broadcast(message, boards) => broadcast(message, boards));

impl Coordinator {
    /// A coordinator that does not run yet, and its handle. The parts are those of the provisioner, with another seed.
    pub fn prepare(parts: ProvisionerParts, provisioner: ProvisionerHandle) -> (Unstarted<Self>, CoordinatorHandle) {
        let (coordinator, address) = Unstarted::new(MAILBOX, move || Self {
            context: Rc::new(CoordinatorContext {
                store: parts.store,
                templates: parts.templates,
                fleet: parts.fleet,
                provisioner,
                clock: parts.clock,
                settings: parts.settings,
                rng: RefCell::new(StdRng::from_seed(parts.seed)),
            }),
            tasks: Tasks::of("coordination"),
            panics: Restarts::of("coordinator"),
        });
        (coordinator, CoordinatorHandle { address })
    }

    /// Begins an operation.
    fn begin<T, F>(&mut self, operation: impl FnOnce(Rc<CoordinatorContext>) -> F) -> TaskReply<T>
    where
        T: 'static,
        F: Future<Output = T> + 'static,
    {
        let (end, answer) = oneshot::channel();
        self.guarded("coordinator::Operation", |coordinator| {
            failpoint::reach("coordinator.handler");
            let operation = operation(Rc::clone(&coordinator.context));
            coordinator.tasks.spawn(async move {
                failpoint::reach("coordinator.operation");
                // The caller may be gone when it ends.
                drop(end.send(operation.await));
            });
        });
        answer
    }
}

impl CoordinatorHandle {
    /// Says something to an agent of a board.
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn nudge(&self, nudge: Nudge) -> Result<DeliveryReceipt, CoordinationError> {
        self.ask(nudge).await
    }

    /// Reads an agent's `SOUL.md` from its gateway.
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn read_soul(&self, soul: Soul) -> Result<String, CoordinationError> {
        self.ask(ReadSoul(soul)).await
    }

    /// Gives an agent another `SOUL.md`, on record and on its gateway.
    ///
    /// # Errors
    /// [`CoordinationError`]. When the gateway fails, the record has it already: the next provisioning writes it.
    pub async fn write_soul(&self, soul: Soul, content: impl Into<String>) -> Result<(), CoordinationError> {
        self.ask(WriteSoul(soul, content.into())).await
    }

    /// Asks the user, through the gateway's own agent.
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn ask_user(&self, ask: AskUser) -> Result<DeliveryReceipt, CoordinationError> {
        self.ask(ask).await
    }

    /// Has the gateway's own agent ask its user for the purpose of a new board.
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn onboard(&self, onboarding: Onboarding) -> Result<DeliveryReceipt, CoordinationError> {
        self.ask(onboarding).await
    }

    /// Says something to a board's lead, which is brought to life if there is none.
    ///
    /// # Errors
    /// [`CoordinationError`].
    pub async fn message_lead(
        &self,
        message: LeadMessage,
        board: BoardId,
    ) -> Result<DeliveryReceipt, CoordinationError> {
        self.ask(MessageLead(message, board)).await
    }

    /// Says something to the leads of all boards of a gateway, or of these. Each board has its own result.
    ///
    /// # Errors
    /// [`CoordinationError`], when not even the boards can be read.
    pub async fn broadcast(
        &self,
        message: LeadMessage,
        boards: Option<Vec<BoardId>>,
    ) -> Result<BroadcastReport, CoordinationError> {
        self.ask(Broadcast(message, boards)).await
    }

    async fn ask<M, T>(&self, message: M) -> Result<T, CoordinationError>
    where
        M: Message<Result = TaskReply<Result<T, CoordinationError>>> + Send + 'static,
        T: Send + 'static,
        Coordinator: Handler<M>,
    {
        let answer = self.address.send(message).await.map_err(|_| Interrupted)?;
        answer.await.map_err(|_| Interrupted)?
    }
}
