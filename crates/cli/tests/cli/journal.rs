//! `windlass watch` by way of the journal: recorded, read again, followed by another process, and killed.
//!
//! The last test kills the recording process for real. `WINDLASS_CUTS` and `WINDLASS_KILLS` say how often the line is cut and how
//! often the process is killed: 1000 and 20 take a quarter of an hour.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use windlass::protocol::connection::BackoffPolicy;
use windlass::{DeviceIdentity, Endpoint, GatewayId, GatewaySpec, Secret, Windlass};
use windlass_testkit::{SimGateway, StreamAudit, StreamFault};

use crate::harness::{Harness, Running, TOKEN, gateway};

/// A folder with a store in it, which several processes use.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn store(&self) -> String {
        let path: &Path = self.folder.path();
        path.join("store.db").to_str().unwrap().to_owned()
    }

    /// One that knows the gateway.
    fn recorder(&self, sim: &SimGateway) -> Harness {
        Harness::of(sim).with("WINDLASS_STORE", &self.store())
    }

    /// One that knows no gateway.
    fn reader(&self) -> Harness {
        Harness::new().with("WINDLASS_STORE", &self.store())
    }
}

/// The next line that is about one of these.
async fn next(running: &mut Running, wanted: &[&str]) -> Value {
    loop {
        let line = running.line().await;
        let name = line["event"].as_str().or(line["marker"].as_str()).unwrap();
        if wanted.contains(&name) {
            return line;
        }
    }
}

const SHOWN: [&str; 6] = ["custom", "began", "ended", "reconnected", "disconnected", "lagged"];

#[tokio::test]
async fn what_is_recorded_can_be_read_again_from_any_of_its_cursors() {
    let (sim, place) = (gateway().start_tcp().await.unwrap(), Place::new());
    let mut running = place.recorder(&sim).start(&["watch", "--journal", "--json"]);
    let began = next(&mut running, &SHOWN).await;
    assert_eq!(began["marker"], "began");
    assert!(
        began["detail"]["line"].is_string() && began["cursor"].is_u64(),
        "{began}"
    );
    assert_eq!(next(&mut running, &SHOWN).await["marker"], "reconnected");
    let mut lines = Vec::new();
    for n in 0..3 {
        sim.emit("custom", json!({ "n": n }));
        lines.push(next(&mut running, &SHOWN).await);
        assert_eq!(lines[n]["payload"]["n"], n);
    }
    running.interrupt();
    running.end().await.ends_with(130);

    // In another process, later, which knows what the gateway is called.
    let cursor = lines[0]["cursor"].to_string();
    let args = ["watch", "--from", &cursor, "--no-follow", "--event", "custom", "--json"];
    let ran = place.recorder(&sim).run(&args).await.ends_with(0);
    let read = ran.json_lines();
    assert_eq!(read[..2], lines[1..], "word by word");
    let markers: Vec<_> = read[2..].iter().map(|line| &line["marker"]).collect();
    assert_eq!(markers, ["disconnected", "ended"]);

    let ran = place
        .reader()
        .run(&["watch", "--from", "start", "--no-follow"])
        .await
        .ends_with(0);
    let shown: Vec<_> = ran.stdout.lines().collect();
    assert!(shown[0].contains(" -- recording began"), "{shown:#?}");
    assert!(
        shown.iter().any(|line| line.contains(&format!(" {cursor} "))),
        "{shown:#?}"
    );
    assert!(shown.last().unwrap().ends_with("-- recording ended"), "{shown:#?}");
}

#[tokio::test]
async fn a_second_process_follows_what_the_first_records() {
    let (sim, place) = (gateway().start_tcp().await.unwrap(), Place::new());
    let mut first = place.recorder(&sim).start(&["watch", "--journal", "--json"]);
    next(&mut first, &["reconnected"]).await;
    let refused = place.recorder(&sim).run(&["watch", "--journal"]).await.ends_with(8);
    refused.tells(&["records into the journal", "--from now"]);

    let mut second = place
        .reader()
        .start(&["watch", "--from", "start", "--json", "--limit", "2"]);
    assert_eq!(next(&mut second, &SHOWN).await["marker"], "began");
    for n in 0..2 {
        sim.emit("custom", json!({ "n": n }));
        assert_eq!(
            next(&mut second, &["custom"]).await,
            next(&mut first, &["custom"]).await
        );
    }
    let told = second.end().await.ends_with(0);
    told.tells(&["no gateway is configured here"]);
    // One that could record follows too.
    let mut third = place
        .recorder(&sim)
        .start(&["watch", "--from", "start", "--limit", "1", "--event", "custom"]);
    assert!(third.text().await.contains("recording began"));
    third.end().await.ends_with(0).tells(&["records into the journal"]);
    first.interrupt();
    first.end().await.ends_with(130);

    // Nobody records any more: now this one does.
    let mut third = place.recorder(&sim).start(&["watch", "--from", "now", "--json"]);
    assert_eq!(next(&mut third, &SHOWN).await["marker"], "began");
    third.interrupt();
    third.end().await.ends_with(130);
}

