//! Why a connection was closed, from its close code.

use std::fmt;

use crate::text::{MESSAGE_LIMIT, printable};
use crate::time::Pause;

/// A WebSocket close code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CloseCode(pub u16);

impl CloseCode {
    /// Closed on purpose; from a gateway before hello: it waited too long for `connect` (15.0 s on 2026.9.6, 3.0 s on 2026.3.13)
    /// or could not read it.
    pub const NORMAL: Self = Self(1000);
    /// The peer goes away.
    pub const GOING_AWAY: Self = Self(1001);
    /// From a gateway with "protocol mismatch": no common generation.
    pub const PROTOCOL: Self = Self(1002);
    /// A close frame without a code (never sent as such).
    pub const NO_STATUS: Self = Self(1005);
    /// No close frame at all: killed, cut off, lost (never sent as such).
    pub const ABNORMAL: Self = Self(1006);
    /// Refused: every refused handshake ends like this, and so do slow consumers and repeated unauthorized calls.
    pub const POLICY: Self = Self(1008);
    /// A frame over the limit: `policy.maxPayload`, or 64 KiB before hello.
    pub const TOO_BIG: Self = Self(1009);
    /// The gateway failed.
    pub const INTERNAL: Self = Self(1011);
    /// The gateway stops or restarts; only its `shutdown` event tells which.
    pub const SERVICE_RESTART: Self = Self(1012);
    /// The gateway is starting, or busy with an operation on itself.
    pub const TRY_AGAIN_LATER: Self = Self(1013);
    /// Our own: no sign of life from the gateway, or no answer to `connect`.
    pub const CLIENT_TIMEOUT: Self = Self(4000);
    /// Credentials or policy changed, or this device was removed (2026.9.6; 2026.3.13 restarts instead).
    pub const POLICY_CHANGED: Self = Self(4001);
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A close code with the text that came with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReason {
    /// The code.
    pub code: CloseCode,
    /// At most 123 bytes on the wire; often empty.
    pub reason: String,
}

/// The meaning of a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseClass {
    /// Closed on purpose, or the gateway gave up waiting for `connect`.
    Normal,
    /// No common protocol generation.
    ProtocolMismatch,
    /// The peer (or a proxy) saw a broken frame.
    ProtocolError,
    /// No close frame, or one without a code.
    Abnormal,
    /// The handshake was refused; the error answer before it says why.
    PolicyRefused,
    /// The gateway forgot our device token's rights.
    DeviceTokenMismatch,
    /// We did not read fast enough.
    SlowConsumer,
    /// This client kept calling methods that its role may not call.
    UnauthorizedCalls,
    /// A frame of ours was over the limit.
    TooBig,
    /// The gateway failed.
    ServerFault,
    /// The gateway stops or restarts.
    ServiceRestart,
    /// The gateway is on its way up, or busy with itself.
    StartingUp,
    /// Credentials or policy of the gateway changed.
    PolicyChanged,
    /// This device was removed from the gateway; it has to be paired again.
    DeviceRemoved,
    /// Our own watchdog closed.
    ClientTimeout,
    /// A code that this build does not know.
    Unknown,
}

impl CloseReason {
    /// A close with its text.
    pub fn new(code: CloseCode, reason: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.into(),
        }
    }

    /// A connection that ended without a close frame.
    pub fn abnormal() -> Self {
        Self::new(CloseCode::ABNORMAL, "")
    }

    /// The meaning of the close. The text decides only between meanings that share a code.
    pub fn class(&self) -> CloseClass {
        match self.code {
            CloseCode::NORMAL => CloseClass::Normal,
            CloseCode::PROTOCOL if self.reason.starts_with("protocol mismatch") => CloseClass::ProtocolMismatch,
            CloseCode::PROTOCOL => CloseClass::ProtocolError,
            CloseCode::NO_STATUS | CloseCode::ABNORMAL => CloseClass::Abnormal,
            CloseCode::POLICY => self.class_of_policy(),
            CloseCode::TOO_BIG => CloseClass::TooBig,
            CloseCode::INTERNAL => CloseClass::ServerFault,
            CloseCode::GOING_AWAY | CloseCode::SERVICE_RESTART => CloseClass::ServiceRestart,
            CloseCode::TRY_AGAIN_LATER => CloseClass::StartingUp,
            CloseCode::CLIENT_TIMEOUT => CloseClass::ClientTimeout,
            CloseCode::POLICY_CHANGED if self.reason == "device removed" => CloseClass::DeviceRemoved,
            CloseCode::POLICY_CHANGED => CloseClass::PolicyChanged,
            _ => CloseClass::Unknown,
        }
    }

    fn class_of_policy(&self) -> CloseClass {
        match self.reason.as_str() {
            "slow consumer" => CloseClass::SlowConsumer,
            "repeated unauthorized calls" => CloseClass::UnauthorizedCalls,
            reason if reason.contains("device token mismatch") => CloseClass::DeviceTokenMismatch,
            _ => CloseClass::PolicyRefused,
        }
    }

    /// Whether the ordinary backoff goes on; otherwise something has to change elsewhere first.
    pub fn can_reconnect(&self) -> bool {
        self.class().can_reconnect()
    }
}

