//! Operations on gateways take effect at one moment each, however they are interleaved, and wherever one is dropped.
//!
//! A small model checker: a few clients with a few operations each on one id; a scheduler that decides at each step whose future is
//! polled, whose is dropped, and when the machine has its turn; and every way to decide, one run for each. What the clients saw has to
//! be explained by an order of the operations in which each has its whole effect between its beginning and its end; an operation
//! that was dropped has all of its effect or none.

use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::io::DuplexStream;
use tokio::task::{LocalSet, yield_now};
use windlass::{GatewayId, RegistryError, Windlass, transport};

use crate::bench::{seed, spec};

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Update,
    Remove,
}

const OPS: [Op; 3] = [Op::Add, Op::Update, Op::Remove];

/// Whether it was done; an operation on a gateway that is not as it needs it is refused.
type Done = Result<bool, RegistryError>;

/// What was seen of an operation, or of a look: the second has both ends at one step.
#[derive(Debug, Clone)]
struct Seen {
    what: What,
    begun: usize,
    /// Nothing where it was dropped.
    ended: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Op(Op, Option<bool>),
    /// Whether the gateway was there.
    Look(bool),
}

/// Decides. The decisions of a run are a path; after a run, the next path is the one behind it.
trait Scheduler {
    fn choose(&mut self, options: usize) -> usize;
}

/// All paths, one after the other.
#[derive(Default)]
struct Exhaustive {
    path: Vec<(usize, usize)>,
    at: usize,
}

impl Scheduler for Exhaustive {
    fn choose(&mut self, options: usize) -> usize {
        if self.at == self.path.len() {
            self.path.push((0, options));
        }
        let (choice, of) = self.path[self.at];
        assert_eq!(of, options, "a run repeats");
        self.at += 1;
        choice
    }
}

impl Exhaustive {
    /// Turns to the next path; no when that was the last one.
    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((choice, options)) = self.path.pop() {
            if choice + 1 < options {
                self.path.push((choice + 1, options));
                return true;
            }
        }
        false
    }
}

struct Random(StdRng);

impl Scheduler for Random {
    fn choose(&mut self, options: usize) -> usize {
        self.0.random_range(0..options)
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Running = Pin<Box<dyn Future<Output = Done>>>;

/// A client and the operation that it is at.
struct Client {
    program: Vec<Op>,
    current: Option<(Op, usize, Running)>,
    woken: Arc<Woken>,
}

/// What can be done at a step.
#[derive(Debug, Clone, Copy)]
enum Step {
    Poll(usize),
    Drop(usize),
    Machine,
}

struct Run<'a, S> {
    windlass: Windlass,
    clients: Vec<Client>,
    scheduler: &'a mut S,
    drops: usize,
    turns: usize,
    now: usize,
    seen: Vec<Seen>,
}

fn id() -> GatewayId {
    GatewayId::new("gw").unwrap()
}

fn begin(windlass: &Windlass, op: Op) -> Running {
    let windlass = windlass.clone();
    Box::pin(async move {
        let ended = match op {
            Op::Add => windlass.add(spec("gw")).await.map(drop),
            Op::Update => windlass.update(spec("gw")).await,
            Op::Remove => windlass.remove(&id(), Duration::ZERO).await,
        };
        match (op, ended) {
            (_, Ok(())) => Ok(true),
            (Op::Add, Err(RegistryError::AlreadyThere(_)))
            | (Op::Update | Op::Remove, Err(RegistryError::NotThere(_))) => Ok(false),
            (_, Err(error)) => Err(error),
        }
    })
}

impl<S: Scheduler> Run<'_, S> {
    fn options(&self) -> Vec<Step> {
        let mut options = Vec::new();
        for (index, client) in self.clients.iter().enumerate() {
            let may_go_on = match &client.current {
                Some(_) => client.woken.0.load(Ordering::SeqCst),
                None => !client.program.is_empty(),
            };
            if may_go_on {
                options.push(Step::Poll(index));
            }
            if client.current.is_some() && self.drops > 0 {
                options.push(Step::Drop(index));
            }
        }
        if self.turns > 0 {
            options.push(Step::Machine);
        }
        options
    }

