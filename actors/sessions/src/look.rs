//! One session, and how it stands with all of them.

use std::sync::Arc;

use windlass_protocol::connection::Resend;
use windlass_protocol::request::{ConfigGet, SessionRow, SessionsDescribe, SessionsList, SessionsPatch};
use windlass_protocol::{HelloOk, SessionKey, SessionKeySpace, Verdict, agent_id_of};

use super::api::Sessions;
use super::client::offers_method;
use super::error::AskError;
use windlass_line::LineStatus;
use windlass_protocol::releases::{refusals, sessions as rules};

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
        if found.is_some() || !rules::is_main(&hello, key) || refusals::breaks_early_sessions(&hello.server.version) {
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
        let main_key = rules::main_session(&hello);
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

    pub(super) async fn look_up(&self, hello: &HelloOk, key: &SessionKey) -> Result<Option<SessionRow>, AskError> {
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

    pub(super) async fn hello(&self) -> Result<Arc<HelloOk>, AskError> {
        Ok(self.client.hello().await?)
    }
}