#[tokio::test]
async fn a_named_reader_goes_on_where_it_was_left() {
    let (sim, place) = (gateway().start_tcp().await.unwrap(), Place::new());
    let audit = [
        "watch",
        "--consumer",
        "audit",
        "--event",
        "custom",
        "--limit",
        "2",
        "--json",
    ];
    let mut running = place.recorder(&sim).start(&audit);
    next(&mut running, &["reconnected"]).await;
    for n in 0..2 {
        sim.emit("custom", json!({ "n": n }));
    }
    running.end().await.ends_with(0);
    let mut running = place.recorder(&sim).start(&audit);
    next(&mut running, &["reconnected"]).await;
    for n in 2..4 {
        sim.emit("custom", json!({ "n": n }));
        assert_eq!(next(&mut running, &["custom"]).await["payload"]["n"], n);
    }
    running.end().await.ends_with(0);
    let rest = place
        .reader()
        .run(&["watch", "--consumer", "audit", "--no-follow", "--json"])
        .await;
    let rest = rest.ends_with(0).json_lines();
    assert!(rest.iter().all(|line| line["event"] != "custom"), "{rest:#?}");
    let other = place
        .reader()
        .run(&["watch", "--consumer", "other", "--no-follow", "--json"])
        .await;
    let seen = other
        .json_lines()
        .iter()
        .filter(|line| line["event"] == "custom")
        .count();
    assert_eq!(seen, 4);
}

#[tokio::test]
async fn wrong_usage_of_the_journal_is_named() {
    let place = Place::new();
    let runs: [(&[&str], &str); 5] = [
        (&["watch", "--no-follow"], "--from"),
        (
            &["watch", "--from", "yesterday"],
            "expected a cursor (a number), start or now",
        ),
        (&["watch", "--from", "now", "--consumer", "a"], "--consumer"),
        (&["watch", "--journal", "--keep", "1"], "12h, 30d"),
        (&["watch", "--from", "start", "--no-follow"], "the store does not exist"),
    ];
    for (args, told) in runs {
        place.reader().run(args).await.ends_with(2).tells(&[told]);
    }
}

/// Checks the lines of a stream: cursors grow, events are in order, and each hole has a marker of its size.
#[derive(Default)]
struct Auditor {
    stream: StreamAudit,
    cursor: Option<u64>,
    markers: u64,
    /// Connections so far.
    ups: u64,
}

impl Auditor {
    fn take(&mut self, line: &Value) {
        let cursor = line["cursor"].as_u64();
        assert!(cursor > self.cursor, "{cursor:?} after {:?}", self.cursor);
        self.cursor = cursor;
        let checked = match line["marker"].as_str() {
            Some(marker) => self.marker(marker, &line["detail"]),
            None => self.event(line),
        };
        checked.unwrap_or_else(|fault| panic!("{fault}: {line}"));
    }

    fn event(&mut self, line: &Value) -> Result<(), StreamFault> {
        if let Some(seq) = line["seq"].as_u64() {
            self.stream.numbered(seq)?;
        }
        if line["event"] == "custom" {
            self.stream.event(line["payload"]["n"].as_u64().unwrap())?;
        }
        Ok(())
    }

    fn marker(&mut self, marker: &str, detail: &Value) -> Result<(), StreamFault> {
        let number = |name: &str| detail[name].as_u64().unwrap_or_else(|| panic!("no {name} in {detail}"));
        self.ups += u64::from(marker == "reconnected");
        match marker {
            "began" if detail["up"] == true => self.stream.up(),
            "reconnected" => self.stream.up(),
            "began" | "disconnected" | "ended" => self.stream.down(),
            "gap" => self.stream.gap(number("expected"), number("received"))?,
            "lagged" => self.stream.lagged(number("dropped"))?,
            "unreadable" => self.stream.unreadable(),
            _ => return Ok(()),
        }
        self.markers += 1;
        Ok(())
    }
}

fn number(variable: &str, otherwise: u64) -> u64 {
    let said = std::env::var(variable).ok();
    said.map_or(otherwise, |text| text.parse().expect("a number"))
}

