//! One call of any method of a gateway.

use std::time::Duration;

use serde::Deserialize;
use utoipa::ToSchema;
use windlass_protocol::{RawJson, method};

use crate::access::{Caller, Scope};
use crate::error::OperationError;
use crate::service::Service;

/// The longest timeout of a call, in milliseconds: a call that takes longer is followed by its run or by events.
pub const LONGEST_TIMEOUT_MS: u64 = 10 * 60 * 1000;

/// A call.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallInput {
    /// The parameters of the method; left out when missing.
    #[schema(value_type = Object)]
    pub params: Option<RawJson>,
    /// The time until the call ends at the latest, in milliseconds; 30,000 by default.
    #[schema(minimum = 1, maximum = 600_000)]
    pub timeout_ms: Option<u64>,
    /// Do not wait for a line that is down.
    #[serde(default)]
    pub fail_fast: bool,
    /// Wait for the last of two answers, which the method `agent` gives when its run ends.
    #[serde(default)]
    pub final_answer: bool,
}

/// Calls a method of a gateway, and returns the payload of its answer unchanged.
///
/// The scope of the method decides whether the caller may do this; a method that the table does not know needs
/// [`Scope::Admin`]. `key` is the idempotency key; methods that take one get a new key when it is missing.
///
/// # Errors
/// One of the outcomes of a call, or an invalid input.
pub async fn call(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    name: String,
    input: CallInput,
    key: Option<String>,
) -> Result<RawJson, OperationError> {
    let scope = method(&name).and_then(|row| row.scope.as_ref());
    caller.require(scope.map_or(Scope::Admin, Scope::of_protocol))?;
    let timeout = input.timeout_ms.unwrap_or(30_000);
    if timeout == 0 || timeout > LONGEST_TIMEOUT_MS {
        return Err(OperationError::invalid(
            "timeout_ms",
            format!("is not from 1 to {LONGEST_TIMEOUT_MS}"),
        ));
    }
    let line = service.line(gateway)?;
    let mut call = match input.params {
        Some(params) => line.call(name, params),
        None => line.call(name, ()),
    };
    call = call.timeout(Duration::from_millis(timeout));
    if let Some(key) = key {
        call = call.idempotency_key(key);
    }
    if input.fail_fast {
        call = call.fail_fast();
    }
    if input.final_answer {
        call = call.final_answer();
    }
    Ok(call.await?)
}
