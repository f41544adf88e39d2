//! A plan of faults as it stands in a file: known keys only, each wrong one with its line.

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use toml::Spanned;
use windlass_protocol::{MESSAGE_LIMIT, printable};
use windlass_testkit::chaos::{Direction, Door, Fault, FaultKind, FrameFault, FrameRule, Which};

use crate::exit::Failure;
use crate::units::parse_span;

/// Largest plan that is read, in bytes: some ten thousand faults.
const MAX_BYTES: usize = 1024 * 1024;

/// The plan: faults and their times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChaosPlan {
    pub(crate) seed: Option<u64>,
    /// When it ends.
    pub(crate) lasts: Option<Duration>,
    pub(crate) random: Option<Random>,
    pub(crate) fixed: Vec<Fixed>,
}

/// Faults by chance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Random {
    /// The mean time between two.
    pub(crate) every: Duration,
    /// The mean time that one lasts which does.
    pub(crate) lasting: Duration,
    pub(crate) kinds: Vec<FaultKind>,
}

/// A fault at its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fixed {
    pub(crate) at: Duration,
    pub(crate) fault: Fault,
    pub(crate) lasts: Option<Duration>,
    /// Again and again, so long after each time.
    pub(crate) repeat: Option<Duration>,
}

/// A plan that can't be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub(crate) struct ChaosPlanError {
    place: String,
    problem: String,
}

impl From<ChaosPlanError> for Failure {
    fn from(error: ChaosPlanError) -> Self {
        Self::usage(error.to_string(), "docs/chaos.md describes what a plan can hold.")
    }
}

impl Random {
    const EVERY: Duration = Duration::from_secs(5);
    const LASTING: Duration = Duration::from_secs(2);
}

impl Default for ChaosPlan {
    /// A random network fault every five seconds.
    fn default() -> Self {
        Self {
            seed: None,
            lasts: None,
            random: Some(Random {
                every: Random::EVERY,
                lasting: Random::LASTING,
                kinds: FaultKind::NETWORK.to_vec(),
            }),
            fixed: Vec::new(),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlan {
    seed: Option<u64>,
    #[serde(rename = "for")]
    lasts: Option<Spanned<String>>,
    random: Option<RawRandom>,
    #[serde(default)]
    fault: Vec<Spanned<RawFault>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRandom {
    every: Option<Spanned<String>>,
    lasting: Option<Spanned<String>>,
    #[serde(default)]
    faults: Vec<Spanned<String>>,
}

/// `[[fault]]`: the union of the settings of all faults.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFault {
    at: Option<Spanned<String>>,
    #[serde(rename = "do")]
    kind: Option<Spanned<String>>,
    lasts: Option<Spanned<String>>,
    repeat: Option<Spanned<String>>,
    direction: Option<Spanned<String>>,
    delay: Option<Spanned<String>>,
    jitter: Option<Spanned<String>>,
    /// Bytes per second.
    rate: Option<Spanned<u64>>,
    bytes: Option<Spanned<usize>>,
    pings: Option<Spanned<u32>>,
    code: Option<Spanned<u16>>,
    status: Option<Spanned<u16>>,
    skew_ms: Option<Spanned<i64>>,
    of: Option<Spanned<String>>,
    nth: Option<Spanned<u32>>,
    permille: Option<Spanned<u16>>,
}

/// Where something stands.
struct PlanText<'a> {
    path: &'a Path,
    text: &'a str,
}

impl PlanText<'_> {
    fn error(&self, offset: usize, key: &str, problem: impl Into<String>) -> ChaosPlanError {
        let line = 1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
        let comma = if key.is_empty() { "" } else { ", " };
        ChaosPlanError {
            place: format!("{}:{line}{comma}{key}", self.path.display()),
            problem: printable(&problem.into(), MESSAGE_LIMIT).to_string(),
        }
    }

    fn span(&self, key: &str, text: Option<&Spanned<String>>) -> Result<Option<Duration>, ChaosPlanError> {
        text.map(|text| parse_span(text.get_ref()).map_err(|problem| self.error(text.span().start, key, problem)))
            .transpose()
    }
}

/// Reads and checks a plan.
pub(crate) fn read(path: &Path) -> Result<ChaosPlan, ChaosPlanError> {
    let text = windlass_files::read_text(path, MAX_BYTES).map_err(|error| ChaosPlanError {
        place: path.display().to_string(),
        problem: format!("the plan can't be read: {error}"),
    })?;
    parse(path, &text)
}

pub(crate) fn parse(path: &Path, text: &str) -> Result<ChaosPlan, ChaosPlanError> {
    let source = PlanText { path, text };
    let raw: RawPlan = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        source.error(offset, "", error.message())
    })?;
    let plan = ChaosPlan {
        seed: raw.seed,
        lasts: source.span("for", raw.lasts.as_ref())?,
        random: raw.random.map(|raw| random(&source, raw)).transpose()?,
        fixed: raw
            .fault
            .into_iter()
            .enumerate()
            .map(|(index, raw)| fixed(&source, index + 1, &raw))
            .collect::<Result<_, _>>()?,
    };
    if plan.random.is_none() && plan.fixed.is_empty() {
        return Err(source.error(
            0,
            "",
            "the plan has neither [random] nor a [[fault]]: nothing would happen",
        ));
    }
    Ok(plan)
}

