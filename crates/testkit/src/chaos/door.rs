//! The treatment of new connections.

use std::fmt;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::net::stream::Shared;

/// The treatment of new connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Door {
    /// They are carried to the gateway.
    #[default]
    Open,
    /// They are refused. On TCP it takes effect at the next turn of the runtime.
    Refuse,
    /// They are taken and nothing else: neither the gateway nor an answer is there, as behind a full backlog.
    Hang,
    /// They reach the gateway, and its answer to the upgrade never comes back.
    HangUpgrade,
    /// Their upgrade is answered with this HTTP status.
    AnswerUpgrade(u16),
    /// They are answered as by a peer with which TLS fails: a `handshake_failure` alert, and the end. To a client without
    /// TLS this is bytes that are no HTTP.
    FailTls,
}

/// A fatal `handshake_failure` as TLS 1.2 and 1.3 write it (RFC 8446, 6.2).
const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 40];

impl Door {
    /// One word for programs and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Refuse => "refuse",
            Self::Hang => "hang",
            Self::HangUpgrade => "hang-upgrade",
            Self::AnswerUpgrade(_) => "answer-upgrade",
            Self::FailTls => "fail-tls",
        }
    }

    /// Treats a connection that is not to be carried, until its client leaves it.
    pub(super) async fn receive(self, mut client: Shared) {
        let mut chunk = [0; 1024];
        let answer = match self {
            Self::AnswerUpgrade(status) => answer(status).into_bytes(),
            Self::FailTls => ALERT.to_vec(),
            _ => Vec::new(),
        };
        if !answer.is_empty() {
            // An answer follows a question; whether it arrives is the client's affair.
            if matches!(client.read(&mut chunk).await, Ok(1..)) {
                let _ = client.write_all(&answer).await;
                let _ = client.shutdown().await;
            }
        }
        while matches!(client.read(&mut chunk).await, Ok(1..)) {}
    }
}

fn answer(status: u16) -> String {
    format!("HTTP/1.1 {status} Chaos\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("new connections work"),
            Self::Refuse => f.write_str("new connections are refused"),
            Self::Hang => f.write_str("new connections hang"),
            Self::HangUpgrade => f.write_str("upgrades hang"),
            Self::AnswerUpgrade(status) => write!(f, "upgrades are answered with {status}"),
            Self::FailTls => f.write_str("TLS fails"),
        }
    }
}
