//! Records of gateways: made, changed, deleted, forgotten.

use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;
use windlass::agents::Job;
use windlass::{Endpoint, Fingerprint};
use windlass_store::{
    AgentFilter, AgentRole, Gateway, GatewayUid, Organization, OrganizationId, Owner, SecretSource, Store, Timestamp,
    amend,
};

use crate::access::{Caller, Scope};
use crate::audit::{self, AuditChange, Records};
use crate::error::{OperationError, OperationErrorCode};
use crate::gateways::{self, GatewayView};
use crate::service::Service;

/// A gateway to record.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayInput {
    /// Its id; a new one by default. Give it to keep the ids of another system.
    #[schema(value_type = Option<uuid::Uuid>)]
    pub id: Option<GatewayUid>,
    /// Its name, unique, ignoring case.
    #[schema(min_length = 1, max_length = 120)]
    pub name: String,
    /// Its address: `ws://HOST:PORT` or `wss://HOST`.
    pub url: String,
    /// The place of its token: `env:NAME` or `file:/PATH`; never the token.
    pub token: Option<String>,
    /// The folder on the gateway's host for the workspaces of agents.
    pub workspace_root: Option<String>,
    /// The address of the service that its agents belong to.
    pub base_url: Option<String>,
    /// Accept any certificate.
    #[serde(default)]
    pub allow_insecure_tls: bool,
    /// The SHA-256 fingerprint of the certificate that is expected.
    pub tls_fingerprint: Option<String>,
    /// Connect as a control UI, without a device.
    #[serde(default)]
    pub control_ui: bool,
}

/// Changes of a gateway's record. A member that is missing stays as it is; `null` removes the value.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GatewayPatch {
    /// The new name.
    #[schema(min_length = 1, max_length = 120)]
    pub name: Option<String>,
    /// The new address. The line is opened anew at once.
    pub url: Option<String>,
    /// The place of the token.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub token: Option<Option<String>>,
    /// The folder for workspaces.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub workspace_root: Option<Option<String>>,
    /// The address of the service that its agents belong to.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub base_url: Option<Option<String>>,
    /// Accept any certificate.
    pub allow_insecure_tls: Option<bool>,
    /// The fingerprint of the certificate that is expected.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub tls_fingerprint: Option<Option<String>>,
    /// Connect as a control UI, without a device.
    pub control_ui: Option<bool>,
}

/// A member that is there, even as `null`.
#[expect(
    clippy::option_option,
    reason = "missing, null and a value are three things in a change"
)]
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(value).map(Some)
}

/// The organization that all records belong to; made at the first use.
///
/// # Errors
/// The store's.
pub async fn organization(store: &dyn Store, random: [u8; 16]) -> Result<Organization, OperationError> {
    if let Some(known) = store.organizations().await?.into_iter().next() {
        return Ok(known);
    }
    let organization = Organization {
        id: OrganizationId::from_bytes(random),
        name: "default".into(),
        owner: Owner::default(),
    };
    store.put_organization(&organization).await?;
    Ok(organization)
}

/// Records a gateway and opens its line.
///
/// # Errors
/// Missing scope, a member that is not acceptable, or a name that is taken.
pub async fn create(
    service: &Service,
    caller: &Caller,
    input: GatewayInput,
    random: [[u8; 16]; 2],
) -> Result<GatewayView, OperationError> {
    let gateway = insert(&service.records(caller), input, random).await?;
    opened(service, caller, &gateway).await
}

/// Records a gateway, in the store alone.
///
/// # Errors
/// Missing scope, a member that is not acceptable, or a name that is taken.
pub async fn insert(
    records: &Records<'_>,
    input: GatewayInput,
    random: [[u8; 16]; 2],
) -> Result<Gateway, OperationError> {
    records.require(Scope::Admin)?;
    let organization = organization(records.store, random[0]).await?;
    let gateway = record_of(input, organization.id, GatewayUid::from_bytes(random[1]), records.now)?;
    records.store.insert_gateway(&gateway).await?;
    let message = format!("gateway {:?} at {}", gateway.name, gateways::shown_url(&gateway.url));
    records.audit(AuditChange::new("gateway.created", &message)).await?;
    Ok(gateway)
}

/// Checks an input before there is a store to write it to.
///
/// # Errors
/// [`OperationErrorCode::Invalid`]; the error names the member.
pub fn check_input(input: &GatewayInput) -> Result<(), OperationError> {
    let (organization, id) = (OrganizationId::from_bytes([0; 16]), GatewayUid::from_bytes([0; 16]));
    record_of(input.clone(), organization, id, Timestamp::from_millis(0)).map(drop)
}