fn random(source: &PlanText<'_>, raw: RawRandom) -> Result<Random, ChaosPlanError> {
    let mut kinds = Vec::new();
    for name in raw.faults {
        let known = || {
            let known: Vec<_> = FaultKind::ALL.iter().map(|kind| kind.name()).collect();
            format!(
                "no fault is called {:?}; there are {}",
                name.get_ref(),
                known.join(", ")
            )
        };
        let kind = name.get_ref().parse();
        kinds.push(kind.map_err(|_| source.error(name.span().start, "random.faults", known()))?);
    }
    if kinds.is_empty() {
        kinds = FaultKind::NETWORK.to_vec();
    }
    Ok(Random {
        every: source
            .span("random.every", raw.every.as_ref())?
            .unwrap_or(Random::EVERY),
        lasting: source
            .span("random.lasting", raw.lasting.as_ref())?
            .unwrap_or(Random::LASTING),
        kinds,
    })
}

fn fixed(source: &PlanText<'_>, number: usize, raw: &Spanned<RawFault>) -> Result<Fixed, ChaosPlanError> {
    let mut keys = Keys {
        source,
        number,
        begins: raw.span().start,
        raw: raw.get_ref(),
        used: vec!["at", "do", "lasts", "repeat"],
    };
    let at = source.span(&keys.name("at"), raw.get_ref().at.as_ref())?;
    let fault = keys.fault()?;
    let lasts = source.span(&keys.name("lasts"), raw.get_ref().lasts.as_ref())?;
    if lasts.is_some() && fault.undo().is_none() {
        return Err(keys.wrong("lasts", format!("{} is over at once and can't last", fault.name())));
    }
    keys.nothing_else(&fault)?;
    Ok(Fixed {
        at: at.unwrap_or_default(),
        fault,
        lasts,
        repeat: source.span(&keys.name("repeat"), raw.get_ref().repeat.as_ref())?,
    })
}

/// The keys of one `[[fault]]`.
struct Keys<'a> {
    source: &'a PlanText<'a>,
    number: usize,
    begins: usize,
    raw: &'a RawFault,
    /// Keys that this kind of fault takes.
    used: Vec<&'static str>,
}

