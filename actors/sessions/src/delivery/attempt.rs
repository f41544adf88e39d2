//! One attempt to send: on record before it is made, and when the gateway has taken it.

use std::cell::RefCell;
use std::rc::Rc;

use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, abortable};
use windlass_protocol::NotSent;
use windlass_protocol::connection::Resend;
use windlass_protocol::request::ChatSend;

use super::{DeliveryLoop, Reply};
use crate::error::AskError;
use crate::incarnation::GatewayIncarnation;
use crate::outbox::{Facts, Outbox};
use windlass_line::Line;

/// The latest attempt on record.
pub(super) type Noted = Rc<RefCell<Option<(u32, Facts)>>>;

impl<'a> DeliveryLoop<'a> {
    /// Makes it. The tracker sends again, when it knows that it may.
    pub(super) fn send(&mut self) -> LocalBoxFuture<'a, Reply> {
        let (message, key, outbox) = (self.message, self.key, self.outbox);
        let (since_ms, noted) = (self.since_ms, Rc::clone(&self.noted));
        let (line, client) = (&*message.line, self.client.clone());
        let sent = async move {
            if let Some(outbox) = outbox
                && let Err(why) = note(outbox, line, key, since_ms, &noted).await
            {
                return Reply::Sent(Err(why.into()));
            }
            let mut request = ChatSend::new(message.session.as_str(), message.text.clone());
            if message.deliver {
                request = request.deliver(true);
            }
            match client.ask_keyed(&request, Some(key), Resend::Never).await {
                Ok(reply) => Reply::Sent(Ok(reply)),
                Err(AskError::Call(error)) => Reply::Sent(Err(error)),
                Err(error @ AskError::Shape { .. }) => {
                    tracing::warn!(gateway = %line.id(), "{error}");
                    Reply::SentOddly
                }
            }
        };
        let (sent, sending) = abortable(sent);
        self.sending = Some(sending);
        sent.map(|sent| sent.unwrap_or(Reply::Nothing)).boxed_local()
    }

    pub(super) fn note_accepted(&self) {
        let (Some(outbox), Some((number, facts))) = (self.outbox, self.noted.borrow().clone()) else {
            return;
        };
        let (key, line) = (self.key, &*self.message.line);
        let gateway = line.id();
        // The line may have been another when the attempt was noted.
        let facts = Facts {
            life: GatewayIncarnation::of(&line.status().borrow()),
            accepted: true,
            ..facts
        };
        let noting = async move {
            if let Err(error) = outbox.amend_attempt(key, number, &facts).await {
                tracing::warn!(%gateway, "that a message was taken can't be put on record: {error}");
            }
            Reply::Nothing
        };
        self.asked.push(noting.boxed_local());
    }
}

async fn note(outbox: &Outbox, line: &Line, key: &str, since_ms: Option<u64>, noted: &Noted) -> Result<(), NotSent> {
    let facts = Facts {
        life: GatewayIncarnation::of(&line.status().borrow()),
        since_ms,
        accepted: false,
    };
    match outbox.note_attempt(key, line.wall().into(), &facts).await {
        Ok(number) => {
            *noted.borrow_mut() = Some((number, facts));
            Ok(())
        }
        Err(error) => {
            tracing::warn!(gateway = %line.id(), "an attempt can't be put on record: {error}");
            let why = format!("the attempt could not be put on record: {error}");
            Err(NotSent::Invalid { why })
        }
    }
}