impl CloseClass {
    /// Whether the ordinary backoff goes on.
    pub fn can_reconnect(self) -> bool {
        matches!(self.pause(), Pause::Retry { .. })
    }

    /// When to try again, if nothing else (an error answer to `connect`) says it better.
    pub fn pause(self) -> Pause {
        match self {
            Self::ProtocolMismatch | Self::PolicyRefused => Pause::PERSON,
            // The gateway forgets the device's approval: the next connect is answered with a pairing request.
            Self::DeviceRemoved => Pause::PAIRING,
            Self::StartingUp => Pause::starting(None),
            _ => Pause::BACKOFF,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reason.is_empty() {
            write!(f, "close {}", self.code)
        } else {
            write!(f, "close {} ({})", self.code, printable(&self.reason, MESSAGE_LIMIT))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_close_seen_on_a_gateway_has_its_class_and_says_whether_to_come_back() {
        let rows = [
            (1000, "", CloseClass::Normal, true),
            (1001, "", CloseClass::ServiceRestart, true),
            (1002, "protocol mismatch", CloseClass::ProtocolMismatch, false),
            (1002, "bad opcode", CloseClass::ProtocolError, true),
            (1005, "", CloseClass::Abnormal, true),
            (1006, "", CloseClass::Abnormal, true),
            (1008, "pairing required", CloseClass::PolicyRefused, false),
            (
                1008,
                "unauthorized: gateway token mismatch",
                CloseClass::PolicyRefused,
                false,
            ),
            (
                1008,
                "invalid handshake: first request must be connect",
                CloseClass::PolicyRefused,
                false,
            ),
            (1008, "invalid request frame", CloseClass::PolicyRefused, false),
            (1008, "invalid role", CloseClass::PolicyRefused, false),
            (
                1008,
                "unauthorized: device token mismatch",
                CloseClass::DeviceTokenMismatch,
                true,
            ),
            (1008, "slow consumer", CloseClass::SlowConsumer, true),
            (1008, "repeated unauthorized calls", CloseClass::UnauthorizedCalls, true),
            (1009, "", CloseClass::TooBig, true),
            (1011, "", CloseClass::ServerFault, true),
            (1012, "service restart", CloseClass::ServiceRestart, true),
            (1013, "gateway starting", CloseClass::StartingUp, true),
            (1013, "gateway restore in progress", CloseClass::StartingUp, true),
            (4000, "tick timeout", CloseClass::ClientTimeout, true),
            (4000, "connect timeout", CloseClass::ClientTimeout, true),
            (4001, "gateway auth changed", CloseClass::PolicyChanged, true),
            (4001, "gateway policy changed", CloseClass::PolicyChanged, true),
            (4001, "device removed", CloseClass::DeviceRemoved, false),
            (1003, "", CloseClass::Unknown, true),
            (4999, "new in 2027", CloseClass::Unknown, true),
            (0, "", CloseClass::Unknown, true),
        ];
        for (code, reason, class, back) in rows {
            let close = CloseReason::new(CloseCode(code), reason);
            assert_eq!((close.class(), close.can_reconnect()), (class, back), "{close}");
        }
    }

    #[test]
    fn the_shown_text_is_safe_to_log() {
        assert_eq!(CloseReason::abnormal().to_string(), "close 1006");
        assert_eq!(
            CloseReason::new(CloseCode::POLICY, "a\nb").to_string(),
            "close 1008 (ab)"
        );
    }
}
