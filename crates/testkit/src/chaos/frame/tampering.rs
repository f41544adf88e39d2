//! One direction of a connection, with the faults of its frames.

use std::sync::Arc;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::codec::encode;
use super::{Codec, Frame, FrameFault, Memory, Reading, Step, Unit};
use crate::net::link::{Direction, Passed, Stage};

/// Decides on the fault of each frame, and gets reports of the faults.
pub(in super::super) trait Overseer: Send + Sync {
    /// Handles a passing frame: changes its times in place if the clock is skewed, and returns the further fault, if any.
    fn judge(&self, conn: u64, direction: Direction, number: u64, frame: &mut Frame) -> Option<FrameFault>;
}

/// A stage between two sockets that may tamper with each frame.
pub(in super::super) struct Tampering {
    conn: u64,
    direction: Direction,
    codec: Codec,
    memory: Memory,
    /// Frames so far.
    number: u64,
    overseer: Arc<dyn Overseer>,
}

impl Tampering {
    pub(in super::super) fn new(
        conn: u64,
        direction: Direction,
        host: Option<String>,
        seed: u64,
        overseer: Arc<dyn Overseer>,
    ) -> Self {
        // The faults on one connection and direction do not change those on another.
        let own = seed ^ (conn << 1 | u64::from(direction == Direction::ToClient));
        Self {
            conn,
            direction,
            codec: Codec::new(direction, host),
            memory: Memory {
                held: None,
                last_id: None,
                rng: StdRng::seed_from_u64(own),
            },
            number: 0,
            overseer,
        }
    }

    fn frame(&mut self, mut frame: Frame, passed: &mut Passed) {
        self.number += 1;
        let fault = self.overseer.judge(self.conn, self.direction, self.number, &mut frame);
        let waits = self.memory.held.take();
        let steps = match fault {
            None => vec![Step::Pass(frame)],
            Some(fault) => fault.apply(frame, &mut self.memory),
        };
        for step in steps.into_iter().chain(waits.map(Step::Pass)) {
            match step {
                Step::Pass(frame) => {
                    self.memory.last_id = Reading::of(&frame.payload).id.or(self.memory.last_id.take());
                    passed.bytes.extend(encode(&frame));
                }
                Step::Bytes(bytes) => passed.bytes.extend(bytes),
                Step::End(cut) => {
                    passed.end = Some(cut);
                    return;
                }
            }
        }
    }
}

impl Stage for Tampering {
    fn pass(&mut self, chunk: Vec<u8>) -> Passed {
        let mut passed = Passed::default();
        for unit in self.codec.push(chunk) {
            match unit {
                Unit::Bytes(bytes) => passed.bytes.extend(bytes),
                Unit::Frame(frame) => self.frame(frame, &mut passed),
            }
            if passed.end.is_some() {
                break;
            }
        }
        passed
    }
}
