//! The routes, each registered together with its description.

mod agent_calls;
mod agents;
mod boards;
mod calls;
mod events;
mod gateways;
mod health;
mod messages;
mod operations;
mod sessions;
mod tokens;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::App;
use crate::openapi;

/// All routes, and the document that describes them.
pub(crate) fn described() -> (Router<App>, OpenApi) {
    let (router, mut document) = OpenApiRouter::with_openapi(openapi::description())
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::numbers))
        .merge(records())
        .merge(of_agents())
        .merge(of_sessions())
        .merge(streams())
        .routes(routes!(calls::call))
        .split_for_parts();
    name_operations(&mut document);
    (router, document)
}

/// Gives each operation a name of its own: its noun and its function.
fn name_operations(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            let noun = match operation.tags.as_deref() {
                Some([noun]) if !noun.starts_with("agent-") => noun.as_str(),
                _ => "agent",
            };
            if let Some(name) = &operation.operation_id {
                operation.operation_id = Some(format!("{noun}_{name}"));
            }
        }
    }
}

/// Gateways, boards, agents, operations on them, and tokens.
fn records() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(gateways::list, gateways::create))
        .routes(routes!(gateways::get, gateways::update, gateways::delete))
        .routes(routes!(gateways::forget))
        .routes(routes!(gateways::reconnect))
        .routes(routes!(boards::list, boards::create))
        .routes(routes!(boards::get, boards::update, boards::delete))
        .routes(routes!(agents::list, agents::create))
        .routes(routes!(agents::get, agents::update))
        .routes(routes!(agents::plan))
        .routes(routes!(agents::runs))
        .routes(routes!(agents::activities))
        .routes(routes!(operations::provision))
        .routes(routes!(operations::delete))
        .routes(routes!(operations::sync))
        .routes(routes!(operations::list))
        .routes(routes!(operations::get))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
}

/// The calls of agents.
fn of_agents() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(agent_calls::health))
        .routes(routes!(agent_calls::heartbeat))
        .routes(routes!(agent_calls::agents, agent_calls::create))
        .routes(routes!(agent_calls::delete))
        .routes(routes!(agent_calls::nudge))
        .routes(routes!(agent_calls::soul, agent_calls::set_soul))
        .routes(routes!(agent_calls::ask_user))
        .routes(routes!(agent_calls::message_lead))
        .routes(routes!(agent_calls::broadcast))
        .routes(routes!(agent_calls::memory, agent_calls::remember))
}

/// Sessions, and messages to them.
fn of_sessions() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sessions::list, sessions::ensure))
        .routes(routes!(sessions::roster))
        .routes(routes!(sessions::get, sessions::patch, sessions::delete))
        .routes(routes!(sessions::history))
        .routes(routes!(sessions::reset))
        .routes(routes!(sessions::abort))
        .routes(routes!(messages::send))
        .routes(routes!(messages::get))
        .routes(routes!(messages::events))
}

/// The stream of events, and its consumers.
fn streams() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(events::events))
        .routes(routes!(events::list))
        .routes(routes!(events::get, events::acknowledge, events::delete))
}
