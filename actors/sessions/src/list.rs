//! Reads the sessions of a gateway: all of them, one of them, and whether they can be used.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use windlass_line::LineStatus;
use windlass_protocol::connection::Resend;
use windlass_protocol::request::{
    ConfigGet, SessionRow, SessionsDescribe, SessionsList, SessionsListReply, SessionsPatch,
};
use windlass_protocol::{
    AgentId, HelloOk, SessionKey, SessionKeySpace, Verdict, agent_id_of, releases, releases as rules,
};

use crate::api::Sessions;
use crate::client::offers_method;
use crate::error::{AskError, ListError};

/// Most sessions of a list: some 200 MB of the largest rows of 2026.9 in memory.
pub const SESSIONS_LIMIT: usize = 100_000;
/// The gateway's page size where the request names none (generation 4; generation 3 gives all).
const FIRST_PAGE: usize = 100;
/// Our page size after the first page: 1 MB of rows of 2026.9.
const PAGE: u32 = 500;
/// How often the first page is read again for sessions that changed, and so moved there, while the others were read.
const LOOKS_BACK: u32 = 3;

/// Selects sessions and their members; all sessions by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionQuery {
    agent: Option<AgentId>,
    active_within: Option<Duration>,
    label: Option<String>,
    search: Option<String>,
    limit: Option<usize>,
    titles: bool,
    last_messages: bool,
}

impl SessionQuery {
    /// All.
    pub fn all() -> Self {
        Self::default()
    }

    /// Only those of this agent.
    pub fn agent(mut self, agent: AgentId) -> Self {
        self.agent = Some(agent);
        self
    }

    /// Only those that changed within this time; counted in whole minutes, 1 at least.
    pub const fn active_within(mut self, time: Duration) -> Self {
        self.active_within = Some(time);
        self
    }

    /// Only the one with this label.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Only those in which this text is found.
    pub fn search(mut self, text: impl Into<String>) -> Self {
        self.search = Some(text.into());
        self
    }

    /// At most so many, those changed last.
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = Some(limit);
        self
    }

    /// With a title made of the first message (`derivedTitle`).
    pub const fn titles(mut self) -> Self {
        self.titles = true;
        self
    }

    /// With the beginning of the last message (`lastMessagePreview`).
    pub const fn last_messages(mut self) -> Self {
        self.last_messages = true;
        self
    }

    fn request(&self, space: &SessionKeySpace) -> SessionsList {
        let mut request = SessionsList::new();
        request.agent_id = self.agent.as_ref().map(|agent| space.agent(agent.as_str()).into());
        request.include_global = space.is_global().then_some(true);
        request.active_minutes = self.active_within.map(|time| {
            let minutes = time.as_secs().div_ceil(60).max(1);
            u32::try_from(minutes).unwrap_or(u32::MAX)
        });
        request.label.clone_from(&self.label);
        request.search.clone_from(&self.search);
        request.include_derived_titles = self.titles.then_some(true);
        request.include_last_message = self.last_messages.then_some(true);
        request
    }

    fn most(&self) -> usize {
        self.limit.unwrap_or(usize::MAX)
    }
}

/// Rows, each key once, in the order in which they came.
#[derive(Default)]
struct Listed {
    rows: Vec<SessionRow>,
    keys: HashSet<String>,
}

impl Listed {
    /// How many of them were new.
    fn add(&mut self, page: Vec<SessionRow>) -> usize {
        let before = self.rows.len();
        for row in page {
            if self.keys.insert(row.key.clone()) {
                self.rows.push(row);
            }
        }
        self.rows.len() - before
    }
}

