//! Records the frames of real releases, as fixtures for tests.
//!
//! A recording drives fresh gateways through all situations that the product meets and writes one
//! file of JSON lines for each topic: `{"conn", "dir", "ms", "frame"}`. Frames are shortened
//! (`trim`), secrets and all names of the recording machine are replaced (`redact`). A last check
//! of the finished text refuses to write a file that still has a secret or such a name.

mod cast;
mod pairing;
mod redact;
mod tape;
mod topics;
mod trim;

use std::{fs, io, path::Path};

use secrecy::ExposeSecret as _;
use thiserror::Error;

use self::{
    cast::sign_again,
    redact::{Place, Redactor},
    tape::{Line, Tape},
    trim::{Cut, trim},
};
use crate::{
    cli::RecordArgs,
    commands::skip_or_fail,
    console::Console,
    exit::Exit,
    install::{Installed, Installer},
    model::FakeModel,
    process::{GatewayOptions, LogShelf, RealGateway, StartError},
    scenario::{Failure, with_causes},
    wire::{Refusal, WireError},
};

/// Bound of one release's fixtures: they are read by every run of the protocol's tests.
const MAX_BYTES: usize = 380_000;

/// Why a recording was not made.
#[derive(Debug, Error)]
pub enum RecordError {
    /// A connection broke or stayed silent.
    #[error("a recorded connection failed")]
    Wire(#[from] WireError),
    /// The gateway refused a step that the rest of the recording needs.
    #[error("the gateway refused a needed step")]
    Refused(#[from] Refusal),
    /// A gateway did not start.
    #[error("a gateway to record did not start")]
    Start(#[from] StartError),
    /// A process could not be signalled or a file not be written.
    #[error("the recording could not be done or written")]
    Io(#[from] io::Error),
    /// The finished text still has a secret or a name of the machine. Nothing was written.
    #[error("line {line} of {topic} still holds {what}")]
    Leak {
        /// The topic's name.
        topic: &'static str,
        /// The line, from 1.
        line: usize,
        /// The kind of the found text, without the text.
        what: String,
    },
    /// The fixtures are larger than `MAX_BYTES`. Nothing was written.
    #[error("the fixtures take {bytes} bytes, more than {MAX_BYTES}")]
    TooLarge {
        /// Their size.
        bytes: usize,
    },
}

/// The subcommand `record`.
pub(crate) async fn record(args: &RecordArgs, installer: &Installer, console: Console) -> Result<Exit, Failure> {
    for release in &args.releases {
        let installation = match installer.ensure(release).await {
            Ok(installation) => installation,
            Err(error) => return skip_or_fail(&error, console),
        };
        let out = args.out.join(release.name());
        let mut recording = Recording::new(&installation);
        let bytes = match recording.release(&installation, &out, console).await {
            Ok(bytes) => bytes,
            Err(error) => return Err(recording.failure(&error)),
        };
        let line = format!("{release} {bytes} bytes in {}", out.display());
        console.result(&line);
    }
    Ok(Exit::Good)
}

/// Named tapes, and the texts that must be removed from them.
#[derive(Debug)]
struct Recording {
    tapes: Vec<(&'static str, Tape)>,
    places: Vec<Place>,
    tokens: Vec<String>,
    logs: LogShelf,
}

impl Recording {
    fn new(installed: &Installed) -> Self {
        let mut places = machine();
        places.push(path(installed.dir(), "/opt/openclaw"));
        Self {
            tapes: Vec::new(),
            places,
            tokens: Vec::new(),
            logs: LogShelf::default(),
        }
    }

    /// The text of `error`, with the ends of the gateways' logs if they can explain it.
    fn failure(&self, error: &RecordError) -> Failure {
        let why = with_causes(error);
        let logs = match error {
            RecordError::Wire(_) | RecordError::Refused(_) | RecordError::Start(_) => self.logs.take().join("\n"),
            RecordError::Io(_) | RecordError::Leak { .. } | RecordError::TooLarge { .. } => {
                return Failure::new(why);
            }
        };
        Failure::new(format!("{why}\n{logs}"))
    }

    /// Records all topics into `out` and returns the size of the files.
    async fn release(&mut self, installed: &Installed, out: &Path, console: Console) -> Result<usize, RecordError> {
        self.main_gateway(installed, console).await?;
        self.pairing_gateway(installed, console).await?;
        self.write(out)
    }

    async fn main_gateway(&mut self, installed: &Installed, console: Console) -> Result<(), RecordError> {
        let model = FakeModel::start().await?;
        let mut gateway = self.start(installed, &model).await?;
        macro_rules! topic {
            ($name:ident) => {
                console.progress(installed.release().name(), stringify!($name));
                let tape = self.tape(stringify!($name));
                // A change by a topic can keep the gateway busy: 2026.9.6 once answered an upgrade
                // with 503 right after an agents.delete.
                gateway.wait_ready().await?;
                topics::$name(&tape, &mut gateway).await?;
            };
        }
        topic!(handshake);
        topic!(rpc);
        topic!(agents);
        topic!(sessions);
        topic!(chat);
        topic!(agent);
        topic!(config);
        topic!(shutdown);
        Ok(())
    }

    async fn pairing_gateway(&mut self, installed: &Installed, console: Console) -> Result<(), RecordError> {
        let model = FakeModel::start().await?;
        let mut gateway = self.start(installed, &model).await?;
        console.progress(installed.release().name(), "pairing");
        let tape = self.tape("pairing");
        pairing::pairing(&tape, &mut gateway).await?;
        gateway.stop().await?;
        Ok(())
    }

    async fn start(&mut self, installed: &Installed, model: &FakeModel) -> Result<RealGateway, RecordError> {
        let options = GatewayOptions {
            logs: self.logs.clone(),
            ..GatewayOptions::default()
        };
        let gateway = RealGateway::start(installed, &model.base_url(), options).await?;
        self.tokens.push(gateway.token().expose_secret().to_owned());
        self.places.push(path(gateway.state_dir(), "/home/openclaw/.openclaw"));
        Ok(gateway)
    }

    fn tape(&mut self, topic: &'static str) -> Tape {
        let tape = Tape::default();
        self.tapes.push((topic, tape.clone()));
        tape
    }

    /// Shortens, redacts and checks everything, and only then writes anything.
    fn write(&self, out: &Path) -> Result<usize, RecordError> {
        let mut redactor = Redactor::new(self.places.clone());
        self.tokens.iter().for_each(|token| redactor.learn_secret(token));
        let topics: Vec<(&str, Vec<Line>)> = self.tapes.iter().map(|(topic, tape)| (*topic, tape.lines())).collect();
        for line in topics.iter().flat_map(|(_, lines)| lines) {
            redactor.learn(&line.frame);
        }
        let mut files = Vec::new();
        for (topic, lines) in topics {
            files.push((topic, finish(topic, lines, &redactor)?));
        }
        let bytes = files.iter().map(|(_, text)| text.len()).sum();
        if bytes > MAX_BYTES {
            return Err(RecordError::TooLarge { bytes });
        }
        fs::create_dir_all(out)?;
        for (topic, text) in files {
            fs::write(out.join(format!("{topic}.jsonl")), text)?;
        }
        Ok(bytes)
    }
}

/// The text of one file.
fn finish(topic: &'static str, lines: Vec<Line>, redactor: &Redactor) -> Result<String, RecordError> {
    let mut text = String::new();
    let mut lists_are_due = topic == "handshake";
    for (at, mut line) in lines.into_iter().enumerate() {
        let original = line.frame.clone();
        redactor.redact(&mut line.frame);
        sign_again(&original, &mut line.frame);
        let is_hello = line.frame["payload"]["type"] == "hello-ok";
        let cut = if is_hello && std::mem::take(&mut lists_are_due) {
            Cut::KeepLists
        } else {
            Cut::Short
        };
        trim(&mut line.frame, cut);
        let json = line.json().to_string();
        if let Some(what) = redactor.leaks(&json) {
            let line = at + 1;
            return Err(RecordError::Leak { topic, line, what });
        }
        text.push_str(&json);
        text.push('\n');
    }
    Ok(text)
}

/// The texts that name this machine and its user.
fn machine() -> Vec<Place> {
    let mut places = Vec::new();
    if let Some(home) = std::env::home_dir() {
        places.push(path(&home, "/home/openclaw"));
    }
    let system = rustix::system::uname();
    let kernel = system.release().to_string_lossy().into_owned();
    let host = system.nodename().to_string_lossy().into_owned();
    let user = std::env::var("USER").unwrap_or_default();
    // The administrator's name says nothing and is also an ordinary word.
    let user = if user == "root" { String::new() } else { user };
    for (real, stand_in) in [(host, "gateway-host"), (user, "openclaw"), (kernel, "6.12.0")] {
        places.push(Place {
            real,
            stand_in,
            whole_word: true,
        });
    }
    places
}

fn path(real: &Path, stand_in: &'static str) -> Place {
    Place {
        real: real.to_string_lossy().into_owned(),
        stand_in,
        whole_word: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn line(frame: Value) -> Line {
        Line {
            conn: "a".to_owned(),
            dir: "in",
            ms: 1,
            frame,
        }
    }

    #[test]
    fn only_the_first_hello_of_the_handshake_keeps_its_lists() {
        let hello = || {
            let methods = vec!["m"; 50];
            line(json!({"payload": {"type": "hello-ok", "features": {"methods": methods}}}))
        };
        let redactor = Redactor::default();
        let counts = |topic| {
            let text = finish(topic, vec![hello(), hello()], &redactor).expect("no leak");
            text.matches("\"m\"").count()
        };
        assert_eq!(counts("handshake"), 50 + 6);
        assert_eq!(counts("rpc"), 6 + 6);
    }

    #[test]
    fn a_leak_that_redaction_missed_is_refused() {
        // A text that is split by the JSON form: redaction sees the texts, the check sees the line.
        let redactor = Redactor::new(vec![path(Path::new("a\",\"b"), "/stand-in")]);
        let error = finish("rpc", vec![line(json!(["a", "b"]))], &redactor);
        assert!(matches!(error, Err(RecordError::Leak { line: 1, .. })), "{error:?}");
    }

    #[test]
    fn fixtures_that_are_too_large_are_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let tape = Tape::default();
        let recording = Recording {
            tapes: vec![("rpc", tape.clone())],
            places: Vec::new(),
            tokens: Vec::new(),
            logs: LogShelf::default(),
        };
        tape.fill_for_test(line(json!({"text": "x".repeat(150)})), 3000);
        let out = folder.path().join("out");
        assert!(matches!(recording.write(&out), Err(RecordError::TooLarge { .. })));
        assert!(!out.exists());
    }
}
