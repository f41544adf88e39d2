//! Names that became unique after records had them.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use windlass_store::backend;
use windlass_store::limits;

/// How much of an id is put behind a name that another record has; the whole id where that is not enough.
const ID_CHARS: usize = 8;

/// A gateway or a board that was given another name when its store was opened, because an older one in its organization has
/// the same: names were not unique in stores of earlier versions. The old name is the beginning of the new one, and the
/// change is on record as an activity (`gateway.renamed`, `board.renamed`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// "gateway" or "board".
    pub what: &'static str,
    /// The record's id.
    pub id: String,
    /// Its name until now, which the older record keeps.
    pub from: String,
    /// Its name from now on.
    pub to: String,
}

/// The tables with such names, and what one of their rows is called.
const TABLES: [(&str, &str); 2] = [("gateways", "gateway"), ("boards", "board")];

/// Fills in the keys of names where a row has none. The oldest record keeps its name; a later one of the same name gets a part
/// of its id behind it, after all others have theirs.
pub(super) async fn fill(connection: &mut SqliteConnection) -> Result<Vec<Renamed>, sqlx::Error> {
    let mut renamed = Vec::new();
    for (table, what) in TABLES {
        for row in without_key(connection, table).await? {
            if is_free(connection, table, &row.organization, &row.name).await? {
                set_name(connection, table, &row.id, &row.name).await?;
            }
        }
        for row in without_key(connection, table).await? {
            let short: String = row.id.chars().take(ID_CHARS).collect();
            let mut to = with_id(&row.name, &short);
            if !is_free(connection, table, &row.organization, &to).await? {
                to = with_id(&row.name, &row.id);
            }
            set_name(connection, table, &row.id, &to).await?;
            let change = Renamed {
                what,
                id: row.id,
                from: row.name,
                to,
            };
            record(connection, &change).await?;
            renamed.push(change);
        }
    }
    Ok(renamed)
}

/// A row whose name has no key.
struct Keyless {
    id: String,
    organization: String,
    name: String,
}

async fn without_key(connection: &mut SqliteConnection, table: &str) -> Result<Vec<Keyless>, sqlx::Error> {
    let sql = format!("SELECT id, organization_id, name FROM {table} WHERE name_key IS NULL ORDER BY created_at, id");
    let rows = sqlx::query(&sql).fetch_all(connection).await?;
    let read = |row: &SqliteRow| {
        Ok(Keyless {
            id: row.try_get(0)?,
            organization: row.try_get(1)?,
            name: row.try_get(2)?,
        })
    };
    rows.iter().map(read).collect()
}

async fn is_free(
    connection: &mut SqliteConnection,
    table: &str,
    organization: &str,
    name: &str,
) -> Result<bool, sqlx::Error> {
    let sql = format!("SELECT count(*) FROM {table} WHERE organization_id = ?1 AND name_key = ?2");
    let others: i64 = sqlx::query_scalar(&sql)
        .bind(organization.to_owned())
        .bind(backend::name_key(name))
        .fetch_one(connection)
        .await?;
    Ok(others == 0)
}

async fn set_name(connection: &mut SqliteConnection, table: &str, id: &str, name: &str) -> Result<(), sqlx::Error> {
    let sql = format!("UPDATE {table} SET name = ?1, name_key = ?2 WHERE id = ?3");
    sqlx::query(&sql)
        .bind(name.to_owned())
        .bind(backend::name_key(name))
        .bind(id.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// The name with a part of the id behind it, within what a name may have.
fn with_id(name: &str, id: &str) -> String {
    let room = limits::NAME_CHARS.saturating_sub(id.chars().count() + 1);
    let kept: String = name.trim().chars().take(room).collect();
    format!("{} {id}", kept.trim_end())
}

/// Puts the change on record. The time is the database's: opening a store is given none.
async fn record(connection: &mut SqliteConnection, change: &Renamed) -> Result<(), sqlx::Error> {
    let Renamed { what, id, from, to } = change;
    let message = format!("{what} {id} is called {to:?} from now on: an older one is called {from:?} too");
    sqlx::query(
        "INSERT INTO activities (kind, message, board_id, at) VALUES (?1, ?2, ?3, CAST(unixepoch('subsec') * 1000 AS INTEGER))",
    )
    .bind(format!("{what}.renamed"))
    .bind(backend::cut(&message))
    .bind((*what == "board").then(|| id.clone()))
    .execute(connection)
    .await?;
    Ok(())
}
