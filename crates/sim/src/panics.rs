//! Panics that were not injected, by thread.

use std::cell::RefCell;
use std::sync::Once;

use windlass_testkit::STREAM_PANIC;

/// Panics kept of one run; a run that panics for ever is broken enough by then.
const KEPT: usize = 5;

thread_local! {
    static SEEN: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Has all panics of the process written down instead of printed.
pub(crate) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let told = info.to_string();
            if !told.contains(STREAM_PANIC) {
                SEEN.with_borrow_mut(|seen| seen.truncate(KEPT - 1));
                SEEN.with_borrow_mut(|seen| seen.push(told.replace('\n', " ")));
            }
        }));
    });
}

/// Those of this thread since the last look.
pub(crate) fn take() -> Vec<String> {
    SEEN.take()
}