/// The record of an input, checked.
///
/// # Errors
/// [`OperationErrorCode::Invalid`]; the error names the member.
pub fn record_of(
    input: GatewayInput,
    organization_id: OrganizationId,
    id: GatewayUid,
    now: Timestamp,
) -> Result<Gateway, OperationError> {
    let gateway = Gateway {
        id: input.id.unwrap_or(id),
        organization_id,
        name: input.name.trim().to_owned(),
        url: input.url.trim().to_owned(),
        token: input.token.as_deref().map(source).transpose()?,
        workspace_root: input.workspace_root.map(|root| root.trim().to_owned()),
        base_url: trimmed(input.base_url),
        allow_insecure_tls: input.allow_insecure_tls,
        tls_fingerprint: trimmed(input.tls_fingerprint),
        disable_device_pairing: input.control_ui,
        created_at: now,
    };
    check(&gateway)?;
    Ok(gateway)
}

/// Changes a record, and opens its line anew where the record describes another way to the gateway.
///
/// # Errors
/// Missing scope, no such gateway, a member that is not acceptable, or a name that is taken.
pub async fn update(
    service: &Service,
    caller: &Caller,
    gateway: &str,
    patch: GatewayPatch,
) -> Result<GatewayView, OperationError> {
    caller.require(Scope::Admin)?;
    let before = recorded(service, gateway).await?;
    let after = change(&service.records(caller), before, patch).await?;
    opened(service, caller, &after).await
}

/// Changes a record, in the store alone. The main agent is renamed with its gateway.
///
/// # Errors
/// Missing scope, a member that is not acceptable, or a name that is taken.
pub async fn change(records: &Records<'_>, before: Gateway, patch: GatewayPatch) -> Result<Gateway, OperationError> {
    records.require(Scope::Admin)?;
    let after = patched(before.clone(), patch)?;
    if before == after {
        return Ok(after);
    }
    records.store.update_gateway(&after).await?;
    let message = format!("gateway {:?}: {}", before.name, changes(&before, &after));
    records.audit(AuditChange::new("gateway.updated", &message)).await?;
    if before.name != after.name {
        rename_main_agent(records, &before, &after).await?;
    }
    Ok(after)
}

/// Deletes the record of a gateway without boards and agents, and closes its line.
///
/// # Errors
/// Missing scope, no such gateway, or [`OperationErrorCode::Conflict`] while boards or agents are on it.
pub async fn delete(service: &Service, caller: &Caller, gateway: &str) -> Result<(), OperationError> {
    caller.require(Scope::Admin)?;
    let record = recorded(service, gateway).await?;
    remove(&service.records(caller), &record).await?;
    without_line(service, &record).await;
    Ok(())
}

/// Deletes the record of a gateway without boards and agents, in the store alone.
///
/// # Errors
/// Missing scope, no such gateway, or [`OperationErrorCode::Conflict`] while boards or agents are on it.
pub async fn remove(records: &Records<'_>, gateway: &Gateway) -> Result<(), OperationError> {
    records.require(Scope::Admin)?;
    if !records.store.delete_gateway(gateway.id).await? {
        return Err(OperationError::not_found("gateway", &gateway.name));
    }
    let message = format!("gateway {:?}", gateway.name);
    records.audit(AuditChange::new("gateway.deleted", &message)).await?;
    Ok(())
}

/// Takes a gateway that is gone for good out of the records, with its boards and agents, and asks it nothing.
///
/// # Errors
/// Missing scope, no such gateway, or an agent that could not be forgotten.
pub async fn forget(service: &Service, caller: &Caller, gateway: &str) -> Result<(), OperationError> {
    caller.require(Scope::Admin)?;
    let record = recorded(service, gateway).await?;
    let ends = || {
        OperationError::new(
            OperationErrorCode::Unavailable,
            "The service ends",
            "Send the request again later.",
        )
    };
    let job = Job::ForgetGateway { gateway: record.id };
    let operation = service.agents().work(job).await.map_err(|_| ends())?;
    let report = operation.report().await.map_err(|_| ends())?;
    if let Some(failed) = report.failed().next() {
        let why = failed.failure.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(OperationError::new(
            OperationErrorCode::Conflict,
            format!("Agent {:?} was not forgotten: {why}", failed.name),
            "Send the request again.",
        ));
    }
    if let Some(failed) = report.gateways.first() {
        return Err(OperationError::new(
            OperationErrorCode::Conflict,
            failed.summary.clone(),
            failed.next_step.clone(),
        ));
    }
    without_line(service, &record).await;
    forgotten(&service.records(caller), &record).await
}

/// Notes that a gateway was forgotten, for a front that has done the job itself.
///
/// # Errors
/// The store's.
pub async fn forgotten(records: &Records<'_>, gateway: &Gateway) -> Result<(), OperationError> {
    let message = format!("gateway {:?}", gateway.name);
    records.audit(AuditChange::new("gateway.forgotten", &message)).await?;
    Ok(())
}

async fn without_line(service: &Service, gateway: &Gateway) {
    service.directory().remove(gateway.id);
    service.close_line(gateway.id).await;
}

async fn opened(service: &Service, caller: &Caller, gateway: &Gateway) -> Result<GatewayView, OperationError> {
    service.directory().put(gateway);
    service.open_line(gateway).await;
    gateways::get(service, caller, &gateway.id.to_string())
}

