//! Logical sends in memory.

use async_trait::async_trait;
use serde_json::Value;

use super::{MemoryStore, Tables, take};
use crate::backend::{self, check};
use crate::error::{OwnError, StoreError};
use crate::limits;
use crate::ownership::{Ownership, Right};
use crate::record::{Attempt, ChatSend, Ended, NewSend, SendEnd, SendFilter, fitting};
use crate::traits::Sends;
use crate::values::Timestamp;

impl Tables {
    fn pending(&mut self, key: &str) -> Result<&mut ChatSend, StoreError> {
        let position = self.send_keys.get(key);
        let send = position.and_then(|position| self.sends.get_mut(position));
        let send = send.ok_or_else(|| StoreError::unknown("send", key))?;
        if send.ended.is_some() {
            return Err(StoreError::SendEnded { key: key.to_owned() });
        }
        Ok(send)
    }

    fn forget(&mut self, position: i64) {
        if let Some(old) = self.sends.remove(&position) {
            self.send_keys.remove(&old.send.key);
            self.attempts.remove(&old.send.key);
        }
    }
}

#[async_trait]
impl Sends for MemoryStore {
    async fn own_sends(&self) -> Result<Ownership, OwnError> {
        take(&self.sends_owned, Right::Sends)
    }

    async fn begin_send(&self, send: &NewSend) -> Result<ChatSend, StoreError> {
        send.check()?;
        let mut tables = self.tables()?;
        if tables.send_keys.contains_key(&send.key) {
            return Err(StoreError::exists("send", &send.key));
        }
        tables.last_send += 1;
        let begun = ChatSend::begun(tables.last_send, send.clone());
        tables.send_keys.insert(send.key.clone(), begun.position);
        tables.sends.insert(begun.position, begun.clone());
        Ok(begun)
    }

    async fn note_attempt(&self, key: &str, at: Timestamp, facts: &Value) -> Result<u32, StoreError> {
        check::json("attempt.facts", facts)?;
        let mut tables = self.tables()?;
        let send = tables.pending(key)?;
        send.attempts = send.attempts.saturating_add(1);
        let number = send.attempts;
        let attempts = tables.attempts.entry(key.to_owned()).or_default();
        attempts.push(Attempt {
            number,
            at,
            facts: facts.clone(),
        });
        attempts.retain(|known| known.number + limits::ATTEMPTS_KEPT > number);
        Ok(number)
    }

    async fn amend_attempt(&self, key: &str, number: u32, facts: &Value) -> Result<(), StoreError> {
        check::json("attempt.facts", facts)?;
        let mut tables = self.tables()?;
        tables.pending(key)?;
        let attempts = tables.attempts.get_mut(key).into_iter().flatten();
        let attempt = attempts.into_iter().find(|known| known.number == number);
        let attempt = attempt.ok_or_else(|| StoreError::unknown("attempt", number))?;
        attempt.facts = facts.clone();
        Ok(())
    }

    async fn attempts(&self, key: &str) -> Result<Vec<Attempt>, StoreError> {
        Ok(self.tables()?.attempts.get(key).cloned().unwrap_or_default())
    }

    async fn end_send(&self, key: &str, end: &SendEnd, at: Timestamp) -> Result<ChatSend, StoreError> {
        end.check()?;
        let mut tables = self.tables()?;
        let send = tables.pending(key)?;
        send.ended = Some(Ended { end: end.kept(), at });
        Ok(send.clone())
    }

    async fn chat_send(&self, key: &str) -> Result<Option<ChatSend>, StoreError> {
        let tables = self.tables()?;
        let position = tables.send_keys.get(key);
        Ok(position.and_then(|position| tables.sends.get(position)).cloned())
    }

    async fn pending_sends(
        &self,
        filter: &SendFilter,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<ChatSend>, StoreError> {
        let tables = self.tables()?;
        let from = after.map_or(0, |after| after.saturating_add(1));
        let pending = || {
            let later = tables.sends.range(from..).map(|(_, found)| found);
            later.filter(|found| found.ended.is_none() && filter.takes(&found.send))
        };
        let sizes = pending().map(|found| (found.position, found.send.size()));
        let (last, _) = fitting(sizes, backend::page_size(limit), limits::SENDS_PAGE_BYTES);
        let page = pending().take_while(|found| Some(found.position) <= last);
        Ok(page.cloned().collect())
    }

    async fn prune_sends(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError> {
        let mut tables = self.tables()?;
        let ended = tables
            .sends
            .values()
            .filter_map(|found| Some((found.ended.as_ref()?.at, found.position)));
        let mut old: Vec<(Timestamp, i64)> = ended.filter(|(at, _)| *at < before).collect();
        old.sort_unstable();
        old.truncate(backend::page_size(limit));
        for (_, position) in &old {
            tables.forget(*position);
        }
        Ok(old.len() as u64)
    }
}
