//! The request for a WebSocket, and the time that its answer may take.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::handshake::client::{Response, generate_request};
use tungstenite::handshake::derive_accept_key;
use tungstenite::handshake::machine::TryParse as _;
use tungstenite::http::{HeaderMap, HeaderName, Request, StatusCode, header};
use windlass_protocol::{Secret, UpgradeRefusal};

use crate::clock::within;
use crate::spec::Header;
use crate::transport::{BoxedIo, Socket, UpgradeError};
use crate::{Endpoint, GatewaySpec};

/// Upgrades a stream to a WebSocket, as a line does and as a diagnosis does that goes through a line's steps.
///
/// ```no_run
/// # async fn example(io: windlass_line::transport::BoxedIo, spec: windlass_line::GatewaySpec) -> Result<(), Box<dyn std::error::Error>> {
/// let mut socket = windlass_line::transport::open_websocket(io, &spec).await?;
/// if let Some(message) = socket.next().await {
///     println!("{} bytes came", message?.len());
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`UpgradeError`] within [`GatewaySpec::handshake_timeout`].
pub async fn open_websocket(io: BoxedIo, spec: &GatewaySpec) -> Result<Socket, UpgradeError> {
    // Only for a proxy that looks for the token there: it goes on the wire and nowhere else.
    let query = spec.token.as_ref().filter(|_| spec.token_in_query);
    let request = request(&spec.endpoint, &spec.headers, query)?;
    match within(spec.handshake_timeout, upgrade(io, request)).await {
        None => Err(UpgradeError::Timeout(spec.handshake_timeout)),
        Some(upgraded) => upgraded,
    }
}

fn request(endpoint: &Endpoint, headers: &[Header], query: Option<&Secret>) -> Result<Request<()>, UpgradeError> {
    let mut url = endpoint.address();
    if let Some(token) = query {
        let encoded: String = url::form_urlencoded::byte_serialize(token.expose().as_bytes()).collect();
        url = format!("{}/?token={encoded}", url.trim_end_matches('/'));
    }
    // The error could repeat the URL, and with it the token.
    let mut request = url
        .into_client_request()
        .map_err(|_| UpgradeError::NotWebSocket("unusable URL".into()))?;
    for extra in headers {
        extra.append_to(request.headers_mut());
    }
    Ok(request)
}

/// Largest head of an answer, in bytes, with the bytes that come behind it at once. A gateway's is 150 bytes, a proxy adds some hundred.
const MAX_HEAD: usize = 64 * 1024;
/// Reads that a head may come in: each is parsed from the beginning. A head that comes byte by byte fits in.
const MAX_READS: usize = 2048;

/// Asks for a WebSocket. It waits for as long as the other side takes: give it a deadline.
async fn upgrade(mut io: BoxedIo, request: Request<()>) -> Result<Socket, UpgradeError> {
    let asked = elements(request.headers(), &header::SEC_WEBSOCKET_PROTOCOL);
    let asked: Vec<String> = asked.map(str::to_owned).collect();
    // The error could repeat the URL, and with it a token.
    let (text, key) = generate_request(request).map_err(|_| not_websocket("unusable URL"))?;
    io.write_all(&text).await.map_err(|error| broken(&error))?;
    io.flush().await.map_err(|error| broken(&error))?;
    let (response, behind) = answer(&mut io).await?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refusal(&response, &behind).into());
    }
    check(response.headers(), &derive_accept_key(key.as_bytes()), &asked).map_err(not_websocket)?;
    Ok(Socket::begin(io, behind))
}

/// Reads an answer's head, and returns the bytes that came behind it at once. Interim answers before it (RFC 9110, 15.2) are read over.
async fn answer(io: &mut BoxedIo) -> Result<(Response, Vec<u8>), UpgradeError> {
    let mut came = Vec::with_capacity(1024);
    for _ in 0..MAX_READS {
        let room = MAX_HEAD - came.len();
        match (&mut *io).take(room as u64).read_buf(&mut came).await {
            Ok(0) if room == 0 => return Err(not_websocket("the head of its answer is over 64 KiB")),
            Ok(0) => return Err(UpgradeError::Broken("closed without an answer".into())),
            Ok(_) => {}
            Err(error) => return Err(broken(&error)),
        }
        while let Some((length, response)) = Response::try_parse(&came).map_err(unreadable)? {
            came.drain(..length);
            if !is_interim(response.status()) {
                return Ok((response, came));
            }
        }
    }
    Err(not_websocket("its answer comes in too many pieces"))
}

fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// Whether an answer with status 101 opens the WebSocket that was asked for (RFC 6455, 4.1).
///
/// The check is our own, since the WebSocket library takes one spelling of headers that are lists: `Connection: keep-alive,
/// Upgrade` is as good as `Connection: Upgrade`.
fn check(headers: &HeaderMap, accept: &str, asked: &[String]) -> Result<(), &'static str> {
    let names =
        |name: &HeaderName, word: &str| elements(headers, name).any(|element| element.eq_ignore_ascii_case(word));
    if !names(&header::UPGRADE, "websocket") {
        return Err("the answer's Upgrade header has no \"websocket\"");
    }
    if !names(&header::CONNECTION, "upgrade") {
        return Err("the answer's Connection header has no \"Upgrade\"");
    }
    if !elements(headers, &header::SEC_WEBSOCKET_ACCEPT).eq([accept]) {
        return Err("the answer's Sec-WebSocket-Accept header belongs to another request");
    }
    if elements(headers, &header::SEC_WEBSOCKET_EXTENSIONS).next().is_some() {
        return Err("the answer has a WebSocket extension that was not asked for");
    }
    let mut chosen = elements(headers, &header::SEC_WEBSOCKET_PROTOCOL);
    match (chosen.next(), chosen.next()) {
        (None, _) => Ok(()),
        (Some(one), None) if asked.iter().any(|asked| asked == one) => Ok(()),
        _ => Err("the answer has a WebSocket subprotocol that was not asked for"),
    }
}

