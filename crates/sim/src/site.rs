//! One gateway in a run: simulated, behind a proxy, and the line to it.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use windlass::protocol::connection::CallLimits;
use windlass::{DeviceIdentity, Endpoint, Gateway, GatewayId, GatewaySpec, Secret, Windlass, transport};
use windlass_testkit::chaos::{ChaosProxy, Fault};
use windlass_testkit::{PanicSwitch, SimGateway, WireError, half};

use crate::clock;
use crate::trace::note;
use crate::world::{FaultAction, Plan, ScheduledFault, WrongAnswer};

/// The token of all gateways. Looked for in all that is logged, so it is found nowhere else.
pub(crate) const TOKEN: &str = "gateway-token-c41d77e0";
/// The token that a gateway has while it is locked.
pub(crate) const OTHER_TOKEN: &str = "other-token-90ab55f3";

/// How long a gateway has been running when the run begins: one that started a moment ago can't be told from one that
/// started again, before 2026.8.2.
pub(crate) const AGE: Duration = Duration::from_secs(600);

/// One gateway in so many has its agents in an included file. By its seed and not by a draw, so that worlds stay as they were.
const INCLUDED: u64 = 3;

/// The handles to a gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) name: String,
    pub(crate) sim: SimGateway,
    pub(crate) proxy: ChaosProxy,
    pub(crate) mine: PanicSwitch,
    limits: Option<CallLimits>,
}

impl Door {
    pub(crate) fn new(number: usize, plan: &Plan) -> Self {
        let mut builder = SimGateway::builder()
            .release(plan.release)
            .token(TOKEN)
            .seed(plan.seed)
            .chat(plan.model.clone())
            // Gateways cut texts between the two halves of a character, and one in them is to hide nothing.
            .presence(format!("cut {}", half(0xd83d)))
            .agent("odd", format!("Ro{}", half(0xd83d)));
        if plan.seed.is_multiple_of(INCLUDED) {
            builder = builder.included("agents");
        }
        let sim = builder.start_pipe();
        if let Some((method, time)) = plan.slow {
            sim.script().delay(method, time);
        }
        let dialled = sim.clone();
        let proxy = ChaosProxy::builder().seed(plan.seed).pipe(move || {
            let sim = dialled.clone();
            async move { sim.dial().await }
        });
        Self {
            name: format!("gw{number}"),
            sim,
            proxy,
            mine: PanicSwitch::default(),
            limits: plan.limits,
        }
    }

    /// The specification of a line to it.
    pub(crate) fn spec(&self) -> GatewaySpec {
        let mut spec = spec(&self.name);
        if let Some(limits) = self.limits {
            spec.limits = limits;
        }
        spec
    }
}

/// The specification of a line to the gateway of this name.
pub(crate) fn spec(name: &str) -> GatewaySpec {
    let endpoint = Endpoint::parse(&format!("ws://{name}")).expect("a host name makes an endpoint");
    let id = GatewayId::new(name).expect("the name is an id");
    let mut spec = GatewaySpec::new(id, endpoint);
    spec.token = Some(Secret::new(TOKEN));
    spec.device = Some(Arc::new(device()));
    spec
}

/// The device that all lines are.
pub(crate) fn device() -> DeviceIdentity {
    DeviceIdentity::from_seed([7; 32])
}

/// Dials the gateway of the endpoint's host.
pub(crate) fn connector(doors: Vec<Door>) -> impl windlass::Connector {
    transport::dial_with(move |endpoint: Endpoint| {
        let door = doors.iter().find(|door| door.name == endpoint.host()).cloned();
        async move {
            let door = door.ok_or(io::ErrorKind::NotFound)?;
            Ok(door.mine.under(door.proxy.dial().await?))
        }
    })
}

/// A gateway and its line.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) door: Door,
    pub(crate) gateway: Gateway,
    windlass: Windlass,
    /// Numbered events so far.
    pulses: Rc<Cell<u64>>,
    /// Connections that the proxy keeps for good.
    frozen: Rc<Cell<usize>>,
}

