//! Calls ended in time, and their outcomes are true.

use std::time::Duration;

use windlass::{CallError, OutcomeUnknown};

use super::{ExecutedWork, Promise, Verdict};
use crate::cast::{CallRecord, End};
use crate::world::{CallKind, HiddenData, WireProfile};

/// A timer's grain.
const GRACE: Duration = Duration::from_millis(10);

/// How long sockets are looked into.
const SECOND_LOOK: Duration = Duration::from_millis(20);

/// Judges the calls of one site.
pub(crate) fn calls(
    verdict: &mut Verdict,
    site: &str,
    calls: &[CallRecord],
    executed: &ExecutedWork,
    wire: WireProfile,
) {
    for call in calls {
        ends(verdict, site, call);
        // A request that became another one on its way may do anything.
        if wire.hides != HiddenData::Contents {
            effects(verdict, site, call, executed, wire);
        }
    }
}

fn ends(verdict: &mut Verdict, site: &str, call: &CallRecord) {
    let what = &call.planned.what;
    // After the process was stopped an answer that came meanwhile counts, so sockets are looked into first.
    let looks = if call.stopped.is_zero() {
        Duration::ZERO
    } else {
        SECOND_LOOK
    };
    let limit = call.planned.deadline.saturating_add(call.stopped + looks + GRACE);
    verdict.holds(Promise::CallsEnd, call.took <= limit, || {
        let (took, deadline, stopped) = (call.took, call.planned.deadline, call.stopped);
        format!("{site}: {what:?} took {took:?} of {deadline:?}, {stopped:?} of it stopped")
    });
    // A call that does not wait for the line has no second attempt, not even a read.
    let waits = !call.planned.fail_fast;
    let lost = matches!(&call.end, End::Ended(Err(CallError::OutcomeUnknown(unknown))) if !is_closed(unknown));
    verdict.holds(
        Promise::CallsEnd,
        !(lost && waits && matches!(what, CallKind::Read(_))),
        || {
            format!(
                "{site}: a read has no unknown outcome, and {what:?} has one: {:?}",
                call.end
            )
        },
    );
}

fn is_closed(unknown: &OutcomeUnknown) -> bool {
    unknown.why == windlass::protocol::UnknownReason::Closed
}

fn effects(verdict: &mut Verdict, site: &str, call: &CallRecord, executed: &ExecutedWork, wire: WireProfile) {
    let what = &call.planned.what;
    let times = match what {
        CallKind::Read(_) => return,
        CallKind::Say { text, .. } => executed.runs_of_text(text),
        CallKind::Create(agent) => executed.created(agent),
        CallKind::Label(key) => executed.labelled(key),
    };
    let excused = match what {
        CallKind::Say { .. } => executed.indistinct,
        // Nothing keeps a gateway from executing a frame twice that comes twice.
        CallKind::Label(_) => wire.repeats,
        _ => false,
    };
    verdict.holds(Promise::NothingTwice, times <= 1 || excused, || {
        format!("{site}: {what:?} was done {times} times")
    });
    let told = match &call.end {
        End::Ended(Ok(_)) => times >= 1 || wire.mixes,
        // The second of two equal requests is refused, and its answer may be the one that counts.
        End::Ended(Err(CallError::Rejected(_))) => times == 0 || wire.repeats || wire.mixes,
        End::Ended(Err(CallError::NotSent(_))) => times == 0,
        _ => true,
    };
    verdict.holds(Promise::CallsEnd, told, || {
        format!(
            "{site}: {what:?} was done {times} times, and its caller told {:?}",
            call.end
        )
    });
}