/// The record that a text names.
pub(crate) async fn recorded(service: &Service, gateway: &str) -> Result<Gateway, OperationError> {
    let id = service.directory().recorded(gateway);
    let found = match id {
        Some(id) => service.store().gateway(id).await?,
        None => None,
    };
    found.ok_or_else(|| OperationError::not_found("gateway", gateway))
}

fn patched(mut gateway: Gateway, patch: GatewayPatch) -> Result<Gateway, OperationError> {
    if let Some(name) = patch.name {
        name.trim().clone_into(&mut gateway.name);
    }
    if let Some(url) = patch.url {
        url.trim().clone_into(&mut gateway.url);
    }
    if let Some(token) = patch.token {
        gateway.token = token.as_deref().map(source).transpose()?;
    }
    if let Some(root) = patch.workspace_root {
        gateway.workspace_root = root.map(|root| root.trim().to_owned());
    }
    if let Some(base_url) = patch.base_url {
        gateway.base_url = trimmed(base_url);
    }
    if let Some(fingerprint) = patch.tls_fingerprint {
        gateway.tls_fingerprint = trimmed(fingerprint);
    }
    gateway.allow_insecure_tls = patch.allow_insecure_tls.unwrap_or(gateway.allow_insecure_tls);
    gateway.disable_device_pairing = patch.control_ui.unwrap_or(gateway.disable_device_pairing);
    check(&gateway)?;
    Ok(gateway)
}

/// Checks what the store does not: the store takes a gateway whose address is not known yet.
fn check(gateway: &Gateway) -> Result<(), OperationError> {
    gateway.check()?;
    if gateway.workspace_root.as_deref() == Some("") {
        return Err(OperationError::invalid("workspace_root", "is empty"));
    }
    let endpoint = Endpoint::parse(&gateway.url);
    endpoint.map_err(|error| OperationError::invalid("url", format!("is not acceptable: {error}")))?;
    if let Some(fingerprint) = &gateway.tls_fingerprint {
        let read: Result<Fingerprint, _> = fingerprint.parse();
        read.map_err(|error| OperationError::invalid("tls_fingerprint", format!("is not acceptable: {error}")))?;
    }
    let about_tls = [
        ("tls_fingerprint", gateway.tls_fingerprint.is_some()),
        ("allow_insecure_tls", gateway.allow_insecure_tls),
    ];
    if about_tls.iter().all(|(_, given)| *given) {
        return Err(OperationError::invalid(
            "allow_insecure_tls",
            "contradicts tls_fingerprint, which names the one certificate to accept",
        ));
    }
    match about_tls.iter().find(|(_, given)| *given) {
        Some((field, _)) if gateway.url.starts_with("ws://") => Err(OperationError::invalid(
            *field,
            "is given, but the address begins with ws://, which has no certificate",
        )),
        _ => Ok(()),
    }
}

/// The place of a token. The text is not repeated: it may be the token itself.
fn source(text: &str) -> Result<SecretSource, OperationError> {
    let read = text.trim().parse();
    read.map_err(|_| OperationError::invalid("token", "is not of the form env:NAME, file:/PATH or host:NAME"))
}

fn trimmed(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

fn changes(before: &Gateway, after: &Gateway) -> String {
    audit::changed_members(&[
        ("name", before.name != after.name),
        ("url", before.url != after.url),
        ("token", before.token != after.token),
        ("workspace_root", before.workspace_root != after.workspace_root),
        ("base_url", before.base_url != after.base_url),
        (
            "allow_insecure_tls",
            before.allow_insecure_tls != after.allow_insecure_tls,
        ),
        ("tls_fingerprint", before.tls_fingerprint != after.tls_fingerprint),
        (
            "control_ui",
            before.disable_device_pairing != after.disable_device_pairing,
        ),
    ])
}

/// The name of a gateway's own agent, unless it was given another one.
pub fn main_agent_name(gateway: &str) -> String {
    format!("{gateway} Gateway Agent")
}

/// The gateway's own agent is called after its gateway, unless it was given another name. It keeps its name where the new one is
/// taken: the gateway is renamed already.
async fn rename_main_agent(records: &Records<'_>, before: &Gateway, after: &Gateway) -> Result<(), OperationError> {
    let filter = AgentFilter {
        gateway: Some(before.id),
        role: Some(AgentRole::Main),
        ..AgentFilter::default()
    };
    let (old, new) = (main_agent_name(&before.name), main_agent_name(&after.name));
    for agent in records.store.agents(&filter).await? {
        if agent.name != old {
            continue;
        }
        match amend(records.store, agent.id, |agent| agent.name.clone_from(&new)).await {
            Ok(_) => {
                let change = AuditChange {
                    agent: Some(agent.id),
                    ..AuditChange::new("agent.updated", "name, with its gateway")
                };
                records.audit(change).await?;
            }
            Err(error) => tracing::warn!(agent = %agent.id, "the main agent keeps its name: {error}"),
        }
    }
    Ok(())
}
