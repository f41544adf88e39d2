//! The OpenAPI document.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, OpenApi};
use utoipa::{Modify, OpenApi as _};

use crate::problem::Problem;
use crate::routes;

/// The description of the interface, without its paths: each route adds its own.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Windlass",
        description = "One supervised line to every OpenClaw gateway, as a service.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(Problem)),
    modifiers(&BearerToken),
    security(("token" = []))
)]
pub(crate) struct Description;

struct BearerToken;

impl Modify for BearerToken {
    fn modify(&self, document: &mut OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A token of the service: windlass tokens create."));
        let components = document.components.take().unwrap_or_default();
        let components = ComponentsBuilder::from(components)
            .security_scheme("token", SecurityScheme::Http(scheme.build()))
            .security_scheme(
                "agent",
                SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
                    "X-Agent-Token",
                    "The token of an agent.",
                ))),
            );
        document.components = Some(components.build());
    }
}

/// The whole document.
pub fn document() -> OpenApi {
    routes::described().1
}

/// The whole document as JSON, with the members of each object by name: utoipa keeps extensions (`x-…`) in no order, and the same code
/// has the same document.
pub fn document_json() -> Value {
    by_name(serde_json::to_value(document()).unwrap_or_default())
}

fn by_name(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            // A map of serde_json keeps another order where a feature of it is on.
            let sorted: BTreeMap<String, Value> = members
                .into_iter()
                .map(|(name, value)| (name, by_name(value)))
                .collect();
            Value::Object(sorted.into_iter().collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(by_name).collect()),
        other => other,
    }
}

pub(crate) fn description() -> OpenApi {
    Description::openapi()
}
