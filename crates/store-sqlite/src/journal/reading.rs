//! Entries are read, a page at a time.

use sqlx::SqliteConnection;
use windlass_protocol::RawJson;
use windlass_store::backend::{Window, fitting};
use windlass_store::{Cursor, Entry, EntryKind, JournalFilter, NewEntry, Page, StoreError, Timestamp, limits};

use super::entries;
use crate::rows::{self, Fields, Record, Statement, Which};

impl Record for Entry {
    const TABLE: &'static str = "entries";
    const COLUMNS: &'static [&'static str] = entries::COLUMNS;

    fn bind<'q>(&'q self, statement: Statement<'q>) -> Result<Statement<'q>, StoreError> {
        entries::bind(statement, self.cursor, &self.entry)
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
        kind: EntryKind::of(row.parsed("kind")?, row.get("name")?),
        seq: row.optional_number("seq")?,
        session_key: row.optional("session_key")?,
        body: RawJson::parse(row.get::<&str>("body")?).map_err(|_| row.damaged("body"))?,
        at: row.at("at")?,
    })
}

/// The rows of a window that a filter takes; the same as [`JournalFilter::takes`].
fn which(window: Window, filter: &JournalFilter) -> Result<Which, StoreError> {
    let mut which = Which::all()
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
pub(super) async fn page(
    connection: &mut SqliteConnection,
    after: Option<Cursor>,
    filter: &JournalFilter,
    limit: usize,
) -> Result<Page, StoreError> {
    let Some(reach) = entries::reach(connection).await? else {
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
