//! A subscriber that panics wherever it is asked anything.

use std::sync::atomic::{AtomicUsize, Ordering};

use ::tracing::span::{Attributes, Id, Record};
use ::tracing::subscriber::Interest;
use ::tracing::{Event, Metadata, Subscriber, subscriber};

use super::*;

/// Which of its parts panic.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bad {
    Enabled,
    Event,
    NewSpan,
    Record,
    Close,
}

struct Panics {
    bad: Bad,
    asked: &'static AtomicUsize,
}

impl Panics {
    fn pass(&self, part: Bad) {
        self.asked.fetch_add(1, Ordering::Relaxed);
        assert!(self.bad != part, "the host's subscriber panics");
    }
}

impl Subscriber for Panics {
    /// Asked while the host installs it, in the host's own call: what panics there is no record of ours.
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        Interest::sometimes()
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        self.pass(Bad::Enabled);
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.pass(Bad::NewSpan);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {
        self.pass(Bad::Record);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.pass(Bad::Event);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn try_close(&self, _: Id) -> bool {
        self.pass(Bad::Close);
        true
    }
}

/// Tells something when it is dropped.
struct TellsAtItsEnd;

impl Drop for TellsAtItsEnd {
    fn drop(&mut self) {
        warn!("the end of something");
    }
}

#[test]
fn a_subscriber_that_panics_costs_its_record_only_at_each_level_and_in_each_of_its_parts() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    for bad in [Bad::Enabled, Bad::Event, Bad::NewSpan, Bad::Record, Bad::Close] {
        let before = ASKED.load(Ordering::Relaxed);
        subscriber::with_default(Panics { bad, asked: &ASKED }, || {
            let what = "said";
            trace!(what, "trace");
            debug!(%what, "debug");
            info!(?what, "info");
            warn!("warn: {what}");
            error!(what = what.len(), "error: {}", what);
            let span = debug_span!("call", outcome = field::Empty);
            record_all!(span, outcome = "ok");
        });
        assert!(ASKED.load(Ordering::Relaxed) > before);
    }
}

#[test]
fn a_record_that_panics_during_an_unwinding_does_not_abort_the_process() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let bad = Bad::Event;
    subscriber::with_default(Panics { bad, asked: &ASKED }, || {
        let unwound = catch_unwind(|| {
            let _tells = TellsAtItsEnd;
            panic!("a bug");
        });
        unwound.unwrap_err();
    });
    assert!(ASKED.load(Ordering::Relaxed) > 0);
}

#[test]
fn a_value_of_the_host_that_panics_when_it_is_made_used_or_dropped_costs_nothing_else() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("the host's value panics when it is dropped");
        }
    }
    let none: Foreign<u8> = Foreign::new(|| panic!("not to be had"));
    assert!(!none.is_there());
    assert_eq!(none.with(|value| *value), None);
    let bomb = Foreign::new(|| Bomb);
    assert_eq!(bomb.with(|_| panic!("used")), None::<()>);
    drop(bomb);
    // What a panic brings may be such a value, too.
    assert_eq!(guard(|| std::panic::panic_any(Bomb)), None::<()>);
}