impl Sessions {
    /// The gateway's sessions, those changed last first, from all pages. A session that changes while they are read is not
    /// lost by it.
    ///
    /// # Errors
    /// [`ListError`].
    pub async fn list(&self, query: &SessionQuery) -> Result<Vec<SessionRow>, ListError> {
        let most = query.most();
        let mut request = self.request(query);
        // Asked for nothing, each generation says how much it has; a number would hide that on generation 3.
        request.limit = u32::try_from(most)
            .ok()
            .filter(|_| most <= FIRST_PAGE)
            .map(|most| most.max(1));
        let mut listed = Listed::default();
        let mut page = self.sessions_page(&request).await?;
        let mut pages = 1;
        loop {
            let (more, next) = (page.has_more == Some(true), page.next_offset);
            let new = listed.add(page.sessions);
            if listed.rows.len() >= most || !more || new == 0 {
                break;
            }
            if listed.rows.len() >= SESSIONS_LIMIT {
                return Err(ListError::TooMany { limit: SESSIONS_LIMIT });
            }
            let offset = next.unwrap_or(listed.rows.len() as u64);
            page = self.page_from(query, offset, page.total_count).await?;
            pages += 1;
        }
        if pages > 1 && listed.rows.len() < most {
            self.look_back(query, &mut listed).await?;
        }
        listed.rows.truncate(most);
        Ok(listed.rows)
    }

    fn request(&self, query: &SessionQuery) -> SessionsList {
        query.request(&self.line().status().borrow().key_space())
    }

    async fn page_from(
        &self,
        query: &SessionQuery,
        offset: u64,
        total: Option<u64>,
    ) -> Result<SessionsListReply, AskError> {
        let mut request = self.request(query).limit(PAGE);
        request.offset = Some(u32::try_from(offset).unwrap_or(u32::MAX));
        match self.sessions_page(&request).await {
            // Releases that say that there is more, and have no offset: all at once.
            Err(error)
                if error
                    .refusal()
                    .is_some_and(|error| rules::param_unknown(error, "offset")) =>
            {
                let all = total.and_then(|total| u32::try_from(total).ok());
                let request = self.request(query).limit(all.unwrap_or(u32::MAX).max(PAGE));
                self.sessions_page(&request).await
            }
            other => other,
        }
    }

    /// A session that changed meanwhile moved to the front, where it had been passed by.
    async fn look_back(&self, query: &SessionQuery, listed: &mut Listed) -> Result<(), AskError> {
        for _ in 0..LOOKS_BACK {
            let page = self.sessions_page(&self.request(query).limit(PAGE)).await?;
            let mut front = Listed::default();
            front.add(page.sessions);
            let known = front.rows.len() - front.keys.difference(&listed.keys).count();
            let moved = known < front.rows.len();
            let rest = std::mem::replace(listed, front);
            listed.add(rest.rows);
            if !moved {
                break;
            }
        }
        Ok(())
    }

    /// One page; a bare list is taken, too.
    pub(crate) async fn sessions_page(&self, request: &SessionsList) -> Result<SessionsListReply, AskError> {
        let answer = self.client.ask_raw(request, Resend::Always).await?;
        SessionsListReply::read(&answer).map_err(|error| AskError::shape::<SessionsList>(&error))
    }
}

/// How it stands with a gateway's sessions.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionsStatus {
    /// The line. While it is not up, what follows is what was known last.
    pub line: LineStatus,
    /// Whether the release is supported; nothing for a gateway that was never met.
    pub verdict: Option<Verdict>,
    /// How many sessions there are; nothing while the line is not up.
    pub sessions: Option<u64>,
    /// The key of the main session; nothing for a gateway that was never met.
    pub main_key: Option<SessionKey>,
    /// The main session, if it was made by now; nothing while the line is not up.
    pub main: Option<SessionRow>,
}

impl SessionsStatus {
    /// Whether calls go through.
    pub const fn is_connected(&self) -> bool {
        self.line.is_up()
    }
}

