//! Any order, doubling and loss of a run's events: one end, and a text without doubles or holes.

use proptest::prelude::*;
use serde_json::{Value, json};
use windlass_protocol::connection::Continuity;
use windlass_protocol::run::{Action, RunEnd, RunProgress};

use super::bench::{Bench, KEY, SESSION, TEXT, assistant, failed, message, user, with};

/// What happens to one event on its way.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Comes,
    ComesTwice,
    /// Comes after the next one.
    IsLate,
    /// Is lost, and the line says so.
    IsLost,
    /// Is lost in a cut.
    IsCut,
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        6 => Just(Fate::Comes),
        2 => Just(Fate::ComesTwice),
        1 => Just(Fate::IsLate),
        1 => Just(Fate::IsLost),
        1 => Just(Fate::IsCut),
    ];
    proptest::collection::vec(fate, 40)
}

/// What the deltas hold.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// The text so far, as all measured releases send it.
    Whole,
    /// Also the increment (generation 4).
    Both,
    /// The increment only, which the schema of generation 4 allows.
    Pieces,
}

/// The events of one run that says `pieces`.
fn events(pieces: &[String], form: Form, fails: bool) -> Vec<Value> {
    let base = |seq: usize| json!({"kind": "chat", "runId": KEY, "sessionKey": SESSION, "seq": seq});
    let mut events = vec![
        json!({"kind": "agent", "runId": KEY, "sessionKey": SESSION, "stream": "lifecycle", "data": {"phase": "start"}}),
    ];
    let mut so_far = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        so_far.push_str(piece);
        let mut event = with(base(at + 2), json!({"state": "delta"}));
        if form != Form::Pieces {
            event = with(event, message(&so_far));
        }
        if form != Form::Whole {
            event["deltaText"] = json!(piece);
        }
        events.push(event);
    }
    let end = if fails {
        json!({"state": "error", "errorMessage": "500"})
    } else {
        with(message(&so_far), json!({"state": "final"}))
    };
    events.push(with(base(pieces.len() + 2), end));
    events
}

fn deliver(bench: &mut Bench, event: &Value) {
    let mut event = event.clone();
    let kind = event.as_object_mut().unwrap().remove("kind").unwrap();
    if kind == "chat" {
        bench.chat_event(event);
    } else {
        bench.agent(event);
    }
}

/// The gateway goes on and answers whatever is asked.
fn answer_all(bench: &mut Bench, rows: &[Value]) {
    for _ in 0..200 {
        if !bench.ends.is_empty() {
            return;
        }
        match bench.next_action() {
            Some(Action::Send) => bench.sent("ok"),
            Some(Action::AskHistory { .. }) => bench.history(rows),
            Some(Action::AskWait { run_id, .. }) => {
                let reply = json!({"runId": run_id, "status": "ok"});
                bench
                    .tracker
                    .on_wait(&serde_json::from_value(reply).unwrap(), bench.now);
                bench.drain();
            }
            None => return,
        }
    }
}

proptest! {
    #[test]
    fn a_run_whose_events_are_mixed_doubled_and_lost_has_one_end_and_its_text(
        pieces in proptest::collection::vec("[ -~é🦞日]{1,6}", 1..20),
        form in prop_oneof![Just(Form::Whole), Just(Form::Both), Just(Form::Pieces)],
        fails in any::<bool>(),
        fates in fates(),
        protocol in 3_u32..=4,
    ) {
        let text = pieces.concat();
        let mut bench = Bench::started(protocol);
        let mut late: Option<Value> = None;
        for (event, fate) in events(&pieces, form, fails).iter().zip(fates.iter()) {
            match fate {
                Fate::Comes => deliver(&mut bench, event),
                Fate::ComesTwice => {
                    deliver(&mut bench, event);
                    deliver(&mut bench, event);
                }
                // Increments alone can't be put in order again; a line keeps the order of what it carries.
                Fate::IsLate if form != Form::Pieces => {
                    late = Some(event.clone());
                    continue;
                }
                Fate::IsLate | Fate::IsLost => {
                    bench.tracker.on_gap(bench.now);
                    bench.drain();
                }
                Fate::IsCut => bench.cut(Continuity::Same),
            }
            if let Some(event) = late.take() {
                deliver(&mut bench, &event);
            }
        }
        let end = if fails { failed("500") } else { assistant(&text) };
        answer_all(&mut bench, &[user(TEXT, (protocol == 4).then_some(KEY)), end]);
        prop_assert_eq!(bench.ends.len(), 1);
        if fails {
            prop_assert!(matches!(bench.end(), RunEnd::Failed(_)), "{:?}", bench.ends);
        } else {
            // A row ends without the blank that a final may end in.
            prop_assert_eq!(bench.answer().text.trim_end(), text.trim_end());
        }
        let replaced = bench.progress.iter().any(|told| matches!(told, RunProgress::Replaced(_)));
        prop_assert!(!replaced || form == Form::Pieces || text.trim_end() != text, "{:?}", bench.progress);
    }
}
