//! Callers: each makes one call after the other.

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{JoinSet, spawn_local};

use super::{Meter, Order, Quota, Until};
use crate::machine::now;

/// A call got no answer: the measurement is worth nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("a call failed: {0}")]
pub struct CallFailed(pub String);

/// Something that can be called, by many at a time.
pub trait Call: Clone + Send + 'static {
    /// One request and its answer.
    fn call(&self) -> impl Future<Output = Result<(), CallFailed>> + Send;
}

/// Callers on the present thread, which is within a `LocalSet`.
///
/// # Errors
/// The first call that failed.
pub async fn drive_here<C: Call>(client: &C, order: Order, meter: Meter) -> Result<Meter, CallFailed> {
    let meter = Rc::new(meter);
    let callers: Vec<_> = (0..order.depth)
        .map(|_| spawn_local(one_caller(client.clone(), Rc::clone(&meter))))
        .collect();
    for caller in callers {
        caller.await.map_err(|error| CallFailed(error.to_string()))??;
    }
    Rc::into_inner(meter).ok_or_else(|| CallFailed("a caller did not end".into()))
}

async fn one_caller<C: Call>(client: C, meter: Rc<Meter>) -> Result<(), CallFailed> {
    let mut begun = now();
    while meter.quota.goes_on(begun) {
        client.call().await?;
        let ended = now();
        meter.note(ended - begun);
        begun = ended;
    }
    Ok(())
}

/// Callers on the threads of the present multi-thread runtime.
///
/// # Errors
/// The first call that failed.
pub async fn drive_spread<C: Call + Sync>(client: &C, order: Order, meter: Meter) -> Result<Meter, CallFailed> {
    let mut callers = JoinSet::new();
    let share = match order.until {
        Until::Requests(requests) => Until::Requests(requests.div_ceil(order.depth as u64)),
        until @ Until::Millis(_) => until,
    };
    for _ in 0..order.depth {
        callers.spawn(one_spread_caller(client.clone(), Quota::new(share, now())));
    }
    while let Some(ended) = callers.join_next().await {
        let taken = ended.map_err(|error| CallFailed(error.to_string()))??;
        for took in taken {
            meter.note(took);
        }
    }
    Ok(meter)
}

async fn one_spread_caller<C: Call>(client: C, quota: Quota) -> Result<Vec<Duration>, CallFailed> {
    let (mut begun, mut taken) = (now(), Vec::new());
    while quota.goes_on(begun) {
        client.call().await?;
        let ended = now();
        taken.push(ended - begun);
        begun = ended;
    }
    Ok(taken)
}