impl Sessions {
    /// One session; nothing where there is none. The main session is made if it is asked for and not there, except where that
    /// would break it: on 2026.6 its first message makes it.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn get(&self, key: &SessionKey) -> Result<Option<SessionRow>, AskError> {
        let hello = self.hello().await?;
        let found = self.look_up(&hello, key).await?;
        if found.is_some() || !releases::is_main(&hello, key) || releases::breaks_early_sessions(&hello.server.version)
        {
            return Ok(found);
        }
        let request = SessionsPatch::new(key.as_str());
        self.client.ask(&request, Resend::Always).await?;
        self.look_up(&hello, key).await
    }

    /// How it stands: the connection, whether the release is supported, how many sessions there are, and the main one. A line
    /// that is down is no error and is not waited for.
    ///
    /// # Errors
    /// [`AskError`], when the line is up and the gateway does not answer.
    pub async fn status(&self) -> Result<SessionsStatus, AskError> {
        let line = self.line().status().borrow().clone();
        let Some(hello) = line.hello.clone() else {
            return Ok(SessionsStatus {
                line,
                verdict: None,
                sessions: None,
                main_key: None,
                main: None,
            });
        };
        let main_key = releases::main_session(&hello);
        if !line.is_up() {
            let verdict = Verdict::of(Some(&hello.server.version), None);
            return Ok(SessionsStatus {
                line,
                verdict: Some(verdict),
                sessions: None,
                main_key: Some(main_key),
                main: None,
            });
        }
        Ok(SessionsStatus {
            line,
            verdict: Some(self.verdict().await?),
            sessions: Some(self.count().await?),
            main: self.look_up(&hello, &main_key).await?,
            main_key: Some(main_key),
        })
    }

    /// Whether the gateway's release is supported. That it is not, or not known, is no error.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn verdict(&self) -> Result<Verdict, AskError> {
        let hello = self.hello().await?;
        let version = Some(hello.server.version.as_str());
        if !Verdict::needs_config(version) {
            return Ok(Verdict::of(version, None));
        }
        let reply = match self.client.ask(&ConfigGet::new(), Resend::Always).await {
            Ok(reply) => reply,
            // Without the right to read the configuration it stays unknown.
            Err(error) if error.refusal().is_some() => return Ok(Verdict::of(version, None)),
            Err(error) => return Err(error),
        };
        let touched = [&reply.config, &reply.resolved, &reply.parsed]
            .into_iter()
            .flatten()
            .find_map(|config| config.pointer("/meta/lastTouchedVersion")?.as_str());
        Ok(Verdict::of(version, touched))
    }

    /// Generation 4 counts all of them; generation 3 gives all of them.
    async fn count(&self) -> Result<u64, AskError> {
        let mut request = SessionsList::new();
        request.include_global = self.line().status().borrow().key_space().is_global().then_some(true);
        let page = self.sessions_page(&request).await?;
        let shown = page.sessions.len() as u64;
        Ok(page.total_count.unwrap_or(shown))
    }

    /// One session, or nothing where there is none. No session is made.
    ///
    /// # Errors
    /// [`AskError`].
    pub async fn find(&self, key: &SessionKey) -> Result<Option<SessionRow>, AskError> {
        let hello = self.hello().await?;
        self.look_up(&hello, key).await
    }

    pub(crate) async fn look_up(&self, hello: &HelloOk, key: &SessionKey) -> Result<Option<SessionRow>, AskError> {
        if offers_method(hello, "sessions.describe") {
            let request = SessionsDescribe::new(key.as_str());
            return Ok(self.client.ask(&request, Resend::Always).await?.session);
        }
        // Releases without it (up to 2026.4) list all sessions unless told otherwise.
        let space = SessionKeySpace::of(hello);
        let spellings = space.spellings(key.as_str());
        let mut request = SessionsList::new();
        request.agent_id = agent_id_of(spellings.canonical()).map(str::to_owned);
        request.include_global = space.is_global().then_some(true);
        let rows = self.sessions_page(&request).await?.sessions;
        Ok(rows.into_iter().find(|row| spellings.include(&row.key)))
    }

    pub(crate) async fn hello(&self) -> Result<Arc<HelloOk>, AskError> {
        Ok(self.client.hello().await?)
    }
}