    /// Plays until no client has anything to do.
    async fn play(&mut self) {
        while self
            .clients
            .iter()
            .any(|client| client.current.is_some() || !client.program.is_empty())
        {
            let options = self.options();
            match options.get(self.scheduler.choose(options.len().max(1))) {
                Some(Step::Poll(client)) => self.poll(*client),
                Some(Step::Drop(client)) => self.drop_op(*client),
                Some(Step::Machine) => {
                    self.turns -= 1;
                    yield_now().await;
                }
                // All wait: the machine has as many turns as it takes.
                None => self.settle().await,
            }
            self.look();
        }
        self.settle().await;
        self.look();
    }

    async fn settle(&mut self) {
        for _ in 0..8 {
            yield_now().await;
        }
    }

    fn step(&mut self) -> usize {
        self.now += 1;
        self.now
    }

    fn look(&mut self) {
        let now = self.step();
        let what = What::Look(self.windlass.gateway(&id()).is_some());
        let all = self.windlass.gateways().len();
        assert_eq!(what, What::Look(all == 1), "a list says what a look says");
        self.seen.push(Seen {
            what,
            begun: now,
            ended: Some(now),
        });
    }

    fn poll(&mut self, index: usize) {
        let now = self.step();
        let client = &mut self.clients[index];
        if client.current.is_none() {
            let op = client.program.remove(0);
            client.current = Some((op, now, begin(&self.windlass, op)));
        }
        let Some((op, begun, future)) = &mut client.current else {
            return;
        };
        client.woken.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&client.woken));
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            let done = done.expect("nothing is shut down, and nothing panics");
            let what = What::Op(*op, Some(done));
            let begun = *begun;
            client.current = None;
            let ended = Some(now);
            self.seen.push(Seen { what, begun, ended });
        }
    }

    fn drop_op(&mut self, index: usize) {
        self.drops -= 1;
        self.step();
        if let Some((op, begun, _)) = self.clients[index].current.take() {
            let what = What::Op(op, None);
            self.seen.push(Seen {
                what,
                begun,
                ended: None,
            });
        }
    }
}

/// What an operation makes of the gateway's being there, and whether it is done.
const fn effect(op: Op, there: bool) -> (bool, bool) {
    match op {
        Op::Add => (true, !there),
        Op::Update => (there, there),
        Op::Remove => (false, there),
    }
}

/// Whether an order explains what was seen. `left` are those that have no place in the order yet.
fn is_explained(seen: &[Seen], left: u64, there: bool, known: &mut std::collections::HashSet<(u64, bool)>) -> bool {
    let is_left = |index: usize| left & (1 << index) != 0;
    let must_be_placed = |index: usize| is_left(index) && seen[index].ended.is_some();
    if !(0..seen.len()).any(must_be_placed) {
        return true;
    }
    if !known.insert((left, there)) {
        return false;
    }
    let first_end = (0..seen.len())
        .filter(|index| is_left(*index))
        .filter_map(|index| seen[index].ended)
        .min();
    (0..seen.len()).filter(|index| is_left(*index)).any(|index| {
        let next = left & !(1 << index);
        let one = &seen[index];
        // One that began behind the end of another comes behind it.
        if first_end.is_some_and(|end| one.begun > end) {
            return false;
        }
        match &one.what {
            What::Look(found) => *found == there && is_explained(seen, next, there, known),
            What::Op(op, done) => {
                let (after, does) = effect(*op, there);
                done.is_none_or(|done| done == does) && is_explained(seen, next, after, known)
            }
        }
    })
}

