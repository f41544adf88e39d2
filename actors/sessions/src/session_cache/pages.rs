//! Lists that do not fit into one answer.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;
use windlass_protocol::connection::{AnswerMode, Resend};
use windlass_protocol::request::{Request as _, SessionsList, SessionsListReply};
use windlass_protocol::session_roster::SESSIONS_KEPT;
use windlass_protocol::{CallError, ErrorClass, MethodName, RawJson};

use windlass_line::line::{Line, OutgoingCall, SNAPSHOT_SESSIONS};

/// How long one page is waited for: as long as the line waits for the first one.
const PAGE_WITHIN: Duration = Duration::from_secs(30);

/// Which part of the list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The page that begins there (from 2026.6 on).
    Page(u32),
    /// As many as are kept: 2026.5 has limits and no offsets.
    AsManyAsKept,
    /// All, which is what generation 3 gives when it is told no limit. It does not say when it leaves some out.
    All,
}

/// A list that came, or did not.
pub(super) type Answer = (Part, Result<SessionsListReply, Failed>);

/// Why a part of the list did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// The gateway does not know these parameters.
    Refused,
    /// It may come later.
    Later,
}

/// The part of a list that is under way; one at a time.
#[derive(Default)]
pub(super) struct Asking {
    asked: Option<LocalBoxFuture<'static, Answer>>,
    /// Counts what became void: an answer that was at hand already may be void too.
    cancelled: u64,
}

impl Asking {
    pub(super) fn ask(&mut self, line: &Arc<Line>, part: Part) {
        let line = Arc::clone(line);
        self.asked = Some(async move { (part, list(&line, part).await) }.boxed_local());
    }

    pub(super) fn cancel(&mut self) {
        self.asked = None;
        self.cancelled += 1;
    }

    pub(super) const fn cancelled(&self) -> u64 {
        self.cancelled
    }

    /// The answer, once; for ever nothing while nothing is asked.
    pub(super) async fn answer(&mut self) -> Answer {
        poll_fn(|cx| {
            let Some(asked) = &mut self.asked else {
                return Poll::Pending;
            };
            let answer = std::task::ready!(Pin::new(asked).poll(cx));
            self.asked = None;
            Poll::Ready(answer)
        })
        .await
    }
}

/// What to ask instead of believing this list, which was asked for with [`SNAPSHOT_SESSIONS`] as its limit.
pub(super) fn cut_unsaid(list: &SessionsListReply) -> Option<Part> {
    let full = list.sessions.len() >= SNAPSHOT_SESSIONS as usize;
    (full && list.has_more.is_none()).then_some(Part::All)
}

async fn list(line: &Line, part: Part) -> Result<SessionsListReply, Failed> {
    let mut list = match part {
        Part::Page(offset) => SessionsList::new().limit(SNAPSHOT_SESSIONS).offset(offset),
        Part::AsManyAsKept => SessionsList::new().limit(u32::try_from(SESSIONS_KEPT).unwrap_or(u32::MAX)),
        Part::All => SessionsList::new(),
    };
    list.include_global = line.status().borrow().key_space().is_global().then_some(true);
    let call = OutgoingCall {
        method: MethodName::new(SessionsList::METHOD).expect("sessions.list is a method's name"),
        params: Some(RawJson::from_value(&list).expect("numbers can be written as JSON")),
        deadline: line.now() + PAGE_WITHIN,
        resend: Resend::Never,
        answers: AnswerMode::First,
        wait_for_line: false,
        trace: None,
    };
    match line.call(call).await {
        Ok(payload) => payload.decode().map_err(|_| Failed::Later),
        Err(CallError::Rejected(no)) if no.error.class() == ErrorClass::Rejected => Err(Failed::Refused),
        Err(_) => Err(Failed::Later),
    }
}
