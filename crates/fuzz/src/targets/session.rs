//! One connection: each line is a frame, first for the handshake, then for the session.

use windlass_protocol::connection::{Gap, Handshake, HandshakeStep, IgnoredFrame, Received, Session};
use windlass_protocol::{CallId, Challenge, Frame, Generation, HelloOk, RawJson};

use crate::shared::{CANARY, assert_fit_to_show, assert_keeps_secret, epoch, text};

/// `connect` is sent once at most, after a challenge and before the connection is up. A hello-ok has a protocol that was offered.
/// Faults can be shown and do not contain the signed request. The reported gaps are exactly the holes in the events' numbers.
pub(super) fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    let mut lines = text.split('\n');
    let Some(hello) = shake_hands(&mut lines) else { return };
    let mut session = Session::begin(Generation::new(1), &hello, epoch());
    assert!(session.wire().max_payload >= 64 * 1024);
    let mut numbers = Numbers {
        holes_tell: hello.protocol >= 4,
        last: None,
    };
    for line in lines {
        numbers.follow(line, &session.receive(line));
    }
}

fn shake_hands<'a>(lines: &mut impl Iterator<Item = &'a str>) -> Option<Box<HelloOk>> {
    let mut handshake = Handshake::begin(CallId::new(1), epoch(), Handshake::TIMEOUT);
    let mut sent = 0;
    for line in lines {
        match handshake.receive(line, epoch(), sign) {
            Ok(HandshakeStep::Wait) => {}
            Ok(HandshakeStep::Send(frame)) => {
                sent += 1;
                assert_eq!(sent, 1, "connect goes out once");
                assert!(frame.len() <= Handshake::MAX_FRAME && frame.contains(CANARY));
            }
            Ok(HandshakeStep::Up(read)) => {
                assert!((3..=4).contains(&read.hello.protocol));
                return Some(Box::new(read.hello));
            }
            Ok(HandshakeStep::Refused(refusal)) => {
                assert_fit_to_show(&refusal.to_string());
                return None;
            }
            Err(fault) => {
                assert_fit_to_show(&fault.to_string());
                if !line.contains(CANARY) {
                    assert_keeps_secret(&fault.to_string());
                }
                return None;
            }
        }
    }
    None
}

fn sign(challenge: &Challenge) -> Result<RawJson, String> {
    let params = serde_json::json!({ "token": CANARY, "nonce": challenge.nonce });
    RawJson::from_value(&params).map_err(|error| error.to_string())
}

/// The numbers of a connection's events, followed apart from the session.
struct Numbers {
    holes_tell: bool,
    last: Option<u64>,
}

impl Numbers {
    fn follow(&mut self, line: &str, received: &Received<'_>) {
        match received {
            Received::Answer { id, .. } => assert!(line.contains(&id.number().to_string())),
            Received::Event { event, gap } => self.event(event.seq, *gap),
            Received::Ignored(IgnoredFrame::Repeated) => {
                let Ok(Frame::Event(event)) = Frame::decode(line) else {
                    panic!("only an event is repeated")
                };
                assert_eq!(event.seq, self.last);
                assert!(event.seq.is_some());
            }
            Received::Ignored(ignored) => assert_fit_to_show(&ignored.to_string()),
        }
    }

    fn event(&mut self, seq: Option<u64>, gap: Option<Gap>) {
        let Some(seq) = seq else {
            assert_eq!(gap, None, "an event without a number tells of no hole");
            return;
        };
        let expected = self.last.map(|last| last.saturating_add(1));
        let hole = expected.filter(|expected| seq < *expected || (self.holes_tell && seq > *expected));
        let told = hole.map(|expected| Gap {
            expected,
            received: seq,
        });
        assert_eq!(gap, told);
        self.last = Some(seq);
    }
}
