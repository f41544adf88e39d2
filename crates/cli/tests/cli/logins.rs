//! Tokens and passwords: sent as the gateway asks for them, and named by where they come from when they are wrong.

use windlass_testkit::{Generation, SimGateway};

use crate::harness::{Finished, Harness, TOKEN, gateway};

const PASS_PHRASE: &str = "correct horse battery staple";

/// All that people read of a login: the call, the status, the doctor, and the same for programs.
async fn all_ways(harness: &Harness, code: i32) -> Vec<Finished> {
    let mut runs = Vec::new();
    for args in [
        &["call", "health"][..],
        &["call", "health", "--json"],
        &["status"],
        &["status", "--json"],
        &["doctor"],
        &["doctor", "--json"],
    ] {
        runs.push(harness.run(args).await.ends_with(code));
    }
    runs
}

#[track_caller]
fn each_tells(runs: &[Finished], texts: &[&str]) {
    for ran in runs {
        let told = format!("{}{}", ran.stdout, ran.stderr);
        for text in texts {
            assert!(told.contains(text), "{text:?} is not in {ran:#?}");
        }
        for secret in ["wr0ng-token", TOKEN, PASS_PHRASE] {
            assert!(!told.contains(secret), "{ran:#?}");
        }
    }
}

#[tokio::test]
async fn a_wrong_token_is_named_by_the_place_that_it_comes_from() {
    for generation in [Generation::V3, Generation::V4] {
        let sim = gateway().generation(generation).start_tcp().await.unwrap();
        let file = |settings: &str| format!("[gateways.lab]\nurl = \"{}\"\n{settings}\n", sim.url());
        let by_environment = Harness::of(&sim).with("WINDLASS_TOKEN", "wr0ng-token");
        let runs = all_ways(&by_environment, 4).await;
        each_tells(
            &runs,
            &[
                "refused the token from the variable WINDLASS_TOKEN",
                "Set the variable WINDLASS_TOKEN",
                "--ask-token",
            ],
        );

        let by_variable = Harness::new()
            .with("LAB", "wr0ng-token")
            .configured(&file("token_env = \"LAB\""));
        let runs = all_ways(&by_variable, 4).await;
        each_tells(
            &runs,
            &["the variable LAB (", "windlass.toml:3, gateways.lab.token_env"],
        );

        let by_file = Harness::new()
            .configured(&file("token_file = \"lab.token\""))
            .file("lab.token", "wr0ng-token");
        let runs = all_ways(&by_file, 4).await;
        each_tells(
            &runs,
            &[
                "lab.token (",
                "gateways.lab.token_file",
                "Write the value of gateway.auth.token",
            ],
        );
    }
}

#[tokio::test]
async fn a_missing_token_is_answered_with_how_to_give_one() {
    let sim = gateway().start_tcp().await.unwrap();
    let by_address = Harness::new().with("WINDLASS_URL", &sim.url());
    let runs = all_ways(&by_address, 4).await;
    each_tells(
        &runs,
        &[
            "none is configured",
            "set WINDLASS_TOKEN (or OPENCLAW_GATEWAY_TOKEN)",
            "gateway.auth.token",
        ],
    );
    let file = format!("[gateways.lab]\nurl = \"{}\"\n", sim.url());
    let runs = all_ways(&Harness::new().configured(&file), 4).await;
    each_tells(
        &runs,
        &["none is configured", "token_env of gateways.lab in", "windlass.toml"],
    );
}

#[tokio::test]
async fn token_and_password_are_both_sent_and_the_one_that_was_taken_is_told() {
    for generation in [Generation::V3, Generation::V4] {
        let by_password = SimGateway::builder()
            .generation(generation)
            .password(PASS_PHRASE)
            .start_tcp()
            .await
            .unwrap();
        let by_token = gateway().generation(generation).start_tcp().await.unwrap();
        for (sim, method) in [(&by_password, "password"), (&by_token, "token")] {
            let file = format!(
                "[gateways.a]\nurl = \"{}\"\ntoken_env = \"T\"\npassword_env = \"P\"\n",
                sim.url()
            );
            let harness = Harness::new().with("T", TOKEN).with("P", PASS_PHRASE).configured(&file);
            let status = harness.run(&["status", "--json"]).await.ends_with(0).json();
            assert_eq!(status["gateways"][0]["authMethod"], method, "{generation:?}: {status}");
            let doctor = harness.run(&["doctor"]).await.ends_with(0).stdout;
            assert!(doctor.contains(&format!("the gateway used: {method}")), "{doctor}");
            assert!(
                doctor.contains("the variable T") && doctor.contains("the variable P"),
                "{doctor}"
            );
        }
        let harness = Harness::new()
            .with("WINDLASS_URL", &by_password.url())
            .with("WINDLASS_PASSWORD", "wr0ng-token");
        let runs = all_ways(&harness, 4).await;
        each_tells(&runs, &["refused the password from the variable WINDLASS_PASSWORD"]);
        let harness = Harness::new()
            .with("WINDLASS_URL", &by_password.url())
            .with("WINDLASS_TOKEN", TOKEN)
            .with("WINDLASS_PASSWORD", PASS_PHRASE);
        harness.run(&["call", "health"]).await.ends_with(0);
    }
}
