//! The jobs of a service, in memory.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;
use windlass_store::Timestamp;

/// Jobs that are remembered, the latest ones; older ones that have ended are forgotten.
const REMEMBERED: usize = 200;

/// A job.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct JobView {
    /// Its id.
    pub id: Uuid,
    /// `provision`, `delete`, `forget` or `sync`.
    pub kind: String,
    /// `running`, `done` (every agent is as it should be) or `failed`.
    pub state: String,
    /// The name of the caller.
    pub actor: String,
    /// The time of its start.
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// The time of its end.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// The progress, oldest first; of a long job the latest part.
    #[schema(value_type = Vec<Object>)]
    pub progress: VecDeque<Value>,
    /// The report, when it has ended.
    #[schema(value_type = Option<Object>)]
    pub report: Option<Value>,
    /// Why there is no report.
    pub error: Option<String>,
}

/// The jobs of a service.
#[derive(Default)]
pub(crate) struct Jobs(Mutex<VecDeque<Arc<Mutex<JobView>>>>);

impl Jobs {
    pub(crate) fn add(&self, job: JobView) -> Arc<Mutex<JobView>> {
        let job = Arc::new(Mutex::new(job));
        let mut jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |job: &Arc<Mutex<JobView>>| view(job).ended_at.is_some();
        if jobs.len() >= REMEMBERED
            && let Some(oldest) = jobs.iter().position(is_over)
        {
            jobs.remove(oldest);
        }
        jobs.push_back(Arc::clone(&job));
        job
    }

    pub(crate) fn all(&self) -> Vec<JobView> {
        let jobs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.iter().rev().map(view).collect()
    }
}

/// The view of a job now.
pub(crate) fn view(job: &Arc<Mutex<JobView>>) -> JobView {
    job.lock().unwrap_or_else(PoisonError::into_inner).clone()
}
