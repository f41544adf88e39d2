//! What people see on a terminal: `script` of util-linux gives the program one.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use windlass_testkit::SideEffect;

use crate::harness::{Harness, gateway};
use crate::store_fixture::StoreFixture;

/// Longer than anything here takes to show up.
const LIMIT: Duration = Duration::from_mins(1);

/// Pieces of output that wait to be looked at; a program that shows more waits, too.
const CHUNKS: usize = 64;

/// The program on a terminal of its own.
fn terminal(harness: &Harness, args: &str) -> Command {
    let program = harness.command([""; 0]);
    let (program, mut command) = (program.as_std(), Command::new("script"));
    command
        .args([
            "-qec",
            // Ctrl-C is for the program, not for the shell around it.
            &format!("trap : INT; {} {args}", program.get_program().display()),
            "/dev/null",
        ])
        .env_clear()
        .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("TERM", "xterm")
        .env("PATH", "/usr/bin:/bin")
        .current_dir(harness.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

/// Runs the program on a terminal of its own, with these lines typed in: its exit code and all that was shown.
async fn on_a_terminal(harness: &Harness, args: &str, typed: &str) -> (i32, String) {
    let mut typist = Typist::sit_down(harness, args);
    typist.types(typed);
    typist.gets_up().await
}

/// Somebody who types, and waits for what is shown.
pub(crate) struct Typist {
    child: Child,
    keys: Option<ChildStdin>,
    screen: mpsc::Receiver<Vec<u8>>,
    shown: Vec<u8>,
    /// Up to here it was looked at.
    seen: usize,
}

impl Typist {
    pub(crate) fn sit_down(harness: &Harness, args: &str) -> Self {
        let mut child = terminal(harness, args).spawn().unwrap();
        let keys = child.stdin.take();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, screen) = mpsc::channel(CHUNKS);
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut chunk) {
                if sender.blocking_send(chunk[..read].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self {
            child,
            keys,
            screen,
            shown: Vec::new(),
            seen: 0,
        }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until this is shown, after what was waited for before.
    pub(crate) async fn sees(&mut self, text: &str) {
        let wanted = text.as_bytes();
        loop {
            let rest = &self.shown[self.seen..];
            if let Some(at) = rest.windows(wanted.len()).position(|window| window == wanted) {
                self.seen += at + wanted.len();
                return;
            }
            let Ok(chunk) = timeout(LIMIT, self.screen.recv()).await else {
                panic!("{text:?} is not shown: {:?}", self.all());
            };
            let Some(chunk) = chunk else {
                panic!("the program ended without {text:?}: {:?}", self.all());
            };
            self.shown.extend(chunk);
        }
    }

    pub(crate) fn all(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Waits for the program's end: its exit code, and all that was shown.
    pub(crate) async fn gets_up(mut self) -> (i32, String) {
        let screen = async {
            while let Some(chunk) = self.screen.recv().await {
                self.shown.extend(chunk);
            }
        };
        assert!(
            timeout(LIMIT, screen).await.is_ok(),
            "it does not end: {:?}",
            self.all()
        );
        self.keys = None;
        (self.child.wait().unwrap().code().unwrap(), self.all())
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        // A test that failed must not leave it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_fleet_has_a_bar_and_a_line_for_each_agent_that_are_gone_at_the_end() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    let (code, shown) = on_a_terminal(&fixture.harness, "agents provision --all", "").await;
    assert_eq!(code, 0, "{shown}");
    for text in ["/2 agents", "Scribe: ", "Lead Agent: ", "\u{1b}["] {
        assert!(shown.contains(text), "{text:?} is not in {shown:?}");
    }
    let report = shown.rsplit("RESULT").next().unwrap();
    assert!(report.contains("2 agents: 2 changed, 0 failed"), "{shown:?}");
    assert!(!report.contains("/2 agents "), "the bar stays: {shown:?}");
}

#[tokio::test]
async fn a_deletion_asks_and_does_what_it_is_told() {
    let sim = gateway().start_tcp().await.unwrap();
    let fixture = StoreFixture::with_agents(&sim).await;
    fixture.run(&["agents", "provision", "Scribe"]).await;
    let deleted = || {
        sim.journal()
            .count(|effect| matches!(effect, SideEffect::AgentDeleted { .. }))
    };
    let (code, shown) = on_a_terminal(&fixture.harness, "agents delete Scribe", "n\n").await;
    assert_eq!((code, deleted()), (0, 0), "{shown}");
    assert!(
        shown.contains("Delete Scribe of Docs? [y/N]") && shown.contains("nothing was deleted"),
        "{shown:?}"
    );
    let (code, shown) = on_a_terminal(&fixture.harness, "agents delete Scribe", "yes\n").await;
    assert_eq!((code, deleted()), (0, 1), "{shown}");
}
