//! Logical sends in SQLite.

use async_trait::async_trait;
use serde_json::Value;
use sqlx::SqliteConnection;
use windlass_store::backend::{self, check, fitting};
use windlass_store::{
    Attempt, ChatSend, Ended, NewSend, OwnError, Ownership, Right, SendEnd, SendFilter, SendState, Sends, StoreError,
    Timestamp, limits,
};

use crate::rows::{self, Fields, Statement, TableRecord, Where};
use crate::{SqliteStore, error, lock};

impl TableRecord for ChatSend {
    const TABLE: &'static str = "sends";
    const COLUMNS: &'static [&'static str] = &[
        "position",
        "key",
        "gateway_id",
        "session_key",
        "deliver",
        "created_at",
        "deadline",
        "attempts",
        "state",
        "outcome",
        "ended_at",
        "size",
        "options",
        "text",
    ];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        let ended = self.ended.as_ref();
        Ok(statement
            .bind(self.position)
            .bind(self.send.key.clone())
            .bind(self.send.gateway_id.to_string())
            .bind(self.send.session_key.to_string())
            .bind(self.send.deliver)
            .bind(self.send.created_at.as_millis())
            .bind(rows::millis(self.send.deadline))
            .bind(i64::from(self.attempts))
            .bind(self.state().as_str())
            .bind(ended.map(|ended| ended.end.text().to_owned()))
            .bind(rows::millis(ended.map(|ended| ended.at)))
            .bind(rows::number("send.text", self.send.size())?)
            .bind(rows::json("send.options", &self.send.options)?)
            .bind(self.send.text.clone()))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            position: row.get("position")?,
            send: NewSend {
                key: row.get("key")?,
                gateway_id: row.parsed("gateway_id")?,
                session_key: row.parsed("session_key")?,
                text: row.get("text")?,
                deliver: row.get("deliver")?,
                options: row.json("options")?,
                created_at: row.at("created_at")?,
                deadline: row.optional_at("deadline")?,
            },
            attempts: row.number("attempts")?,
            ended: ended(row)?,
        })
    }
}

fn ended(row: &Fields<'_>) -> Result<Option<Ended>, StoreError> {
    let state: SendState = row.parsed("state")?;
    if state == SendState::Pending {
        return Ok(None);
    }
    // Asked for as optional: what is not there would be read as an empty text and as 1970.
    let text: Option<String> = row.get("outcome")?;
    let text = text.ok_or_else(|| row.damaged("outcome"))?;
    let at = row.optional_at("ended_at")?.ok_or_else(|| row.damaged("ended_at"))?;
    Ok(SendEnd::of(state, text).map(|end| Ended { end, at }))
}

/// An attempt of the send at this position.
struct AttemptRow {
    position: i64,
    attempt: Attempt,
}

impl TableRecord for AttemptRow {
    const TABLE: &'static str = "attempts";
    const COLUMNS: &'static [&'static str] = &["position", "number", "at", "facts"];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        Ok(statement
            .bind(self.position)
            .bind(i64::from(self.attempt.number))
            .bind(self.attempt.at.as_millis())
            .bind(rows::json("attempt.facts", &self.attempt.facts)?))
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            position: row.get("position")?,
            attempt: Attempt {
                number: row.number("number")?,
                at: row.at("at")?,
                facts: row.json("facts")?,
            },
        })
    }
}

/// The properties of a send that decide, without its texts.
struct SendRow {
    position: i64,
    attempts: u32,
}

async fn found(connection: &mut SqliteConnection, key: &str) -> Result<Option<ChatSend>, StoreError> {
    rows::one(connection, Where::all().text("key =", key)).await
}