impl Site {
    pub(crate) fn new(door: Door, gateway: Gateway, windlass: Windlass) -> Self {
        Self {
            door,
            gateway,
            windlass,
            pulses: Rc::default(),
            frozen: Rc::default(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.door.name
    }

    pub(crate) fn sim(&self) -> &SimGateway {
        &self.door.sim
    }

    /// Sends the next numbered event.
    pub(crate) fn pulse(&self) -> u64 {
        let n = self.pulses.get() + 1;
        self.pulses.set(n);
        self.sim().emit("pulse", json!({ "n": n, "text": half(0xd83d) }));
        n
    }

    /// Connections that end with the proxy only.
    pub(crate) fn frozen(&self) -> usize {
        self.frozen.get()
    }

    /// Does it.
    pub(crate) async fn inject(&self, scheduled: &ScheduledFault) {
        note(|| format!("{}: {scheduled}", self.name()));
        let sim = self.sim();
        match &scheduled.action {
            FaultAction::Fault(fault) => {
                if *fault == Fault::HalfOpen {
                    self.frozen.set(self.door.proxy.connections());
                }
                self.door.proxy.apply(fault);
            }
            FaultAction::Restart(kind) => sim.restart(*kind),
            FaultAction::Kill => sim.kill().await,
            FaultAction::Stop => sim.stop().await,
            FaultAction::Start => sim.start_again().await,
            FaultAction::Drain(on) => sim.drain(*on),
            FaultAction::Starting(time) => {
                sim.go_starting(*time);
                self.door.proxy.cut();
            }
            FaultAction::Unavailable(time) => {
                sim.go_unavailable(*time);
                self.door.proxy.cut();
            }
            FaultAction::Deaf(on) => sim.deaf(*on),
            FaultAction::Silent(on) => {
                sim.silent(*on);
                // An event that it did not send has no number either, so no connection of a gateway continues after a silence.
                if !on {
                    self.door.proxy.cut();
                }
            }
            FaultAction::Withhold => sim.withhold_next_event(),
            FaultAction::WrongAnswer(lie, method) => tell(sim, *lie, method),
            FaultAction::Panic => self.door.mine.arm(),
            FaultAction::Lock => {
                sim.set_token(OTHER_TOKEN);
                self.door.proxy.cut();
            }
            FaultAction::Unlock => sim.set_token(TOKEN),
            FaultAction::Jump(time) => clock::jump(*time).await,
            // Both are refused after Windlass was shut down. Then there is no caller to report this to.
            FaultAction::ReconnectNow => drop(self.gateway.reconnect_now().await),
            FaultAction::Update => drop(self.windlass.update(self.door.spec()).await),
        }
    }

    /// Takes back all that was done and lasts.
    pub(crate) async fn calm(&self) {
        note(|| format!("{}: calm", self.name()));
        let sim = self.sim();
        self.door.proxy.calm();
        self.door.mine.disarm();
        sim.deaf(false);
        sim.silent(false);
        sim.drain(false);
        sim.go_starting(Duration::ZERO);
        sim.go_unavailable(Duration::ZERO);
        sim.set_token(TOKEN);
        for method in LIED_ABOUT {
            sim.script().clear(method);
        }
        sim.start_again().await;
    }
}

/// Methods that may have a rule.
const LIED_ABOUT: [&str; 10] = [
    "health",
    "chat.send",
    "chat.history",
    "agent.wait",
    "agents.create",
    "agents.list",
    "sessions.list",
    "sessions.subscribe",
    "sessions.patch",
    "connect",
];

fn tell(sim: &SimGateway, lie: WrongAnswer, method: &str) {
    let once = sim.script().once();
    match lie {
        WrongAnswer::NeverAnswer => once.never_answer(method),
        WrongAnswer::Late(time) => once.delay(method, time),
        WrongAnswer::CutBeforeAnswer => once.drop_connection_before_answer(method),
        WrongAnswer::CutBeforeExecution => once.drop_connection_before_execution(method),
        WrongAnswer::Fail => once.fail(method, WireError::new("UNAVAILABLE", "busy").retry_after_ms(100)),
        WrongAnswer::UnknownId => once.answer_with_unknown_id(method),
        WrongAnswer::InvalidId => once.answer_with_id_invalid(method),
        WrongAnswer::Twice => once.duplicate_answer(method),
        WrongAnswer::NoJson => once.answer_with_text(method, "{\"type\":\"res\",\"ok\":tru"),
        WrongAnswer::CloseAfter(code) => once.close_after(method, code, "no reason"),
    }
}