impl Keys<'_> {
    fn name(&self, key: &str) -> String {
        format!("fault {}, {key}", self.number)
    }

    fn wrong(&self, key: &str, problem: impl Into<String>) -> ChaosPlanError {
        let begins = self.given().into_iter().find(|(name, _)| *name == key);
        let offset = begins.map_or(self.begins, |(_, offset)| offset);
        self.source.error(offset, &self.name(key), problem)
    }

    /// Keys that stand there, and where.
    fn given(&self) -> Vec<(&'static str, usize)> {
        fn at<T>(value: Option<&Spanned<T>>) -> Option<usize> {
            value.map(|value| value.span().start)
        }
        let raw = self.raw;
        [
            ("at", at(raw.at.as_ref())),
            ("do", at(raw.kind.as_ref())),
            ("lasts", at(raw.lasts.as_ref())),
            ("repeat", at(raw.repeat.as_ref())),
            ("direction", at(raw.direction.as_ref())),
            ("delay", at(raw.delay.as_ref())),
            ("jitter", at(raw.jitter.as_ref())),
            ("rate", at(raw.rate.as_ref())),
            ("bytes", at(raw.bytes.as_ref())),
            ("pings", at(raw.pings.as_ref())),
            ("code", at(raw.code.as_ref())),
            ("status", at(raw.status.as_ref())),
            ("skew_ms", at(raw.skew_ms.as_ref())),
            ("of", at(raw.of.as_ref())),
            ("nth", at(raw.nth.as_ref())),
            ("permille", at(raw.permille.as_ref())),
        ]
        .into_iter()
        .filter_map(|(key, offset)| Some((key, offset?)))
        .collect()
    }

    fn nothing_else(&self, fault: &Fault) -> Result<(), ChaosPlanError> {
        match self.given().into_iter().find(|(key, _)| !self.used.contains(key)) {
            Some((key, _)) => Err(self.wrong(key, format!("{} takes no {key}", fault.name()))),
            None => Ok(()),
        }
    }

    fn needed<T: Copy>(&mut self, key: &'static str, value: Option<&Spanned<T>>) -> Result<T, ChaosPlanError> {
        self.used.push(key);
        value
            .map(|value| *value.get_ref())
            .ok_or_else(|| self.wrong(key, "is missing"))
    }

    fn time(&mut self, key: &'static str, text: Option<&Spanned<String>>) -> Result<Option<Duration>, ChaosPlanError> {
        self.used.push(key);
        self.source.span(&self.name(key), text)
    }

    /// Towards the client, unless it is said.
    fn direction(&mut self) -> Result<Direction, ChaosPlanError> {
        self.used.push("direction");
        match self.raw.direction.as_ref().map(|text| text.get_ref().as_str()) {
            None | Some("to-client") => Ok(Direction::ToClient),
            Some("to-gateway") => Ok(Direction::ToGateway),
            Some(_) => Err(self.wrong("direction", "expected to-client or to-gateway")),
        }
    }

    fn fault(&mut self) -> Result<Fault, ChaosPlanError> {
        let raw = self.raw;
        let Some(name) = &raw.kind else {
            return Err(self.wrong("do", "is missing: it says what happens"));
        };
        let Ok(kind) = name.get_ref().parse::<FaultKind>() else {
            return Err(self.wrong("do", format!("no fault is called {:?}", name.get_ref())));
        };
        Ok(match kind {
            FaultKind::Cut => Fault::Cut,
            FaultKind::Reset => Fault::Reset,
            FaultKind::HalfOpen => Fault::HalfOpen,
            FaultKind::Close => Fault::Close(self.needed("code", raw.code.as_ref())?),
            FaultKind::Stall => Fault::Stall(self.direction()?),
            FaultKind::Latency => Fault::Latency {
                delay: self.time("delay", raw.delay.as_ref())?.unwrap_or_default(),
                jitter: self.time("jitter", raw.jitter.as_ref())?.unwrap_or_default(),
            },
            FaultKind::Bandwidth => Fault::Bandwidth(self.direction()?, Some(self.rate()?)),
            FaultKind::SlowReader => Fault::SlowReader(self.direction()?, Some(self.rate()?)),
            FaultKind::Slice => {
                let bytes = self.needed("bytes", raw.bytes.as_ref())?;
                let most = NonZeroUsize::new(bytes).ok_or_else(|| self.wrong("bytes", "expected 1 or more"))?;
                Fault::Slice(Some(most))
            }
            FaultKind::Refuse => Fault::Door(Door::Refuse),
            FaultKind::Hang => Fault::Door(Door::Hang),
            FaultKind::HangUpgrade => Fault::Door(Door::HangUpgrade),
            FaultKind::AnswerUpgrade => Fault::Door(Door::AnswerUpgrade(self.needed("status", raw.status.as_ref())?)),
            FaultKind::FailTls => Fault::Door(Door::FailTls),
            FaultKind::ClockSkew => Fault::SkewClock(self.needed("skew_ms", raw.skew_ms.as_ref())?),
            frame => Fault::Arm(self.frame(frame)?),
        })
    }

    fn rate(&mut self) -> Result<u64, ChaosPlanError> {
        self.needed("rate", self.raw.rate.as_ref())
    }

    fn frame(&mut self, kind: FaultKind) -> Result<FrameRule, ChaosPlanError> {
        let raw = self.raw;
        let fault = match kind {
            FaultKind::Lose => FrameFault::Lose,
            FaultKind::Truncate => FrameFault::Truncate,
            FaultKind::Tear => FrameFault::Tear,
            FaultKind::Duplicate => FrameFault::Duplicate,
            FaultKind::Reorder => FrameFault::Reorder,
            FaultKind::Corrupt => FrameFault::Corrupt,
            FaultKind::Garbage => FrameFault::Garbage,
            FaultKind::WrongId => FrameFault::WrongId,
            FaultKind::RepeatId => FrameFault::RepeatId,
            FaultKind::Oversize => FrameFault::Oversize(self.needed("bytes", raw.bytes.as_ref())?),
            FaultKind::Pings => FrameFault::Pings(self.needed("pings", raw.pings.as_ref())?),
            FaultKind::Pad => FrameFault::Pad(self.needed("bytes", raw.bytes.as_ref())?),
            FaultKind::CloseAtFrame => FrameFault::Close(self.needed("code", raw.code.as_ref())?),
            other => return Err(self.wrong("do", format!("{} can't be planned", other.name()))),
        };
        self.used.extend(["of", "nth", "permille"]);
        let rule = fault.next().towards(self.direction()?).of(self.which());
        match (&raw.nth, &raw.permille) {
            (Some(_), Some(_)) => Err(self.wrong("permille", "expected either nth or permille")),
            (Some(nth), None) if *nth.get_ref() == 0 => Err(self.wrong("nth", "frames are counted from 1")),
            (Some(nth), None) => Ok(rule.nth(*nth.get_ref())),
            (None, Some(chance)) if *chance.get_ref() > 1000 => Err(self.wrong("permille", "1000 is all of them")),
            (None, Some(chance)) => Ok(rule.permille(*chance.get_ref())),
            (None, None) => Ok(rule),
        }
    }

    fn which(&self) -> Which {
        match self.raw.of.as_ref().map(|text| text.get_ref().as_str()) {
            None | Some("any") => Which::Any,
            Some("requests") => Which::Requests,
            Some("responses") => Which::Responses,
            Some("events") => Which::Events,
            Some(name) => Which::Named(name.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(text: &str) -> Result<ChaosPlan, String> {
        parse(Path::new("plan.toml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn the_example_in_the_documentation_is_a_plan_with_every_kind_of_fault() {
        let plan = plan(include_str!("../../../../docs/chaos.toml")).unwrap();
        for kind in FaultKind::ALL {
            let planned = plan.fixed.iter().any(|fixed| fixed.fault.name() == kind.name());
            assert!(planned, "{} is missing in docs/chaos.toml", kind.name());
        }
        assert_eq!((plan.seed, plan.lasts), (Some(42), Some(Duration::from_mins(10))));
        assert!(plan.random.is_some());
    }

    #[test]
    fn a_wrong_key_is_named_with_its_line() {
        for (text, told) in [
            ("", "plan.toml:1: the plan has neither [random] nor a [[fault]]"),
            ("sed = 1", "plan.toml:1: unknown field `sed`"),
            (
                "for = \"10\"\n[random]",
                "plan.toml:1, for: expected a number with a unit",
            ),
            (
                "[random]\nfaults = [\"cut\",\n \"typhoon\"]",
                "plan.toml:3, random.faults: no fault is called \"typhoon\"",
            ),
            ("[[fault]]\nat = \"1s\"", "plan.toml:1, fault 1, do: is missing"),
            (
                "[[fault]]\ndo = \"cutt\"",
                "plan.toml:2, fault 1, do: no fault is called \"cutt\"",
            ),
            ("[[fault]]\ndo = \"close\"", "fault 1, code: is missing"),
            (
                "[[fault]]\ndo = \"cut\"\n\n[[fault]]\ndo = \"cut\"\ncode = 1000",
                "plan.toml:6, fault 2, code: cut takes no code",
            ),
            (
                "[[fault]]\ndo = \"cut\"\nlasts = \"1s\"",
                "plan.toml:3, fault 1, lasts: cut is over at once",
            ),
            (
                "[[fault]]\ndo = \"stall\"\ndirection = \"up\"",
                "plan.toml:3, fault 1, direction: expected to-client or to-gateway",
            ),
            (
                "[[fault]]\ndo = \"lose\"\nnth = 1\npermille = 3",
                "plan.toml:4, fault 1, permille: expected either nth or permille",
            ),
            (
                "[[fault]]\ndo = \"lose\"\nnth = 0",
                "plan.toml:3, fault 1, nth: frames are counted from 1",
            ),
            (
                "[[fault]]\ndo = \"slice\"\nbytes = 0",
                "plan.toml:3, fault 1, bytes: expected 1 or more",
            ),
        ] {
            let error = plan(text).expect_err(text);
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
