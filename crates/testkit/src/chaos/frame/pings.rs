//! Pings in a row.

use super::{Frame, Step};

/// The opcode of a ping (RFC 6455, 5.5.2).
const PING: u8 = 9;
/// The most that one may carry.
const BYTES: usize = 125;

/// So many pings before the frame itself.
pub(super) fn pings(frame: Frame, pings: u32) -> Vec<Step> {
    let ping = Frame {
        opcode: PING,
        mask: frame.mask,
        payload: vec![b'p'; BYTES],
    };
    let pings = std::iter::repeat_n(ping, pings as usize).map(Step::Pass);
    pings.chain([Step::Pass(frame)]).collect()
}