/// The elements of a header that is a list (RFC 9110, 5.6.1): of all its lines, without those that are empty.
fn elements<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|element| element.trim_matches([' ', '\t']))
        .filter(|element| !element.is_empty())
}

fn refusal(response: &Response, body: &[u8]) -> UpgradeRefusal {
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok());
    UpgradeRefusal::new(response.status().as_u16(), body).with_retry_after(retry_after)
}

fn not_websocket(why: &str) -> UpgradeError {
    UpgradeError::NotWebSocket(why.into())
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn unreadable(error: tungstenite::Error) -> UpgradeError {
    UpgradeError::NotWebSocket(error.to_string())
}

fn broken(error: &io::Error) -> UpgradeError {
    UpgradeError::Broken(error.kind().to_string())
}

#[cfg(test)]
mod upgrade_tests {
    use tungstenite::http::HeaderValue;

    use super::*;

    /// The example of RFC 6455, 1.3.
    const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    /// An answer with these headers beside, or in place of, those that each has.
    fn checked(other: &[(&'static str, &'static str)]) -> Result<(), &'static str> {
        let usual = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-accept", ACCEPT),
        ];
        let mut headers = HeaderMap::new();
        for (name, value) in usual {
            if !other.iter().any(|(another, _)| *another == name) {
                headers.append(name, HeaderValue::from_static(value));
            }
        }
        for (name, value) in other {
            headers.append(*name, HeaderValue::from_static(value));
        }
        check(&headers, ACCEPT, &["chat".to_owned(), "superchat".to_owned()])
    }

    #[test]
    fn headers_that_are_lists_are_read_as_lists() {
        for good in [
            &[][..],
            &[("connection", "keep-alive, Upgrade")],
            &[("connection", "Upgrade,keep-alive")],
            &[("connection", ",\tUPGRADE ,")],
            &[("connection", "keep-alive"), ("connection", "upgrade")],
            &[("upgrade", "WebSocket")],
            &[("upgrade", "h2c, websocket")],
            &[("sec-websocket-accept", "\ts3pPLMBiTxaQ9kYGzzhZRbK+xOo= ")],
            &[("sec-websocket-extensions", "")],
            &[("sec-websocket-extensions", " , ")],
            &[("sec-websocket-protocol", "superchat")],
            &[("sec-websocket-protocol", "")],
        ] {
            assert_eq!(checked(good), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn what_was_not_asked_for_and_what_does_not_upgrade_is_refused() {
        for (bad, why) in [
            (&[("connection", "keep-alive")][..], "Connection"),
            (&[("connection", "Upgraded")], "Connection"),
            (&[("upgrade", "h2c")], "Upgrade"),
            (&[("upgrade", "websocket2")], "Upgrade"),
            (&[("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOO=")], "Accept"),
            (&[("sec-websocket-accept", "")], "Accept"),
            (
                &[("sec-websocket-accept", ACCEPT), ("sec-websocket-accept", ACCEPT)],
                "Accept",
            ),
            (&[("sec-websocket-extensions", "permessage-deflate")], "extension"),
            (&[("sec-websocket-protocol", "other")], "subprotocol"),
            (&[("sec-websocket-protocol", "Chat")], "subprotocol"),
            (&[("sec-websocket-protocol", "chat, superchat")], "subprotocol"),
        ] {
            let told = checked(bad).unwrap_err();
            assert!(told.contains(why), "{bad:?}: {told}");
        }
    }

    #[tokio::test]
    async fn interim_answers_are_read_over_and_what_comes_behind_the_head_is_kept() {
        let (mut far, near) = tokio::io::duplex(4096);
        far.write_all(
            b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 101 ok\r\nupgrade: websocket\r\n\r\n\x81\x00",
        )
        .await
        .unwrap();
        let mut near: BoxedIo = Box::new(near);
        let (response, behind) = answer(&mut near).await.unwrap();
        assert_eq!((response.status().as_u16(), &behind[..]), (101, &b"\x81\x00"[..]));
    }

    #[tokio::test]
    async fn a_head_without_end_is_refused() {
        let (mut far, near) = tokio::io::duplex(4096);
        let writes = tokio::spawn(async move {
            far.write_all(format!("HTTP/1.1 101 {}", "x".repeat(MAX_HEAD)).as_bytes())
                .await
        });
        let mut near: BoxedIo = Box::new(near);
        let told = answer(&mut near).await.unwrap_err().to_string();
        assert!(told.contains("64 KiB"), "{told}");
        drop(near);
        let _ = writes.await;
    }
}
