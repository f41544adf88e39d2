//! Incoming frames besides answers: events, and frames that are none.

use bytestring::ByteString;
use windlass_protocol::EventFrame;
use windlass_protocol::connection::{Gap, IgnoredFrame, Session};

use crate::routing::{Event, Incoming, Marker};
use crate::supervision::LineContext;

/// An event came: its subscribers get it at the end of the turn, or before any caller gets an answer.
pub(super) fn gather(
    line: &LineContext,
    session: &Session,
    event: &EventFrame<'_>,
    gap: Option<Gap>,
    text: &ByteString,
) {
    line.router.meter().event();
    if let Some(gap) = gap {
        line.router.meter().gap(gap.received.saturating_sub(gap.expected));
        tracing::warn!(gateway = %line.id, expected = gap.expected, received = gap.received, "events are missing or out of order");
        line.router.mark(&Marker::Gap(gap));
        line.topics.gap();
    }
    let incoming = Incoming::new(&event.name, event.payload.as_str());
    line.topics.observe(&incoming);
    line.router.gather(&incoming, || Event {
        name: line.shard.names.get(&event.name),
        payload: event.payload.to_kept_in(text),
        seq: event.seq,
        generation: session.generation(),
    });
}

pub(super) fn ignored(line: &LineContext, why: &IgnoredFrame) {
    if let IgnoredFrame::ForeignId(Some(error)) = why {
        tracing::warn!(gateway = %line.id, %error, "a frame was ignored: {why}");
    } else {
        tracing::warn!(gateway = %line.id, "a frame was ignored: {why}");
    }
    if why.may_hide_an_event() {
        unreadable(line);
    }
}

/// Tells subscribers that they may have missed something here.
pub(super) fn unreadable(line: &LineContext) {
    line.router.mark(&Marker::Unreadable);
    line.topics.gap();
}
