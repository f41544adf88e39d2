//! Entries: appended in batches, read a page at a time.

use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};
use windlass_protocol::{RawJson, SessionKey};
use windlass_store::backend::{Reach, Window, fitting};
use windlass_store::{
    Appended, Cursor, Entry, EntryLabel, JournalFilter, NewEntry, Page, StoreError, Timestamp, limits,
};

use crate::error;
use crate::rows::{self, Fields, Statement, TableRecord, Where};

pub(crate) const COLUMNS: &[&str] = &[
    "cursor",
    "size",
    "at",
    "gateway",
    "generation",
    "kind",
    "name",
    "seq",
    "session_key",
    "body",
];

/// How many entries one statement inserts. A statement for each entry costs more than its work; of a few lengths each statement is
/// prepared once. Ten arguments an entry, of which SQLite takes 32,766.
const LENGTHS: &[usize] = &[100, 10, 1];

/// How far the journal reaches; none before its first entry.
pub(crate) async fn reach(connection: &mut SqliteConnection) -> Result<Option<Reach>, StoreError> {
    let row: Option<SqliteRow> = sqlx::query("SELECT newest, pruned, bytes, entries FROM extent")
        .fetch_optional(connection)
        .await
        .map_err(|error| error::of_call(&error))?;
    let read = |row: SqliteRow| {
        let row = Fields::new(&row, "extent");
        Ok(Reach {
            newest: Cursor::new(row.get("newest")?),
            pruned: Cursor::new(row.get("pruned")?),
            bytes: row.number("bytes")?,
            entries: row.number("entries")?,
        })
    };
    row.map(read).transpose()
}

pub(crate) async fn put_reach(connection: &mut SqliteConnection, reach: &Reach) -> Result<(), StoreError> {
    let sql = "INSERT INTO extent (id, newest, pruned, bytes, entries) VALUES (1, ?1, ?2, ?3, ?4)
        ON CONFLICT (id) DO UPDATE SET newest = excluded.newest, pruned = excluded.pruned, bytes = excluded.bytes,
            entries = excluded.entries";
    let statement = sqlx::query(sql)
        .bind(reach.newest.number())
        .bind(reach.pruned.number())
        .bind(rows::number("extent.bytes", reach.bytes)?)
        .bind(rows::number("extent.entries", reach.entries)?);
    let done = statement.execute(connection).await;
    done.map(drop).map_err(|error| error::of_call(&error))
}

pub(crate) async fn append(connection: &mut SqliteConnection, entries: &[NewEntry]) -> Result<Appended, StoreError> {
    let known = reach(connection).await?;
    let mut reach = known.unwrap_or_else(|| Reach::new(entries[0].at));
    let appended = reach.append(entries);
    let (mut rest, mut next) = (entries, appended.first);
    for length in LENGTHS {
        while let Some((part, others)) = rest.split_at_checked(*length) {
            insert(connection, next, part).await?;
            next = next.advanced(*length);
            rest = others;
            if rest.is_empty() {
                break;
            }
        }
    }
    put_reach(connection, &reach).await?;
    Ok(appended)
}

pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    first: Cursor,
    entries: &[NewEntry],
) -> Result<(), StoreError> {
    let row = format!("({})", vec!["?"; COLUMNS.len()].join(", "));
    let sql = format!(
        "INSERT INTO entries ({}) VALUES {}",
        COLUMNS.join(", "),
        vec![row; entries.len()].join(", ")
    );
    let mut statement = sqlx::query(AssertSqlSafe(sql));
    for (count, entry) in entries.iter().enumerate() {
        statement = bind(statement, first.advanced(count), entry)?;
    }
    let done = statement.execute(connection).await;
    done.map(drop).map_err(|error| error::of_call(&error))
}

