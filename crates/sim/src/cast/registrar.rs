//! Adds, changes and removes one more gateway, several times at once, and drops some of the futures before their end.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::spawn_local;
use windlass::{GatewaySpec, Windlass};

use crate::oracle::{Promise, Verdict};
use crate::trace::note;
use crate::world::{RegistryPlan, RegistryRequest};

/// The deadline of a call that may be in flight when the line is removed.
const CALL: Duration = Duration::from_secs(3);

/// Makes all operations, each at its time. Their results are not checked here: [`is_whole`] checks the state at the end.
pub(crate) async fn register_all(windlass: Windlass, spec: GatewaySpec, all: Vec<RegistryPlan>) {
    let all = all
        .into_iter()
        .map(|one| spawn_local(register(windlass.clone(), spec.clone(), one)));
    join_all(all).await;
}

async fn register(windlass: Windlass, spec: GatewaySpec, one: RegistryPlan) {
    tokio::time::sleep(one.at).await;
    let wished = async {
        match one.wish {
            RegistryRequest::Add => {
                let gateway = windlass.add(spec).await?;
                spawn_local(async move { gateway.call("health", ()).timeout(CALL).await });
                Ok(())
            }
            RegistryRequest::Update => windlass.update(spec).await,
            RegistryRequest::Remove(drain) => windlass.remove(&spec.id.clone(), drain).await,
        }
    };
    let ended = match one.patience {
        Some(patience) => tokio::time::timeout(patience, wished).await.ok(),
        None => Some(wished.await),
    };
    note(|| format!("one more gateway: {:?}: {ended:?}", one.wish));
}

/// The gateway is there and works, or it can be added and works then.
pub(crate) async fn is_whole(windlass: &Windlass, spec: &GatewaySpec, patience: Duration, verdict: &mut Verdict) {
    let mut whole = |kept: bool, how: &str| {
        verdict.holds(Promise::Registry, kept, || format!("one more gateway {how}"));
    };
    let id = &spec.id;
    if let Some(gateway) = windlass.gateway(id) {
        let answer = gateway.call("health", ()).timeout(patience).await;
        whole(answer.is_ok(), &format!("is there and does not work: {answer:?}"));
        let removed = windlass.remove(id, Duration::ZERO).await;
        whole(removed.is_ok(), &format!("is there and can't be removed: {removed:?}"));
    }
    whole(windlass.gateway(id).is_none(), "is there after it was removed");
    match windlass.add(spec.clone()).await {
        Ok(gateway) => {
            let answer = gateway.call("health", ()).timeout(patience).await;
            whole(answer.is_ok(), &format!("was added and does not work: {answer:?}"));
            let removed = windlass.remove(id, Duration::ZERO).await;
            whole(removed.is_ok(), &format!("was added and can't be removed: {removed:?}"));
        }
        Err(error) => whole(false, &format!("is not there and can't be added: {error}")),
    }
}
