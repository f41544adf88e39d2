//! Consumers: named positions in the journal, so that a program continues where it was without keeping a cursor itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use windlass_store::{Consumer, ReaderId, StoreError, Timestamp};

use crate::access::{Caller, Scope};
use crate::error::OperationError;
use crate::page::ListPage;
use crate::service::Service;
use crate::stream::StreamCursor;

/// A consumer.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ConsumerView {
    /// Its name.
    pub name: String,
    /// The position after the last acknowledged entry of the journal.
    pub cursor: String,
    /// The time of the acknowledgement.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// An acknowledgement.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgeInput {
    /// The cursor of the last entry that was dealt with: the `id` of an item of `GET /api/v1/events`.
    pub cursor: String,
}

impl ConsumerView {
    fn of(consumer: Consumer) -> Self {
        let cursor = StreamCursor {
            journal: Some(consumer.cursor),
            activity: 0,
        };
        Self {
            name: consumer.name,
            cursor: cursor.to_string(),
            at: consumer.at,
        }
    }
}

/// All consumers, by name.
///
/// # Errors
/// Missing scope, or the store's.
pub async fn list(service: &Service, caller: &Caller) -> Result<ListPage<ConsumerView>, OperationError> {
    caller.require(Scope::Read)?;
    let consumers = service.store().consumers().await?;
    Ok(ListPage {
        items: consumers.into_iter().map(ConsumerView::of).collect(),
        next_cursor: None,
    })
}

/// One consumer.
///
/// # Errors
/// Missing scope, no such consumer, or the store's.
pub async fn get(service: &Service, caller: &Caller, name: &str) -> Result<ConsumerView, OperationError> {
    caller.require(Scope::Read)?;
    let consumers = service.store().consumers().await?;
    let found = consumers.into_iter().find(|consumer| consumer.name == name);
    found
        .map(ConsumerView::of)
        .ok_or_else(|| OperationError::not_found("consumer", name))
}

/// Acknowledges all entries up to a cursor. A consumer that is not known is made; one that is further stays where it is.
///
/// # Errors
/// Missing scope, a cursor that is not one of this journal, or the store's.
pub async fn acknowledge(
    service: &Service,
    caller: &Caller,
    name: &str,
    input: &AcknowledgeInput,
    random: [u8; 8],
) -> Result<ConsumerView, OperationError> {
    caller.require(Scope::Write)?;
    let invalid = |why: &str| OperationError::invalid("cursor", why);
    let cursor: StreamCursor = input
        .cursor
        .parse()
        .map_err(|_| invalid("is not a cursor of the stream"))?;
    let journal = cursor.journal.ok_or_else(|| invalid("is before all entries"))?;
    let reader = ReaderId::new(i64::from_ne_bytes(random));
    let acknowledged = service.store().acknowledge(name, journal, reader, service.now()).await;
    match acknowledged {
        Ok(_) => get(service, caller, name).await,
        Err(StoreError::Unknown { .. }) => Err(invalid("is not of this journal")),
        Err(error) => Err(error.into()),
    }
}

/// Forgets a consumer.
///
/// # Errors
/// Missing scope, no such consumer, or the store's.
pub async fn delete(service: &Service, caller: &Caller, name: &str) -> Result<(), OperationError> {
    caller.require(Scope::Write)?;
    if service.store().delete_consumer(name).await? {
        return Ok(());
    }
    Err(OperationError::not_found("consumer", name))
}