async fn known(connection: &mut SqliteConnection, key: &str) -> Result<Option<(SendRow, SendState)>, StoreError> {
    let sql = "SELECT position, attempts, state FROM sends WHERE key = ?1";
    let row = sqlx::query(sql)
        .bind(key)
        .fetch_optional(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let row = Fields::new(&row, "sends");
    let known = SendRow {
        position: row.get("position")?,
        attempts: row.number("attempts")?,
    };
    Ok(Some((known, row.parsed("state")?)))
}

async fn pending(connection: &mut SqliteConnection, key: &str) -> Result<SendRow, StoreError> {
    match known(connection, key).await? {
        None => Err(StoreError::unknown("send", key)),
        Some((known, SendState::Pending)) => Ok(known),
        Some(_) => Err(StoreError::SendEnded { key: key.to_owned() }),
    }
}

async fn begin(connection: &mut SqliteConnection, send: &NewSend) -> Result<ChatSend, StoreError> {
    if known(connection, &send.key).await?.is_some() {
        return Err(StoreError::exists("send", &send.key));
    }
    let begun = ChatSend::begun(rows::last_number(connection, "sends").await? + 1, send.clone());
    rows::put(connection, &begun).await?;
    Ok(begun)
}

async fn execute(connection: &mut SqliteConnection, statement: Statement) -> Result<u64, StoreError> {
    let done = statement.execute(connection).await;
    done.map(|done| done.rows_affected())
        .map_err(|error| error::of_call(&error))
}

async fn note(connection: &mut SqliteConnection, key: &str, at: Timestamp, facts: &Value) -> Result<u32, StoreError> {
    let send = pending(connection, key).await?;
    let number = send.attempts.saturating_add(1);
    let count = "UPDATE sends SET attempts = ?2 WHERE position = ?1";
    execute(
        connection,
        sqlx::query(count).bind(send.position).bind(i64::from(number)),
    )
    .await?;
    let noted = AttemptRow {
        position: send.position,
        attempt: Attempt {
            number,
            at,
            facts: facts.clone(),
        },
    };
    rows::put_by(connection, &noted, &["position", "number"]).await?;
    let forget = "DELETE FROM attempts WHERE position = ?1 AND number <= ?2";
    let last_forgotten = i64::from(number) - i64::from(limits::ATTEMPTS_KEPT);
    execute(connection, sqlx::query(forget).bind(send.position).bind(last_forgotten)).await?;
    Ok(number)
}

async fn amend(connection: &mut SqliteConnection, key: &str, number: u32, facts: &Value) -> Result<(), StoreError> {
    let send = pending(connection, key).await?;
    let statement = sqlx::query("UPDATE attempts SET facts = ?3 WHERE position = ?1 AND number = ?2")
        .bind(send.position)
        .bind(i64::from(number))
        .bind(rows::json("attempt.facts", facts)?);
    match execute(connection, statement).await? {
        0 => Err(StoreError::unknown("attempt", number)),
        _ => Ok(()),
    }
}

async fn attempts(connection: &mut SqliteConnection, key: &str) -> Result<Vec<Attempt>, StoreError> {
    let which = Where::all().with("position = (SELECT position FROM sends WHERE key = {})", key);
    let noted: Vec<AttemptRow> = rows::select(connection, which.then("ORDER BY number")).await?;
    Ok(noted.into_iter().map(|noted| noted.attempt).collect())
}

async fn end(
    connection: &mut SqliteConnection,
    key: &str,
    end: &SendEnd,
    at: Timestamp,
) -> Result<ChatSend, StoreError> {
    let send = pending(connection, key).await?;
    let end = end.kept();
    let sql = "UPDATE sends SET state = ?2, outcome = ?3, ended_at = ?4 WHERE position = ?1";
    let statement = sqlx::query(sql)
        .bind(send.position)
        .bind(end.state().as_str())
        .bind(end.text())
        .bind(at.as_millis());
    execute(connection, statement).await?;
    let ended = found(connection, key).await?;
    ended.ok_or_else(|| StoreError::unknown("send", key))
}

fn which(filter: &SendFilter, after: Option<i64>) -> Where {
    Where::all()
        .holds("state = 'pending'")
        .number("position >", after.unwrap_or(0))
        .optional_text("gateway_id =", filter.gateway)
        .optional_text("session_key =", filter.session_key.as_ref())
}

/// In a transaction, so that the measured rows are the rows that are read.
async fn list(
    connection: &mut SqliteConnection,
    filter: &SendFilter,
    after: Option<i64>,
    limit: usize,
) -> Result<Vec<ChatSend>, StoreError> {
    let measured = which(filter, after).then(format!("ORDER BY position LIMIT {limit}"));
    let sizes: Vec<(i64, u64)> = rows::sizes(connection, "sends", "position", measured).await?;
    let (Some(last), _) = fitting(sizes.into_iter(), limit, limits::SENDS_PAGE_BYTES) else {
        return Ok(Vec::new());
    };
    let page = which(filter, after).number("position <=", last);
    rows::select(connection, page.then("ORDER BY position")).await
}

async fn prune(connection: &mut SqliteConnection, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
    let sql = "DELETE FROM sends WHERE position IN
        (SELECT position FROM sends WHERE ended_at < ?1 ORDER BY ended_at, position LIMIT ?2)";
    let limit = i64::try_from(backend::page_size(limit)).unwrap_or(i64::MAX);
    execute(connection, sqlx::query(sql).bind(before.as_millis()).bind(limit)).await
}

#[async_trait]
impl Sends for SqliteStore {
    async fn own_sends(&self) -> Result<Ownership, OwnError> {
        lock::own(self.path(), Right::Sends)
    }

    async fn begin_send(&self, send: &NewSend) -> Result<ChatSend, StoreError> {
        send.check()?;
        let mut write = self.connections.write().await?;
        let result = begin(write.connection(), send).await;
        write.finish(result).await
    }

    async fn note_attempt(&self, key: &str, at: Timestamp, facts: &Value) -> Result<u32, StoreError> {
        check::json("attempt.facts", facts)?;
        let mut write = self.connections.write().await?;
        let result = note(write.connection(), key, at, facts).await;
        write.finish(result).await
    }

    async fn amend_attempt(&self, key: &str, number: u32, facts: &Value) -> Result<(), StoreError> {
        check::json("attempt.facts", facts)?;
        let mut write = self.connections.write().await?;
        let result = amend(write.connection(), key, number, facts).await;
        write.finish(result).await
    }

    async fn attempts(&self, key: &str) -> Result<Vec<Attempt>, StoreError> {
        let mut read = self.connections.read().await?;
        attempts(read.connection(), key).await
    }

    async fn end_send(&self, key: &str, end: &SendEnd, at: Timestamp) -> Result<ChatSend, StoreError> {
        end.check()?;
        let mut write = self.connections.write().await?;
        let result = self::end(write.connection(), key, end, at).await;
        write.finish(result).await
    }

    async fn chat_send(&self, key: &str) -> Result<Option<ChatSend>, StoreError> {
        let mut read = self.connections.read().await?;
        found(read.connection(), key).await
    }

    async fn pending_sends(
        &self,
        filter: &SendFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<ChatSend>, StoreError> {
        let mut read = self.connections.snapshot().await?;
        let result = list(read.connection(), filter, after, backend::page_size(limit)).await;
        read.finish(result).await
    }

    async fn prune_sends(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut write = self.connections.write().await?;
        let result = prune(write.connection(), before, limit).await;
        write.finish(result).await
    }
}
