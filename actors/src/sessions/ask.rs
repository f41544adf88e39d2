//! One typed call.

use std::time::Duration;

use windlass_protocol::connection::{AnswerMode, Resend};
use windlass_protocol::request::Request;
use windlass_protocol::time::after;
use windlass_protocol::{CallError, MethodName, NotSent, RawJson};

use super::error::AskError;
use crate::{Line, OutgoingCall};

/// How a call is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manner<'a> {
    /// The wait for the line included.
    pub(super) within: Duration,
    /// Whether it may be written again after a reconnect.
    pub(super) resend: Resend,
    /// Its idempotency key, where the method takes one.
    pub(super) key: Option<&'a str>,
}

impl Manner<'_> {
    /// For what may be done twice.
    pub(super) const fn repeatable(within: Duration) -> Self {
        Self {
            within,
            resend: Resend::Always,
            key: None,
        }
    }

    /// For what must not be done twice.
    pub(super) const fn once(within: Duration) -> Self {
        Self {
            within,
            resend: Resend::Never,
            key: None,
        }
    }
}

/// Makes a call and gives its answer as it came.
pub(super) async fn call<R: Request>(line: &Line, request: &R, manner: Manner<'_>) -> Result<RawJson, CallError> {
    let invalid = |why: String| CallError::from(NotSent::Invalid { why });
    let params = params(request, manner.key).map_err(|error| invalid(error.to_string()))?;
    let call = OutgoingCall {
        method: MethodName::new(R::METHOD).map_err(|error| invalid(error.to_string()))?,
        params: Some(params),
        deadline: after(line.now(), manner.within),
        resend: manner.resend,
        answers: AnswerMode::First,
        wait_for_line: true,
        trace: None,
    };
    line.call(call).await
}

/// Makes a call whose answer has a shape.
pub(super) async fn ask<R: Request>(line: &Line, request: &R, manner: Manner<'_>) -> Result<R::Reply, AskError> {
    let answer = call(line, request, manner).await?;
    answer.decode().map_err(|error| AskError::shape::<R>(&error))
}

fn params<R: Request>(request: &R, key: Option<&str>) -> Result<RawJson, serde_json::Error> {
    let Some(key) = key else {
        return RawJson::from_value(request);
    };
    let mut params = serde_json::to_value(request)?;
    if let Some(members) = params.as_object_mut() {
        members.insert("idempotencyKey".into(), key.into());
    }
    RawJson::from_value(&params)
}
