//! Ctrl-C.

use crate::harness::{Harness, gateway};

#[tokio::test]
async fn an_interrupt_ends_the_program_with_130_and_closes_the_line() {
    let sim = gateway().start_tcp().await.unwrap();
    let mut running = Harness::of(&sim).start(&["watch"]);
    let first = running.text().await;
    assert!(first.contains("connected"), "{first}");
    running.interrupt();
    let ran = running.end().await.ends_with(130);
    assert!(
        ran.stderr.starts_with("connecting to ") && ran.stderr.lines().count() == 1,
        "{}",
        ran.stderr
    );
    sim.wait_for(|journal| journal.open_connections() == 0).await.unwrap();
}

#[tokio::test]
async fn an_interrupt_ends_a_demo_too() {
    let mut running = Harness::new().start(&["demo", "--json"]);
    running.line().await;
    running.interrupt();
    running.end().await.ends_with(130);
}