/// One run.
fn run<S: Scheduler>(programs: &[Vec<Op>], there: bool, drops: usize, scheduler: &mut S) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, async {
        // Lines that never come up: what they do is not what is looked at.
        let connector = transport::dial_with(|_| pending::<std::io::Result<DuplexStream>>());
        let windlass = Windlass::builder().connector(connector).seed(1).start_local().unwrap();
        if there {
            windlass.add(spec("gw")).await.unwrap();
        }
        let client = |program: &Vec<Op>| Client {
            program: program.clone(),
            current: None,
            woken: Arc::default(),
        };
        let mut run = Run {
            windlass: windlass.clone(),
            clients: programs.iter().map(client).collect(),
            scheduler,
            drops,
            turns: 3,
            now: 0,
            seen: Vec::new(),
        };
        run.play().await;
        let seen = std::mem::take(&mut run.seen);
        assert!(seen.len() < 64);
        let all = (1_u64 << seen.len()) - 1;
        let explained = is_explained(&seen, all, there, &mut std::collections::HashSet::new());
        assert!(explained, "no order explains what was seen, from {there}: {seen:#?}");
        is_whole(&windlass).await;
        windlass.shutdown(Duration::ZERO).await;
    });
}

/// The gateway is there and can be told and removed, or it can be added.
async fn is_whole(windlass: &Windlass) {
    if let Some(gateway) = windlass.gateway(&id()) {
        gateway.inspect().await.expect("what is there can be looked at");
        gateway.reconnect_now().await.expect("and told");
        windlass.remove(&id(), Duration::ZERO).await.expect("and removed");
    }
    let gateway = windlass.add(spec("gw")).await.expect("what is not there can be added");
    gateway.inspect().await.expect("and is there then");
}

/// Plays all ways to interleave, and tells how many there are.
fn play_all(programs: &[Vec<Op>], there: bool, drops: usize) -> usize {
    let mut scheduler = Exhaustive::default();
    let mut runs = 0;
    loop {
        run(programs, there, drops, &mut scheduler);
        runs += 1;
        if !scheduler.next() {
            return runs;
        }
    }
}

#[test]
fn two_operations_are_explained_by_an_order_however_they_are_interleaved_and_dropped() {
    let mut runs = 0;
    for first in OPS {
        for second in OPS {
            for there in [false, true] {
                runs += play_all(&[vec![first], vec![second]], there, 1);
            }
        }
    }
    assert!(runs > 1_000, "{runs} runs are not all");
}

#[test]
fn two_removals_and_an_addition_leave_a_gateway_that_can_be_removed() {
    let programs = [vec![Op::Remove], vec![Op::Remove], vec![Op::Add]];
    assert!(play_all(&programs, true, 0) > 100);
}

#[test]
fn longer_programs_are_explained_too() {
    let seed = seed();
    let mut dice = StdRng::seed_from_u64(seed);
    for _ in 0..1_500 {
        let clients = dice.random_range(2..=4);
        let program = |dice: &mut StdRng| {
            let length = dice.random_range(1..=3);
            (0..length).map(|_| OPS[dice.random_range(0..OPS.len())]).collect()
        };
        let programs: Vec<Vec<Op>> = (0..clients).map(|_| program(&mut dice)).collect();
        let (there, drops) = (dice.random(), dice.random_range(0..=3));
        run(
            &programs,
            there,
            drops,
            &mut Random(StdRng::seed_from_u64(dice.random())),
        );
    }
}

