//! The history of a session.

use windlass_protocol::connection::Resend;
use windlass_protocol::request::{
    ChatHistory, ChatHistoryDelta, ChatHistoryReply, ChatMessage, HISTORY_LIMIT, HistoryDeltaKind, InFlightRun,
};
use windlass_protocol::{HelloOk, SessionKey};

use super::api::Sessions;
use super::error::{AskError, HistoryError};
use windlass_protocol::releases as rules;

/// Rows of a page unless more or fewer are asked for: the default of both generations.
pub const HISTORY_PAGE: u32 = 200;

/// Which rows of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    limit: u32,
    from: From,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum From {
    Last,
    Before(u64),
    Around { session_id: String, message_id: String },
}

impl Default for HistoryQuery {
    fn default() -> Self {
        Self::last()
    }
}

impl HistoryQuery {
    /// The last ones.
    pub const fn last() -> Self {
        Self {
            limit: HISTORY_PAGE,
            from: From::Last,
        }
    }

    /// The rows before a page, by its [`older`](HistoryPage::older). The number holds as long as the session is neither
    /// reset nor compacted; to remember a place for longer, remember a row ([`around`](Self::around)).
    pub const fn before(older: u64) -> Self {
        Self {
            limit: HISTORY_PAGE,
            from: From::Before(older),
        }
    }

    /// Those around the row with this id, which stands in its `__openclaw.id`, in this transcript
    /// ([`session_id`](HistoryPage::session_id)). 2026.9 finds it before a reset, too; older releases (from 2026.4 on) among their
    /// last [`HISTORY_LIMIT`] rows.
    pub fn around(session_id: impl Into<String>, message_id: impl Into<String>) -> Self {
        Self {
            limit: HISTORY_PAGE,
            from: From::Around {
                session_id: session_id.into(),
                message_id: message_id.into(),
            },
        }
    }

    /// At most so many; 1 to [`HISTORY_LIMIT`].
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit.clamp(1, HISTORY_LIMIT);
        self
    }
}

/// A position in a session's history: the gateway's `deltaCursor` (2026.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryCursor(String);

