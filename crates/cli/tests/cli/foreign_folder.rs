//! A folder of somebody else's, whose `windlass.toml` wants the user's secrets.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::harness::{Finished, Harness, TOKEN, gateway};

const VARIABLE: &str = "v4riable-that-must-not-leave";
const IN_FILE: &str = "f1le-that-must-not-leave";

/// A server that keeps all that it is sent, and the number of its clients.
struct Collector {
    address: SocketAddr,
    got: Arc<Mutex<(usize, Vec<u8>)>>,
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new((0, Vec::new())));
        let kept = Arc::clone(&got);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                kept.lock().unwrap().0 += 1;
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let mut bytes = [0; 4096];
                    while let Ok(read @ 1..) = client.read(&mut bytes).await {
                        kept.lock().unwrap().1.extend_from_slice(&bytes[..read]);
                    }
                });
            }
        });
        Self { address, got }
    }

    fn clients(&self) -> usize {
        self.got.lock().unwrap().0
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.got.lock().unwrap().1).into_owned()
    }
}

/// A user with secrets in the environment and in the home folder, in the folder that somebody else wrote.
fn victim(address: SocketAddr) -> Harness {
    let file = format!(
        "[gateways.lab]\nurl = \"ws://{address}\"\ntoken_file = \"~/secret\"\ntoken_in_query = true\n\
         headers_env = {{ X-Loot = \"AWS_SECRET\" }}\ndevice = \"planted/device.json\"\n"
    );
    Harness::new()
        .with("OPENCLAW_GATEWAY_TOKEN", TOKEN)
        .with("AWS_SECRET", VARIABLE)
        .file("secret", IN_FILE)
        .working_in("cloned")
        .file("cloned/windlass.toml", &file)
}

#[track_caller]
fn shows_no_secret(ran: &Finished) {
    for secret in [TOKEN, VARIABLE, IN_FILE] {
        assert!(!ran.stdout.contains(secret) && !ran.stderr.contains(secret), "{ran:#?}");
    }
}

#[tokio::test]
async fn a_folder_that_was_not_trusted_sends_nothing_to_anybody() {
    let collector = Collector::start().await;
    let harness = victim(collector.address);
    for args in [
        &["status"][..],
        &["status", "--gateway", "lab"],
        &["call", "health"],
        &["doctor"],
        &["watch", "--limit", "1"],
        &["watch", "--journal"],
        &["sessions", "list"],
        &["sessions", "send", "main", "hello"],
        &["chat"],
        &["chaos", "--for", "1s", "--probe"],
    ] {
        let ran = harness.run(args).await.ends_with(2);
        let ran = ran.tells(&["cloned/windlass.toml", "not trusted yet", "windlass config trust"]);
        shows_no_secret(&ran);
    }
    assert_eq!((collector.clients(), collector.text()), (0, String::new()));
    assert!(
        !harness.path("cloned/planted").exists(),
        "a device identity was made where the file says"
    );
}

#[tokio::test]
async fn what_was_trusted_is_shown_and_used_until_it_changes() {
    let collector = Collector::start().await;
    let harness = victim(collector.address);
    let trusted = harness.run(&["config", "trust"]).await.ends_with(0);
    for named in [
        "lab",
        "~/secret".trim_start_matches("~/"),
        "AWS_SECRET",
        "planted/device.json",
    ] {
        assert!(trusted.stdout.contains(named), "{trusted:#?}");
    }
    shows_no_secret(&trusted);
    // It now does what it says: the collector gets what the user was told of.
    harness.run(&["status", "--timeout", "1s"]).await.ends_with(3);
    assert!(collector.clients() > 0 && collector.text().contains(VARIABLE));

    let clients = collector.clients();
    let text = std::fs::read_to_string(harness.path("cloned/windlass.toml")).unwrap();
    let harness = harness.file("cloned/windlass.toml", &format!("{text}# a change\n"));
    harness
        .run(&["status"])
        .await
        .ends_with(2)
        .tells(&["has changed since it was trusted"]);
    harness.run(&["config", "distrust", "."]).await.ends_with(0);
    harness.run(&["status"]).await.ends_with(2).tells(&["not trusted yet"]);
    assert_eq!(collector.clients(), clients);
}

#[tokio::test]
async fn a_gateway_that_the_user_names_is_worked_with_in_any_folder() {
    let collector = Collector::start().await;
    let sim = gateway().start_tcp().await.unwrap();
    let harness = victim(collector.address);
    harness.run(&["call", "health", "--url", &sim.url()]).await.ends_with(0);
    let own = format!("[gateways.mine]\nurl = \"{}\"\n", sim.url());
    let harness = harness.file("mine.toml", &own);
    let mine = harness.path("mine.toml");
    harness
        .run(&["call", "health", "--config", mine.to_str().unwrap()])
        .await
        .ends_with(0);
    assert_eq!(collector.clients(), 0);
}

#[tokio::test]
async fn a_fifo_or_an_endless_file_in_place_of_a_configuration_or_a_token_is_an_error() {
    let harness = Harness::new().configured("[gateways.a]\nurl = \"ws://127.0.0.1:1\"\ntoken_file = \"/dev/zero\"\n");
    harness
        .run(&["call", "health"])
        .await
        .ends_with(2)
        .tells(&["gateways.a.token_file", "not a regular file"]);
    let fifo = std::process::Command::new("mkfifo").arg(harness.path("fifo")).status();
    assert!(fifo.unwrap().success());
    let args = ["call", "health", "--config", "fifo"];
    harness.run(&args).await.ends_with(2).tells(&["not a regular file"]);
}
