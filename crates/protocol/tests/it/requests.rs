//! Every recorded answer to a typed request has the reply's shape, and loses nothing by it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;
use windlass_protocol::request::{
    AgentWait, AgentsCreate, AgentsDelete, AgentsFilesGet, AgentsFilesList, AgentsFilesSet, AgentsList, AgentsUpdate,
    ChatAbort, ChatHistory, ChatSend, ConfigGet, ConfigPatch, CronList, DevicePairApprove, DevicePairList,
    GatewayIdentityGet, Health, Request, SessionsDelete, SessionsDescribe, SessionsList, SessionsPatch, SessionsReset,
};

use crate::corpus::{self, Line};

/// Members that were cut out of recordings whole, and that no reply can do without.
const CUT_LISTS: [&str; 3] = ["sessions", "messages", "jobs"];

/// Checks one answer.
type Check = fn(&str, &Value);

fn check<R: Request>(place: &str, payload: &Value)
where
    R::Reply: Serialize,
{
    let reply: R::Reply = serde_json::from_value(payload.clone())
        .unwrap_or_else(|error| panic!("{place}: {}: {error}: {payload}", R::METHOD));
    assert_eq!(&serde_json::to_value(&reply).unwrap(), payload, "{place}");
}

fn row<R: Request>() -> (&'static str, Check)
where
    R::Reply: Serialize,
{
    (R::METHOD, check::<R>)
}

fn checks() -> BTreeMap<&'static str, Check> {
    BTreeMap::from([
        row::<Health>(),
        row::<GatewayIdentityGet>(),
        row::<AgentsList>(),
        row::<AgentsCreate>(),
        row::<AgentsUpdate>(),
        row::<AgentsDelete>(),
        row::<ConfigGet>(),
        row::<ConfigPatch>(),
        row::<CronList>(),
        row::<SessionsReset>(),
        row::<SessionsDelete>(),
        row::<SessionsDescribe>(),
        row::<AgentsFilesList>(),
        row::<AgentsFilesGet>(),
        row::<AgentsFilesSet>(),
        row::<SessionsList>(),
        row::<SessionsPatch>(),
        row::<ChatSend>(),
        row::<ChatHistory>(),
        row::<ChatAbort>(),
        row::<AgentWait>(),
        row::<DevicePairList>(),
        row::<DevicePairApprove>(),
    ])
}

/// What was asked under each id. An id that was used twice on a connection answers for nobody: recordings have that on purpose.
fn asked(lines: &[Line]) -> HashMap<(&str, &str), Option<&str>> {
    let mut asked = HashMap::new();
    for line in lines.iter().filter(|line| line.dir == "out") {
        let (Some(id), Some(method)) = (line.frame["id"].as_str(), line.frame["method"].as_str()) else {
            continue;
        };
        asked
            .entry((line.conn.as_str(), id))
            .and_modify(|method| *method = None)
            .or_insert(Some(method));
    }
    asked
}

fn check_corpus(folder: &Path) -> BTreeMap<&'static str, usize> {
    let (lines, checks) = (corpus::read(folder), checks());
    let asked = asked(&lines);
    let mut seen = BTreeMap::new();
    for line in lines.iter().filter(|line| line.dir == "in" && line.frame["ok"] == true) {
        let id = line.frame["id"].as_str().unwrap_or_default();
        let method = asked.get(&(line.conn.as_str(), id)).copied().flatten();
        let Some((method, check)) = method.and_then(|method| checks.get_key_value(method)) else {
            continue;
        };
        let mut payload = line.frame["payload"].clone();
        restore_lists(&mut payload);
        check(&line.place, &payload);
        *seen.entry(*method).or_default() += 1;
    }
    println!("{}: {seen:#?}", folder.display());
    seen
}

fn restore_lists(payload: &mut Value) {
    corpus::drop_cut_items(payload);
    for name in CUT_LISTS {
        if let Some(list) = payload.get_mut(name).filter(|list| corpus::is_placeholder(list)) {
            *list = Value::Array(Vec::new());
        }
    }
}

#[test]
fn every_answer_of_our_recordings_has_its_replys_shape_and_loses_nothing() {
    let seen = check_corpus(&corpus::fixtures());
    for method in checks().keys() {
        assert!(seen.contains_key(method), "no sample of {method}");
    }
}

#[test]
#[ignore = "needs WINDLASS_TRANSCRIPTS"]
fn every_answer_of_further_recordings_has_its_replys_shape_and_loses_nothing() {
    let seen = check_corpus(&corpus::transcripts());
    assert!(seen.len() > checks().len() / 2, "{seen:?}");
}

#[test]
fn an_answer_of_another_shape_is_refused() {
    let answer = serde_json::json!({"defaultId": "main", "agents": "none"});
    let error = serde_json::from_value::<<AgentsList as Request>::Reply>(answer).unwrap_err();
    assert!(error.to_string().contains("agents"), "{error}");
}