#[test]
fn the_checker_finds_what_no_order_explains() {
    let op = |op, done, begun, ended| Seen {
        what: What::Op(op, done),
        begun,
        ended,
    };
    let look = |there, at| Seen {
        what: What::Look(there),
        begun: at,
        ended: Some(at),
    };
    let check = |seen: &[Seen], there| {
        is_explained(
            seen,
            (1 << seen.len()) - 1,
            there,
            &mut std::collections::HashSet::new(),
        )
    };
    // A removal that was dropped, after which the gateway is both there and not.
    let phantom = [
        op(Op::Remove, None, 1, None),
        op(Op::Add, Some(false), 3, Some(4)),
        op(Op::Update, Some(false), 5, Some(6)),
        op(Op::Add, Some(false), 7, Some(8)),
    ];
    assert!(!check(&phantom, true));
    // Two removals, both done.
    let both = [
        op(Op::Remove, Some(true), 1, Some(4)),
        op(Op::Remove, Some(true), 2, Some(3)),
    ];
    assert!(!check(&both, true));
    // Gone, although it was added behind the removals.
    let lost = [
        op(Op::Remove, Some(true), 1, Some(2)),
        op(Op::Add, Some(true), 3, Some(4)),
        look(false, 5),
    ];
    assert!(!check(&lost, true));
    let good = [
        op(Op::Remove, Some(true), 1, Some(4)),
        op(Op::Add, Some(true), 2, Some(5)),
        look(true, 6),
    ];
    assert!(check(&good, true));
}

/// A line that takes its time to close: what the checker above does not play.
#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_added_while_its_line_drains_is_there_when_the_line_is_closed() {
    use crate::bench::{Bench, Stopwatch, end, play};
    play(async {
        let bench = Bench::up(windlass_testkit::Generation::V4).await;
        bench.sim.script().never_answer("health");
        let call = bench.call("health", serde_json::json!({}));
        bench.wait_requests("health", 1).await;
        let gw = id();
        let removal = bench.windlass.remove(&gw, Duration::from_secs(5));
        // Dropped in the middle: the line is closed all the same.
        let dropped = tokio::time::timeout(Duration::from_secs(1), removal).await;
        assert!(dropped.is_err());
        assert!(bench.windlass.gateway(&id()).is_none());
        assert_eq!(
            bench.windlass.remove(&id(), Duration::ZERO).await.unwrap_err(),
            RegistryError::NotThere(id())
        );
        let start = Stopwatch::start();
        let again = bench.windlass.add(spec("gw")).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 4, "the rest of the drain");
        end(call).await.unwrap_err();
        again.wait_until_up(Duration::from_secs(60)).await.unwrap();
        // The handle of the old line is not one of the new one.
        assert_eq!(
            bench.gateway.inspect().await.unwrap_err(),
            RegistryError::NotThere(id())
        );
        assert_eq!(
            bench.gateway.reconnect_now().await.unwrap_err(),
            RegistryError::NotThere(id())
        );
        bench.sim.script().release("health");
        let bench = Bench {
            gateway: again,
            ..bench
        };
        bench.finish().await;
    })
    .await;
}

/// Each gateway's messages on record are taken up although the one who added it went away.
#[tokio::test(start_paused = true)]
async fn an_addition_that_is_dropped_is_whole_or_has_not_begun() {
    let outcomes = Rc::new(RefCell::new(Vec::new()));
    for polls in 0..6 {
        let told = Rc::clone(&outcomes);
        LocalSet::new()
            .run_until(async move {
                let connector = transport::dial_with(|_| pending::<std::io::Result<DuplexStream>>());
                let windlass = Windlass::builder().connector(connector).seed(1).start_local().unwrap();
                let mut addition = Box::pin(windlass.add(spec("gw")));
                let waker = Waker::noop();
                for _ in 0..polls {
                    if addition.as_mut().poll(&mut Context::from_waker(waker)).is_ready() {
                        break;
                    }
                    yield_now().await;
                }
                drop(addition);
                for _ in 0..8 {
                    yield_now().await;
                }
                told.borrow_mut().push(windlass.gateway(&id()).is_some());
                is_whole(&windlass).await;
                windlass.shutdown(Duration::ZERO).await;
            })
            .await;
    }
    let outcomes = outcomes.borrow();
    assert_eq!(outcomes[..2], [false, true], "{outcomes:?}");
}
