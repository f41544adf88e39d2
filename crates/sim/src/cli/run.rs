//! `windlass-sim run`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;
use windlass::{Clock as _, TokioClock};

use super::{BROKEN, INTERRUPTED, Run, USAGE, signals};
use crate::campaign::{Books, Ended, FailedSeed, campaign};
use crate::progress::{Progress, StateError};
use crate::{Detail, Tally, World, play};

/// How often the state file is written.
const SAVED_EVERY: Duration = Duration::from_secs(5);
/// Failing seeds that are told with all words at the end; the others by their number.
const TOLD: usize = 20;
/// Lines of the first failing seed's trace that are printed, from its end.
const TRACED: usize = 200;

pub(super) fn run(args: &Run) -> ExitCode {
    match play_all(args) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(anstream::stderr(), "error: {error}");
            USAGE.into()
        }
    }
}

fn play_all(args: &Run) -> Result<ExitCode, StateError> {
    let progress = match &args.state {
        Some(path) => Progress::load(path, args.seeds.clone())?,
        None => Progress::new(args.seeds.clone()),
    };
    let jobs = args.jobs.map_or_else(cores, usize::from);
    let start = progress.clone();
    let mut books = Ledger::new(progress, args.state.clone());
    let ended = campaign(&start, jobs, &signals::stop(), &mut books);
    books.close()?;
    Ok(tell(args, &books, &ended))
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Keeps the progress, in the file and on the terminal.
struct Ledger {
    progress: Progress,
    state: Option<PathBuf>,
    bar: ProgressBar,
    clock: TokioClock,
    begun: Instant,
    saved: Instant,
    /// The value of `progress` at the start of this process.
    cpu_before: u64,
    played: u64,
    error: Option<StateError>,
}

impl Ledger {
    fn new(progress: Progress, state: Option<PathBuf>) -> Self {
        let clock = TokioClock::start();
        let bar = ProgressBar::new(progress.seeds.end - progress.seeds.start).with_position(progress.done());
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} seeds, {msg} failing, {eta} left");
        bar.set_style(style.expect("the template is fixed"));
        bar.set_message(progress.failing.len().to_string());
        Self {
            cpu_before: progress.cpu_ms,
            progress,
            state,
            bar,
            begun: clock.now(),
            saved: clock.now(),
            clock,
            played: 0,
            error: None,
        }
    }

    fn save(&mut self) -> Result<(), StateError> {
        self.progress.cpu_ms = self.cpu_before + cpu_ms();
        self.saved = self.clock.now();
        self.state.as_ref().map_or(Ok(()), |path| self.progress.save(path))
    }

    fn close(&mut self) -> Result<(), StateError> {
        self.bar.finish_and_clear();
        self.save()?;
        self.error.take().map_or(Ok(()), Err)
    }

    fn took(&self) -> Duration {
        self.clock.now().saturating_duration_since(self.begun)
    }
}

impl Books for Ledger {
    fn played(&mut self, failing: Option<FailedSeed>) {
        self.played += 1;
        self.bar.inc(1);
        if let Some(failing) = &failing {
            self.bar.suspend(|| {
                let _ = writeln!(
                    anstream::stderr(),
                    "seed {}: {}",
                    failing.seed,
                    failing.broken.join("; ")
                );
            });
        }
        self.progress.played(failing);
        self.bar.set_message(self.progress.failing.len().to_string());
    }

    fn block(&mut self, start: u64, tally: &Tally) {
        self.progress.block(start, tally);
    }

    fn tick(&mut self) {
        if self.clock.now().saturating_duration_since(self.saved) >= SAVED_EVERY
            && let Err(error) = self.save()
        {
            // A disk that is full for a moment costs nothing yet: it is tried again, and told at the end.
            self.error = Some(error);
        }
    }
}

fn cpu_ms() -> u64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let (seconds, nanos) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    seconds.unwrap_or_default() * 1000 + nanos.unwrap_or_default() / 1_000_000
}

fn tell(args: &Run, books: &Ledger, ended: &Ended) -> ExitCode {
    let progress = &books.progress;
    let hung: &[u64] = match ended {
        Ended::Hung(seeds) => seeds,
        _ => &[],
    };
    let cpu = Duration::from_millis(cpu_ms());
    let cpu_a_seed = cpu / u32::try_from(books.played.max(1)).unwrap_or(u32::MAX);
    let cpu_a_seed = cpu_a_seed.as_secs_f64() * 1000.0;
    let mut out = anstream::stdout().lock();
    let _ = if args.json {
        let told = json!({
            "seeds": [progress.seeds.start, progress.seeds.end], "done": progress.done(), "playedNow": books.played,
            "seconds": books.took().as_secs_f64(), "cpuMsPerSeed": cpu_a_seed, "failing": progress.failing, "hung": hung,
            "tally": progress.tally,
        });
        writeln!(out, "{told}")
    } else {
        let (from, to, done) = (progress.seeds.start, progress.seeds.end, progress.done());
        writeln!(
            out,
            "seeds {from}..{to}: {done} done, {} failing; {} played now in {:.1} s, {cpu_a_seed:.2} ms of CPU each\n{}",
            progress.failing.len(),
            books.played,
            books.took().as_secs_f64(),
            progress.tally
        )
        .and_then(|()| tell_failing(&mut out, progress, hung))
    };
    if !progress.failing.is_empty() || !hung.is_empty() {
        BROKEN.into()
    } else if *ended == Ended::Stopped {
        INTERRUPTED.into()
    } else {
        ExitCode::SUCCESS
    }
}

fn tell_failing(out: &mut impl std::io::Write, progress: &Progress, hung: &[u64]) -> std::io::Result<()> {
    for seed in hung {
        writeln!(out, "seed {seed} comes to no end")?;
    }
    for failing in progress.failing.iter().take(TOLD) {
        writeln!(out, "failing: {}: {}", failing.seed, failing.broken.join("; "))?;
    }
    let more: Vec<_> = progress.failing.iter().skip(TOLD).map(|failing| failing.seed).collect();
    if !more.is_empty() {
        writeln!(out, "failing, too: {more:?}")?;
    }
    if let Some(first) = progress.failing.first() {
        let played = play(&World::of(first.seed), Detail::Trace);
        let skip = played.trace.0.len().saturating_sub(TRACED);
        writeln!(
            out,
            "\nthe end of seed {}, all of it by `windlass-sim seed {0} --trace`:",
            first.seed
        )?;
        for line in played.trace.0.iter().skip(skip) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(())
}
