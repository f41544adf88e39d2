//! From rows to records and back: the columns of a table, and how each is read.

use std::fmt::Display;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Decode, Row as _, Sqlite, SqliteConnection, Type};
use windlass_protocol::json::decode;
use windlass_store::limits::LIST_LIMIT;
use windlass_store::{StoreError, Timestamp};

use crate::error;

/// A statement with its arguments. Its text is put together from names of tables and columns, conditions of this crate and
/// placeholders (`AssertSqlSafe`); values are bound.
pub(crate) type Statement = Query<'static, Sqlite, SqliteArguments>;

/// A record that has a table.
pub(crate) trait TableRecord: Sized {
    const TABLE: &'static str;
    /// All columns that are written, the key first, in the order in which [`TableRecord::bind`] binds them.
    const COLUMNS: &'static [&'static str];

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError>;
    fn read(row: &Fields<'_>) -> Result<Self, StoreError>;
}

/// Writes a record by its first column, whether it is new or not.
pub(crate) async fn put<R: TableRecord>(connection: &mut SqliteConnection, record: &R) -> Result<(), StoreError> {
    put_by(connection, record, &R::COLUMNS[..1]).await
}

/// Writes a record by its key, whether it is new or not. Not by SQLite's `REPLACE`, which deletes the old row: columns that the record
/// does not have keep their values, and so do references to the row.
pub(crate) async fn put_by<R: TableRecord>(
    connection: &mut SqliteConnection,
    record: &R,
    key: &[&str],
) -> Result<(), StoreError> {
    let places: Vec<String> = (1..=R::COLUMNS.len()).map(|place| format!("?{place}")).collect();
    let others = R::COLUMNS.iter().filter(|column| !key.contains(column));
    let changes: Vec<String> = others.map(|column| format!("{column} = excluded.{column}")).collect();
    let sql = format!(
        "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT ({}) DO UPDATE SET {}",
        R::TABLE,
        R::COLUMNS.join(", "),
        places.join(", "),
        key.join(", "),
        changes.join(", ")
    );
    record
        .bind(sqlx::query(AssertSqlSafe(sql)))?
        .execute(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    Ok(())
}

/// A `WHERE` clause: conditions that all hold, and their values.
#[derive(Default)]
pub(crate) struct Where {
    conditions: Vec<String>,
    arguments: Vec<Argument>,
    tail: String,
}

enum Argument {
    Text(String),
    Number(i64),
}

impl Where {
    pub(crate) fn all() -> Self {
        Self::default()
    }

    /// `condition` ends with its operator, for example `id =`.
    pub(crate) fn text(mut self, condition: &str, value: impl Display) -> Self {
        self.arguments.push(Argument::Text(value.to_string()));
        self.conditions.push(format!("{condition} ?{}", self.arguments.len()));
        self
    }

    /// `condition` has `{}` where the value belongs.
    pub(crate) fn with(mut self, condition: &str, value: impl Display) -> Self {
        self.arguments.push(Argument::Text(value.to_string()));
        self.conditions
            .push(condition.replace("{}", &format!("?{}", self.arguments.len())));
        self
    }

    pub(crate) fn optional_text(self, condition: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.text(condition, value),
            None => self,
        }
    }

    pub(crate) fn number(mut self, condition: &str, value: i64) -> Self {
        self.arguments.push(Argument::Number(value));
        self.conditions.push(format!("{condition} ?{}", self.arguments.len()));
        self
    }

    pub(crate) fn holds(mut self, condition: &str) -> Self {
        self.conditions.push(condition.to_owned());
        self
    }

    /// `ORDER BY` and `LIMIT`.
    pub(crate) fn then(mut self, tail: impl Into<String>) -> Self {
        self.tail = tail.into();
        self
    }

    /// The statement that begins with `verb` (`SELECT … FROM …`, `DELETE FROM …`).
    fn sql(&self, verb: &str) -> String {
        let conditions = if self.conditions.is_empty() {
            "1".to_owned()
        } else {
            self.conditions.join(" AND ")
        };
        format!("{verb} WHERE {conditions} {}", self.tail)
    }

    fn bind(&self, mut statement: Statement) -> Statement {
        for argument in &self.arguments {
            statement = match argument {
                Argument::Text(text) => statement.bind(text.clone()),
                Argument::Number(number) => statement.bind(*number),
            };
        }
        statement
    }
}

