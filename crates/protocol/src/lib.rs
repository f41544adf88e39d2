//! The OpenClaw gateway protocol: frames, errors, identities and the connection core.
//!
//! Nothing here opens a socket, reads a clock, starts a task or touches a file; time and randomness come in as
//! arguments. Its driver (the actors, the simulated gateway, a test) owns the IO.

mod advice;
mod close;
pub mod config;
mod connect;
pub mod connection;
mod device;
mod device_token;
mod error;
mod event;
mod frame;
mod hello;
mod id;
pub mod json;
mod method;
mod open;
mod outcome;
mod refusal;
mod release;
pub mod releases;
pub mod request;
mod retry;
pub mod run;
mod session_key;
pub mod session_roster;
mod text;
pub mod time;

pub use crate::connect::{CredentialKind, CredentialOrigins, SecretOrigin, SecretPlace};
pub use crate::id::{InvalidTraceParent, TraceParent};
pub use crate::method::{IDEMPOTENCY_KEY, NotAnObject, with_idempotency_key};
pub use crate::refusal::{BODY_LIMIT, UpgradeKind, UpgradeRefusal};
pub use crate::text::Secret;
pub use crate::time::Pause;
pub use advice::{Advice, Advise};
pub use close::{CloseClass, CloseCode, CloseReason};
pub use connect::{
    Auth, CAP_TOOL_EVENTS, Challenge, ClientId, ClientInfo, ClientMode, ConnectParams, DeviceBlock, MAX_CONNECT_BYTES,
    MAX_PROTOCOL, MIN_PROTOCOL, Role, Scope,
};
pub use device::{
    DeviceFile, DeviceFileError, DeviceIdentity, SIGNATURE_SKEW_MS, SignatureInput, SignatureVersion, VerifyError,
    signed_payload, verify,
};
pub use device_token::{
    AfterRefusal, CredentialPlan, DEVICE_TOKEN_MAX, DEVICE_TOKEN_RETRY_DELAY, EndpointTrust, StoreAction,
};
pub use error::{DetailCode, ErrorClass, ErrorCode, GatewayError, KEPT_MESSAGE_BYTES};
pub use event::{
    AgentEvent, AgentPhase, AgentStream, ChatEvent, ChatMetadataChangedEvent, ChatState, ConfigChangedEvent, CronEvent,
    EventError, EventKeys, EventName, EventPayload, HealthEvent, HeartbeatEvent, PairDecision, PairRequestedEvent,
    PairResolvedEvent, PresenceEntry, PresenceEvent, SessionMessageEvent, SessionToolEvent, SessionsChangedEvent,
    ShutdownEvent, SkillsChangedEvent, StateVersion, TaskEvent, TickEvent, TypedEvent, UpdateAvailableEvent,
    message_text,
};
pub use frame::{EventFrame, Frame, FrameError, InvalidMethodName, MethodName, Payload, Response, encode_request};
pub use hello::{
    BoundedHello, DEFAULT_MAX_BUFFERED_BYTES, DEFAULT_MAX_PAYLOAD, DEFAULT_TICK_INTERVAL_MS, Features, HelloAuth,
    HelloOk, Policy, ServerInfo, SessionDefaults, Snapshot, Suspension, TICK_INTERVAL_BOUNDS,
};
pub use id::{CallId, GatewayId, Generation, InvalidGatewayId};
pub use json::RawJson;
pub use method::{Answers, Effect, KEY_MEMORY_SECONDS, MethodSpec, effect, method, methods};
pub use open::Extra;
pub use outcome::{CallError, NotSent, OutcomeUnknown, Rejected, TimedOut, UnknownReason};
pub use refusal::{ConnectRefusal, DeviceFault, RefusalKind};
pub use release::{InvalidRelease, MINIMUM_RELEASE, Release, UnknownRelease, Verdict};
pub use request::Request;
pub use retry::{Attempts, RetryPolicy};
pub use session_key::{
    AGENT_ID_LIMIT, AgentId, AgentIdentity, GLOBAL_SESSION, KeyError, SESSION_KEY_LIMIT, SessionKey, SessionKeySpace,
    SessionSpellings, agent_id_of, slug,
};
pub use text::{MESSAGE_LIMIT, NAME_LIMIT, Printable, printable, steers};

/// For the fuzz targets in `crates/fuzz`; no part of the public interface.
#[doc(hidden)]
pub mod fuzzing {
    use crate::{Frame, FrameError};

    /// [`Frame::decode`] without its quick path.
    ///
    /// # Errors
    /// As [`Frame::decode`].
    pub fn decode_by_parser(text: &str) -> Result<Frame<'_>, FrameError> {
        crate::frame::decode_any(text)
    }
}