impl HistoryCursor {
    /// One that was kept as text.
    pub fn parse(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As text, to be kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Rows of a session, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct HistoryPage {
    /// The rows.
    pub rows: Vec<ChatMessage>,
    /// The transcript that they stand in; nothing where there is no such session.
    pub session_id: Option<String>,
    /// The argument of [`HistoryQuery::before`] for the page before this one; `None` at the beginning, or where the release shows no
    /// more.
    pub older: Option<u64>,
    /// How many rows there are in all, where the gateway says so (generation 4).
    pub total: Option<u64>,
    /// Where to [go on](Sessions::history_since) from here; with the last rows, where the gateway has it (2026.9).
    pub cursor: Option<HistoryCursor>,
    /// The run that goes on just now, where the gateway names it (generation 4).
    pub running: Option<InFlightRun>,
}

/// The changes of a history since a cursor.
#[derive(Debug, Clone, PartialEq)]
pub enum HistoryDelta {
    /// These rows were added.
    Added(HistoryPage),
    /// The cursor did not hold any more (a reset, a compaction, another branch, too far behind): these are the last rows, in
    /// place of the known ones.
    Replaced(HistoryPage),
}

impl Sessions {
    /// Rows of a session; none where there is no such session.
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn history(&self, key: &SessionKey, query: &HistoryQuery) -> Result<HistoryPage, HistoryError> {
        let hello = self.hello().await?;
        match &query.from {
            From::Last => Ok(self.last_rows(&hello, key, 0, query.limit).await?),
            From::Before(older) => self.rows_before(&hello, key, *older, query.limit).await,
            From::Around { session_id, message_id } => self.rows_around(key, session_id, message_id, query.limit).await,
        }
    }

    /// The rows since a cursor (2026.9; on other releases no page has one).
    ///
    /// # Errors
    /// [`HistoryError`].
    pub async fn history_since(&self, key: &SessionKey, cursor: &HistoryCursor) -> Result<HistoryDelta, HistoryError> {
        let request = ChatHistoryDelta::new(key.as_str(), cursor.as_str());
        let reply = match self.client.ask(&request, Resend::Always).await {
            Err(error)
                if error
                    .refusal()
                    .is_some_and(|error| rules::param_unknown(error, "cursor")) =>
            {
                return Err(HistoryError::NoCursors);
            }
            other => other?,
        };
        if reply.kind != HistoryDeltaKind::Delta {
            let page = self.history(key, &HistoryQuery::last()).await?;
            return Ok(HistoryDelta::Replaced(page));
        }
        let added = reply.messages.unwrap_or_default();
        let session_id = added.iter().rev().find_map(|added| added.session_id.clone());
        let rows = added
            .into_iter()
            .filter_map(|added| serde_json::from_value(added.message?).ok());
        Ok(HistoryDelta::Added(HistoryPage {
            rows: rows.collect(),
            session_id: session_id.or_else(|| reply.session_info.and_then(|row| row.session_id)),
            cursor: reply.delta_cursor.map(HistoryCursor),
            running: reply.in_flight_run,
            ..HistoryPage::default()
        }))
    }

    async fn rows_before(
        &self,
        hello: &HelloOk,
        key: &SessionKey,
        older: u64,
        limit: u32,
    ) -> Result<HistoryPage, HistoryError> {
        if rules::may_know_offsets(hello) {
            let mut request = ChatHistory::new(key.as_str()).limit(limit);
            request.offset = Some(u32::try_from(older).unwrap_or(u32::MAX));
            match self.ask_history(&request).await {
                Err(error)
                    if error
                        .refusal()
                        .is_some_and(|error| rules::param_unknown(error, "offset")) => {}
                other => return Ok(page(other?)),
            }
        }
        // Releases without offsets show their last rows, and enough of those are asked for.
        let out_of_reach = HistoryError::OutOfReach { rows: HISTORY_LIMIT };
        let skipped = u32::try_from(older)
            .ok()
            .filter(|older| *older < HISTORY_LIMIT)
            .ok_or(out_of_reach)?;
        Ok(self.last_rows(hello, key, skipped, limit).await?)
    }

    /// The last rows but for the `skipped` very last ones, without an offset.
    async fn last_rows(
        &self,
        hello: &HelloOk,
        key: &SessionKey,
        skipped: u32,
        limit: u32,
    ) -> Result<HistoryPage, AskError> {
        let counts = skipped == 0 && rules::may_know_offsets(hello);
        // One more tells whether there are more.
        let asked = skipped + limit + u32::from(!counts);
        let request = ChatHistory::new(key.as_str()).limit(asked.min(HISTORY_LIMIT));
        let reply = self.ask_history(&request).await?;
        if counts && reply.has_more.is_some() {
            return Ok(page(reply));
        }
        let there = reply.messages.len();
        let mut page = page(reply);
        let (skipped, limit) = (skipped as usize, limit as usize);
        page.rows.truncate(there.saturating_sub(skipped));
        page.rows.drain(..page.rows.len().saturating_sub(limit));
        page.older = (there > skipped + limit).then_some((skipped + limit) as u64);
        Ok(page)
    }

    async fn rows_around(
        &self,
        key: &SessionKey,
        session_id: &str,
        message_id: &str,
        limit: u32,
    ) -> Result<HistoryPage, HistoryError> {
        let request = ChatHistory::new(key.as_str()).limit(limit);
        let anchored = request.session_id(session_id).message_id(message_id);
        match self.ask_history(&anchored).await {
            Err(error)
                if error
                    .refusal()
                    .is_some_and(|error| rules::param_unknown(error, "messageId")) => {}
            other => return Ok(page(other?)),
        }
        let request = ChatHistory::new(key.as_str()).limit(HISTORY_LIMIT);
        let mut page = page(self.ask_history(&request).await?);
        let is_it = |row: &ChatMessage| row.meta.as_ref().and_then(|meta| meta.id.as_deref()) == Some(message_id);
        let at = page.rows.iter().position(is_it).ok_or(HistoryError::NoSuchRow)?;
        let limit = limit as usize;
        let begin = at.saturating_sub(limit / 2).min(page.rows.len().saturating_sub(limit));
        page.rows.drain(..begin);
        page.rows.truncate(limit);
        // Numbers count from the end, and this page is not there.
        (page.older, page.cursor) = (None, None);
        Ok(page)
    }

    async fn ask_history(&self, request: &ChatHistory) -> Result<ChatHistoryReply, AskError> {
        self.client.ask(request, Resend::Always).await
    }
}

fn page(reply: ChatHistoryReply) -> HistoryPage {
    HistoryPage {
        rows: reply.messages,
        session_id: reply.session_id,
        older: reply.next_offset.filter(|_| reply.has_more != Some(false)),
        total: reply.total_messages,
        cursor: reply.delta_cursor.map(HistoryCursor),
        running: reply.in_flight_run,
    }
}
