//! What a trace shows of a call, here and at the gateway.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Subscriber, subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use windlass::TraceParent;
use windlass::protocol::request::Health;
use windlass_testkit::{Generation, RELEASES, SimGateway};

use crate::bench::{Bench, TOKEN, chat, play};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// The first release with a place for it. Those before refuse a request with a field that they don't know.
const FIRST: &str = "2026.8.2";

type Fields = BTreeMap<&'static str, String>;

/// Keeps the spans of calls, in the order in which they close.
#[derive(Clone, Default)]
struct Spans {
    open: Arc<Mutex<HashMap<u64, Fields>>>,
    closed: Arc<Mutex<Vec<Fields>>>,
}

struct Reader<'a>(&'a mut Fields);

impl Visit for Reader<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0
            .insert(field.name(), format!("{value:?}").trim_matches('"').to_owned());
    }
}

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, _: Context<'_, S>) {
        if attributes.metadata().target() == "windlass::call" {
            let mut fields = Fields::new();
            attributes.record(&mut Reader(&mut fields));
            self.open.lock().unwrap().insert(id.into_u64(), fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        if let Some(fields) = self.open.lock().unwrap().get_mut(&id.into_u64()) {
            values.record(&mut Reader(fields));
        }
    }

    fn on_close(&self, id: Id, _: Context<'_, S>) {
        let closed = self.open.lock().unwrap().remove(&id.into_u64());
        self.closed.lock().unwrap().extend(closed);
    }
}

#[tokio::test(start_paused = true)]
async fn each_call_leaves_one_span_with_its_outcome_and_nothing_of_what_was_said() {
    play(async {
        let spans = Spans::default();
        let watched = subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
        let bench = Bench::up(Generation::V4).await;
        bench
            .gateway
            .call("chat.send", chat("message-text-c0ffee"))
            .await
            .unwrap();
        bench.gateway.call("no.such.method", ()).await.unwrap_err();
        bench.sim.script().never_answer("health");
        let dropped = bench.gateway.call("health", ());
        let late = tokio::time::timeout(Duration::from_secs(1), dropped.into_future()).await;
        assert!(late.is_err(), "{late:?}");
        bench.finish().await;
        drop(watched);
        let spans = spans.closed.lock().unwrap().clone();
        let seen: Vec<_> = spans
            .iter()
            .map(|fields| {
                (
                    fields["method"].as_str(),
                    fields["outcome"].as_str(),
                    fields.get("generation").map(String::as_str),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("chat.send", "ok", Some("1")),
                ("no.such.method", "rejected", Some("1")),
                ("health", "cancelled", None)
            ]
        );
        let names = ["duration_ms", "gateway", "generation", "method", "outcome"];
        assert_eq!(spans[0].keys().copied().collect::<Vec<_>>(), names);
        assert_eq!(spans[2]["duration_ms"], "1000.0");
        assert!(!format!("{spans:?}").contains("c0ffee"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_trace_context_goes_to_gateways_that_have_a_place_for_it_and_to_no_other() {
    play(async {
        let first = RELEASES.iter().position(|release| *release == FIRST).unwrap();
        for (index, release) in RELEASES.into_iter().enumerate() {
            let sim = SimGateway::builder().release(release).token(TOKEN).start_pipe();
            let bench = Bench::new(sim).await;
            bench.wait_up().await;
            let parent: TraceParent = PARENT.parse().unwrap();
            let answer = bench.gateway.request(Health::new()).trace(parent).await;
            assert!(answer.is_ok(), "{release}: {answer:?}");
            let frames = bench.sim.journal().frames();
            let told = frames.iter().any(|frame| frame.text.contains(PARENT));
            assert_eq!(told, index >= first, "{release}");
            bench.finish().await;
        }
    })
    .await;
}
