//! Spans by way of tracing-subscriber's registry.

use tracing::Subscriber;
use tracing::span::{Attributes, Id, Record};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Fields;

/// Takes every field of every span, as an exporter does before it sends them.
pub(super) struct Taken;

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Taken {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let fields = context
            .span(&id)
            .and_then(|span| span.extensions_mut().remove::<Fields>());
        fields.unwrap_or_default().export();
    }
}
