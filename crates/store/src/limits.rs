//! How much a record may hold. Every backend checks it before it writes.
//!
//! Texts are counted in characters, free-form JSON in bytes of its text. A text that is too long is refused by the name of its
//! field. Only the text of a failure is cut instead, so that no failure goes unrecorded.

/// Longest name of anything, in characters: it must fit a column of a table and a heading of a file.
pub const NAME_CHARS: usize = 120;
/// Longest short text (an identity's entry, a date, a board's type), in characters.
pub const SHORT_CHARS: usize = 2_000;
/// Longest free text (an objective, an owner's notes), in characters: all of it becomes part of a prompt.
pub const TEXT_CHARS: usize = 16_000;
/// Longest URL and longest path, in characters: the limit of common systems.
pub const URL_CHARS: usize = 2_048;
/// Longest reference to a secret, in characters: a path.
pub const SOURCE_CHARS: usize = 2_048;
/// Longest template of one file, and longest file that is given as text, in bytes: as the templates take it.
pub const TEMPLATE_BYTES: usize = 64 * 1024;
/// Largest free-form member (heartbeat, metrics, options, a step's detail), in bytes of JSON.
pub const JSON_BYTES: usize = 64 * 1024;
/// Most entries of an agent's identity: the templates know ten.
pub const IDENTITY_ENTRIES: usize = 64;
/// Longest error and activity text kept, in characters; longer ones are cut.
pub const MESSAGE_CHARS: usize = 4_000;
/// Longest kind of an activity and longest idempotency key, in characters.
pub const KEY_CHARS: usize = 200;
/// Most tags of an entry of a board's memory: words by which readers select it.
pub const MEMORY_TAGS: usize = 32;
/// Most workers that a board can be given.
pub const MAX_AGENTS: u32 = 10_000;
/// Most records that one list gives; more are an error ([`StoreError::TooMany`](crate::StoreError::TooMany)), never a silent end.
pub const LIST_LIMIT: usize = 10_000;
/// Largest body of a journal's entry, in bytes: the largest message that is taken from a gateway.
pub const JOURNAL_BODY_BYTES: usize = 50 * 1024 * 1024;
/// Most entries that are appended to the journal at once: one transaction, some tens of milliseconds.
pub const JOURNAL_BATCH: usize = 1_000;
/// Most bytes of bodies that are appended at once: a largest one and many small ones.
pub const JOURNAL_BATCH_BYTES: usize = 64 * 1024 * 1024;
/// Bytes after which a page of the journal ends, unless its first entry is larger: the memory of a reader.
pub const JOURNAL_PAGE_BYTES: usize = 4 * 1024 * 1024;
/// Most entries that one read of the journal looks at, with any filter: some tens of milliseconds.
pub const JOURNAL_SCAN: usize = 10_000;
/// Most names in a journal's filter: more than gateways have events.
pub const FILTER_NAMES: usize = 100;
/// Longest text of a chat message that is kept until it is sent, in bytes. Gateways take messages of 512 KiB to 25 MiB.
pub const SEND_TEXT_BYTES: usize = 1024 * 1024;
/// Bytes of texts and options after which a list of sends ends, unless its first one is larger: the memory of a reader.
pub const SENDS_PAGE_BYTES: usize = 16 * 1024 * 1024;
/// Attempts of a send that are kept, the latest ones: a send has a few, and the last ones tell where it may have arrived.
pub const ATTEMPTS_KEPT: u32 = 32;
/// Most records that one page (runs, activities, due agents) gives.
pub const PAGE_LIMIT: usize = 1_000;
