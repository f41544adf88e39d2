//! Old records go, young ones stay.

use std::time::Duration;

use windlass_store::{Activities as _, ActivityFilter, NewActivity, Runs as _};

use super::bench::{Bench, play};
use crate::control_plane::FakeRelease;

const DAY: Duration = Duration::from_hours(24);

#[tokio::test(start_paused = true)]
async fn runs_are_kept_for_a_month_and_activities_for_a_year() {
    play(async {
        let bench = Bench::new(FakeRelease::Current).await;
        let (agent, life) = (bench.worker().await, bench.supervise());
        let activity = |message: &str| NewActivity {
            actor: None,
            source: None,
            kind: "test".into(),
            message: message.into(),
            agent_id: None,
            board_id: None,
            at: bench.now(),
        };
        bench.store.record(&activity("old")).await.unwrap();
        life.provision(&[agent]).await;
        let runs = async || bench.store.runs(agent, 100).await.unwrap().len();
        let begun = runs().await;
        assert!(begun > 0);
        tokio::time::sleep(29 * DAY).await;
        assert!(runs().await >= begun, "none is gone yet");
        tokio::time::sleep(2 * DAY).await;
        assert_eq!(runs().await, 0);
        bench.store.record(&activity("young")).await.unwrap();
        let messages = async || {
            let filter = ActivityFilter::default();
            let all = bench.store.activities(&filter, Some(0), 100).await.unwrap();
            let told = all.into_iter().filter(|activity| activity.kind == "test");
            told.map(|activity| activity.message).collect::<Vec<_>>()
        };
        assert_eq!(messages().await, ["old", "young"]);
        tokio::time::sleep(340 * DAY).await;
        assert_eq!(messages().await, ["young"]);
        life.kill().await;
    })
    .await;
}
