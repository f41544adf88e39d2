//! The page that new users follow, command by command.

use std::path::Path;
use tokio::process::Command;
use windlass_testkit::{Generation, SideEffect};

use crate::harness::{Finished, Harness, TOKEN, finished, gateway};

const PAGE: &str = include_str!("../../../../docs/getting-started.md");

/// The blocks that are marked as shell to be run, in their order.
fn blocks() -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in PAGE.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), line) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

#[tokio::test]
async fn the_page_brings_a_lead_and_two_workers_to_life_as_it_is_written() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).start_tcp().await.unwrap();
        let harness = Harness::new();
        let program = Path::new(env!("CARGO_BIN_EXE_windlass")).parent().unwrap().to_owned();
        let script = format!("set -eux\n{}", blocks().concat());
        assert!(
            script.matches("windlass ").count() >= 15,
            "the blocks were not found: {script}"
        );
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script])
            .env_clear()
            .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
            .env("HOME", harness.path(""))
            .env("OPENCLAW_GATEWAY_URL", sim.url())
            .env("OPENCLAW_GATEWAY_TOKEN", TOKEN)
            .current_dir(harness.path(""));
        let Finished {
            code,
            stdout: out,
            stderr: errors,
        } = finished(&mut shell).await;
        assert_eq!(code, 0, "{generation:?}: {out}\n{errors}");
        for text in [
            "supported (2026.",
            "3 agents: 3 would change; nothing was done",
            "3 agents: 3 changed, 0 failed",
            "3 agents: 0 changed, 0 failed",
            "3 agents: 0 drifted",
        ] {
            assert!(out.contains(text), "{generation:?}: {text} is not in {out}\n{errors}");
        }
        let count = |wanted: fn(&SideEffect) -> bool| sim.journal().count(wanted);
        assert_eq!(count(|effect| matches!(effect, SideEffect::AgentCreated { .. })), 3);
        assert_eq!(count(|effect| matches!(effect, SideEffect::AgentDeleted { .. })), 3);
        assert!(
            !out.contains(TOKEN) && !errors.contains(TOKEN),
            "the page shows a token"
        );
    }
}