/// The records of these rows.
pub(crate) async fn select<R: TableRecord>(
    connection: &mut SqliteConnection,
    which: Where,
) -> Result<Vec<R>, StoreError> {
    let sql = which.sql(&format!("SELECT {} FROM {}", R::COLUMNS.join(", "), R::TABLE));
    let rows = which
        .bind(sqlx::query(AssertSqlSafe(sql)))
        .fetch_all(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    rows.iter()
        .map(|row| R::read(&Fields { row, table: R::TABLE }))
        .collect()
}

/// The record of the one row.
pub(crate) async fn one<R: TableRecord>(
    connection: &mut SqliteConnection,
    which: Where,
) -> Result<Option<R>, StoreError> {
    Ok(select(connection, which).await?.pop())
}

/// All records of these rows, ordered; more than a list may hold are refused.
pub(crate) async fn list<R: TableRecord>(
    connection: &mut SqliteConnection,
    which: Where,
    order: &str,
) -> Result<Vec<R>, StoreError> {
    let found = select(
        connection,
        which.then(format!("ORDER BY {order} LIMIT {}", LIST_LIMIT + 1)),
    )
    .await?;
    if found.len() > LIST_LIMIT {
        return Err(StoreError::TooMany {
            what: R::TABLE,
            limit: LIST_LIMIT,
        });
    }
    Ok(found)
}

/// The first column of the first of these rows, an id.
pub(crate) async fn id_of<T: FromStr>(
    connection: &mut SqliteConnection,
    table: &'static str,
    which: Where,
) -> Result<Option<T>, StoreError> {
    let sql = which.sql(&format!("SELECT id FROM {table}"));
    let row = which
        .bind(sqlx::query(AssertSqlSafe(sql)))
        .fetch_optional(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    row.map(|row| Fields { row: &row, table }.parsed("id")).transpose()
}

/// Deletes these rows; how many there were.
pub(crate) async fn delete(
    connection: &mut SqliteConnection,
    table: &'static str,
    which: Where,
) -> Result<u64, StoreError> {
    let sql = which.sql(&format!("DELETE FROM {table}"));
    let done = which
        .bind(sqlx::query(AssertSqlSafe(sql)))
        .execute(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    Ok(done.rows_affected())
}

/// How many of these rows there are.
pub(crate) async fn count(
    connection: &mut SqliteConnection,
    table: &'static str,
    which: Where,
) -> Result<u64, StoreError> {
    let sql = which.sql(&format!("SELECT count(*) AS found FROM {table}"));
    let row = which
        .bind(sqlx::query(AssertSqlSafe(sql)))
        .fetch_one(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    Fields { row: &row, table }.number("found")
}

/// The last number that a table with counted keys has ever used, deleted rows included.
pub(crate) async fn last_number(connection: &mut SqliteConnection, table: &'static str) -> Result<i64, StoreError> {
    let last: Option<i64> = sqlx::query_scalar("SELECT seq FROM sqlite_sequence WHERE name = ?1")
        .bind(table)
        .fetch_optional(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    Ok(last.unwrap_or(0))
}

/// The sizes of the rows of a table with a `size`, by their keys.
pub(crate) async fn sizes(
    connection: &mut SqliteConnection,
    table: &'static str,
    key: &str,
    which: Where,
) -> Result<Vec<(i64, u64)>, StoreError> {
    let sql = which.sql(&format!("SELECT {key}, size FROM {table}"));
    let rows = which
        .bind(sqlx::query(AssertSqlSafe(sql)))
        .fetch_all(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    let read = |row| {
        let row = Fields { row, table };
        Ok((row.get(key)?, row.number("size")?))
    };
    rows.iter().map(read).collect()
}

/// A row that is read. An unreadable value is reported by table and column, never by its content.
pub(crate) struct Fields<'r> {
    row: &'r SqliteRow,
    table: &'static str,
}

impl<'r> Fields<'r> {
    pub(crate) fn new(row: &'r SqliteRow, table: &'static str) -> Self {
        Self { row, table }
    }

    pub(crate) fn damaged(&self, column: &str) -> StoreError {
        StoreError::Damaged {
            what: format!("{}.{column}", self.table),
        }
    }

    pub(crate) fn get<T: Decode<'r, Sqlite> + Type<Sqlite>>(&self, column: &str) -> Result<T, StoreError> {
        self.row.try_get(column).map_err(|_| self.damaged(column))
    }

    pub(crate) fn parsed<T: FromStr>(&self, column: &str) -> Result<T, StoreError> {
        self.get::<&str>(column)?.parse().map_err(|_| self.damaged(column))
    }

    pub(crate) fn optional<T: FromStr>(&self, column: &str) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| text.parse().map_err(|_| self.damaged(column)))
            .transpose()
    }

    pub(crate) fn number<T: TryFrom<i64>>(&self, column: &str) -> Result<T, StoreError> {
        T::try_from(self.get::<i64>(column)?).map_err(|_| self.damaged(column))
    }

    pub(crate) fn optional_number<T: TryFrom<i64>>(&self, column: &str) -> Result<Option<T>, StoreError> {
        let number: Option<i64> = self.get(column)?;
        number
            .map(|number| T::try_from(number).map_err(|_| self.damaged(column)))
            .transpose()
    }

    pub(crate) fn at(&self, column: &str) -> Result<Timestamp, StoreError> {
        Ok(Timestamp::from_millis(self.get(column)?))
    }

    pub(crate) fn optional_at(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.get::<Option<i64>>(column)?.map(Timestamp::from_millis))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &str) -> Result<T, StoreError> {
        decode(self.get(column)?).map_err(|_| self.damaged(column))
    }

    pub(crate) fn optional_json<T: DeserializeOwned>(&self, column: &str) -> Result<Option<T>, StoreError> {
        let text: Option<&str> = self.get(column)?;
        text.map(|text| decode(text).map_err(|_| self.damaged(column)))
            .transpose()
    }
}

/// A free-form member, as it is written.
pub(crate) fn json(field: &'static str, value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|_| StoreError::invalid(field, "can't be written as JSON"))
}

/// A count, as it is written.
pub(crate) fn number(field: &'static str, value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::invalid(field, "is too large"))
}

/// A time, as it is written.
pub(crate) fn millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_millis)
}