pub(crate) fn bind(statement: Statement, cursor: Cursor, entry: &NewEntry) -> Result<Statement, StoreError> {
    let kind = entry.kind.entry_type();
    let kind = kind.ok_or_else(|| StoreError::invalid("entry.kind", "is for reading only"))?;
    let seq = entry.seq.map(|seq| rows::number("entry.seq", seq)).transpose()?;
    Ok(statement
        .bind(cursor.number())
        .bind(rows::number("entry.body", entry.size())?)
        .bind(entry.at.as_millis())
        .bind(entry.gateway.to_string())
        .bind(rows::number("entry.generation", entry.generation)?)
        .bind(kind.as_str())
        .bind(entry.kind.name())
        .bind(seq)
        .bind(entry.session_key.as_ref().map(SessionKey::as_str))
        .bind(entry.body.as_str()))
}

impl TableRecord for Entry {
    const TABLE: &'static str = "entries";
    const COLUMNS: &'static [&'static str] = COLUMNS;

    fn bind(&self, statement: Statement) -> Result<Statement, StoreError> {
        bind(statement, self.cursor, &self.entry)
    }

    fn read(row: &Fields<'_>) -> Result<Self, StoreError> {
        let cursor = Cursor::new(row.get("cursor")?);
        let entry = match content(row) {
            Err(StoreError::Damaged { what }) => NewEntry {
                gateway: row.parsed("gateway").unwrap_or(NewEntry::NO_GATEWAY),
                generation: row.number("generation").unwrap_or(0),
                at: row.at("at").unwrap_or(Timestamp::from_millis(0)),
                ..NewEntry::damaged(what)
            },
            content => content?,
        };
        Ok(Self { cursor, entry })
    }
}

fn content(row: &Fields<'_>) -> Result<NewEntry, StoreError> {
    Ok(NewEntry {
        gateway: row.parsed("gateway")?,
        generation: row.number("generation")?,
        kind: EntryLabel::of(row.parsed("kind")?, row.get("name")?),
        seq: row.optional_number("seq")?,
        session_key: row.optional("session_key")?,
        body: RawJson::parse(row.get::<&str>("body")?).map_err(|_| row.damaged("body"))?,
        at: row.at("at")?,
    })
}

/// The rows of a window that a filter takes; the same as [`JournalFilter::takes`].
fn which(window: Window, filter: &JournalFilter) -> Result<Where, StoreError> {
    let mut which = Where::all()
        .number("cursor >", window.above.number())
        .number("cursor <=", window.to.number())
        .optional_text("gateway =", filter.gateway);
    if filter.events_only {
        which = which.holds("kind = 'event'");
    }
    if !filter.names.is_empty() {
        let names = rows::json("filter.names", &filter.names)?;
        which = which.with("(kind = 'marker' OR name IN (SELECT value FROM json_each({})))", names);
    }
    if let Some(key) = &filter.session_key {
        which = which.with("(session_key = {} OR (kind = 'marker' AND session_key IS NULL))", key);
    }
    Ok(which)
}

/// In a transaction, so that nothing is pruned between the looks.
pub(crate) async fn page(
    connection: &mut SqliteConnection,
    after: Option<Cursor>,
    filter: &JournalFilter,
    limit: usize,
) -> Result<Page, StoreError> {
    let Some(reach) = reach(connection).await? else {
        return Ok(Page::of_nothing(after));
    };
    let (window, lost) = reach.window(after);
    // Measured first, because a thousand entries may be large ones. One more than a page holds tells whether it is the last.
    let measured = which(window, filter)?.then(format!("ORDER BY cursor LIMIT {}", limit + 1));
    let sizes = rows::sizes(connection, Entry::TABLE, "cursor", measured).await?;
    let (fits, is_cut) = fitting(sizes.into_iter(), limit, limits::JOURNAL_PAGE_BYTES);
    let next = fits.filter(|_| is_cut).map_or(window.to, Cursor::new);
    let entries = match fits {
        Some(_) => {
            let page = Window { to: next, ..window };
            rows::select(connection, which(page, filter)?.then("ORDER BY cursor")).await?
        }
        None => Vec::new(),
    };
    Ok(Page {
        lost,
        entries,
        next: Some(next),
        is_end: next == reach.newest,
    })
}