/// The library, in this process, on the same gateway: its roster goes through the same cuts.
async fn library(sim: &SimGateway) -> (Windlass, windlass::Gateway) {
    let windlass = Windlass::builder().seed(7).start().unwrap();
    let mut spec = GatewaySpec::new(GatewayId::new("lib").unwrap(), Endpoint::parse(&sim.url()).unwrap());
    spec.token = Some(Secret::new(TOKEN));
    spec.device = Some(DeviceIdentity::from_seed([7; 32]).into());
    // It is cut for minutes on end, and is to be back each time.
    spec.backoff = BackoffPolicy {
        cap: Duration::from_millis(200),
        young_cap: Duration::from_millis(200),
        ..BackoffPolicy::default()
    };
    let gateway = windlass.add(spec).await.unwrap();
    (windlass, gateway)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_and_cut_at_any_moment_the_journal_has_all_that_came_in_order_once_and_each_hole_marked() {
    let (cuts, kills, seed) = (
        number("WINDLASS_CUTS", 8),
        number("WINDLASS_KILLS", 2),
        number("WINDLASS_SEED", 1),
    );
    let mut rng = StdRng::seed_from_u64(seed);
    let (sim, place) = (gateway().start_tcp().await.unwrap(), Place::new());
    let (windlass, lib) = library(&sim).await;
    let mut roster = lib.session_cache().await.unwrap();
    let (mut auditor, mut n, mut cut, mut ups) = (Auditor::default(), 0_u64, 0, 0);
    for life in 0..kills {
        let harness = place.recorder(&sim);
        let mut command = harness.command(["watch", "--journal", "--json"]);
        let mut recording = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let from = auditor
            .cursor
            .map_or_else(|| "start".to_owned(), |cursor| cursor.to_string());
        // The reader is another process, which is killed with it, and comes back by its cursor.
        let mut reader = place.reader().start(&["watch", "--from", &from, "--json"]);
        let until = cuts * (life + 1) / kills;
        loop {
            // Connected: so far as the stream says.
            while auditor.ups <= ups {
                auditor.take(&reader.line().await);
            }
            ups = auditor.ups;
            for _ in 0..rng.random_range(1..10) {
                sim.emit("custom", json!({ "n": n }));
                n += 1;
            }
            // All that was sent while it was connected comes, at last.
            while auditor.stream.last().is_none_or(|last| last + 1 < n) {
                auditor.take(&reader.line().await);
            }
            let key = format!("agent:main:s{}", rng.random_range(0..20));
            let patch = lib
                .call("sessions.patch", json!({ "key": key }))
                .timeout(Duration::from_secs(1));
            // Whether it went through before a cut is not what is looked at.
            drop(patch.await);
            for _ in 0..rng.random_range(0..5) {
                sim.emit("custom", json!({ "n": n }));
                n += 1;
            }
            if cut == until {
                break;
            }
            sim.cut_all();
            cut += 1;
        }
        // Killed, whatever it does just now.
        reader.kill().await;
        recording.kill().await.unwrap();
        drop(harness);
    }
    let from = auditor.cursor.unwrap().to_string();
    let rest = place
        .reader()
        .run(&["watch", "--from", &from, "--no-follow", "--json"])
        .await;
    rest.ends_with(0)
        .json_lines()
        .iter()
        .for_each(|line| auditor.take(line));
    let view = tokio::time::timeout(Duration::from_mins(1), roster.fresh())
        .await
        .unwrap()
        .unwrap();
    let listed: Value = lib
        .call("sessions.list", json!({ "limit": 1000 }))
        .await
        .unwrap()
        .decode()
        .unwrap();
    let mut listed = listed["sessions"].as_array().unwrap().clone();
    listed.sort_by(|a, b| a["key"].as_str().cmp(&b["key"].as_str()));
    let known: Vec<Value> = view.sessions.iter().map(|(_, entry)| json!(entry.row)).collect();
    assert_eq!(known, listed, "the roster is what a fresh list says");
    windlass.shutdown(Duration::from_secs(1)).await;
    let (events, markers) = (auditor.stream.events(), auditor.markers);
    eprintln!(
        "{cut} cuts and {kills} kills, seed {seed}: {events} of {n} events recorded, {markers} markers, no fault"
    );
}

#[tokio::test]
async fn a_recording_whose_output_nobody_reads_is_stored_at_the_first_signal_and_ends_at_the_second() {
    let (sim, place) = (gateway().start_tcp().await.unwrap(), Place::new());
    let mut blocked = place.recorder(&sim).start(&["watch", "--journal", "--json"]);
    next(&mut blocked, &["reconnected"]).await;
    // Ten times what a pipe holds: the program stands in a write.
    for n in 0..64 {
        sim.emit("custom", json!({ "n": n, "text": "x".repeat(10_000) }));
    }
    let mut reader = place.reader().start(&["watch", "--from", "start", "--json"]);
    while next(&mut reader, &["custom"]).await["payload"]["n"] != 63 {}
    blocked.interrupt();
    next(&mut reader, &["ended"]).await;
    blocked.interrupt();
    assert_eq!(blocked.end_unread().await, 130);
}

#[tokio::test]
async fn a_hangup_ends_a_recording_in_good_order() {
    let (sim, place) = (gateway().start_tcp().await.unwrap(), Place::new());
    let mut running = place.recorder(&sim).start(&["watch", "--journal", "--json"]);
    next(&mut running, &["reconnected"]).await;
    running.signal("HUP");
    running.end().await.ends_with(130);
    let reader = place.reader();
    let read = reader.run(&["watch", "--from", "start", "--no-follow", "--json"]).await;
    let lines = read.ends_with(0).json_lines();
    assert_eq!(lines.last().unwrap()["marker"], "ended");
}
