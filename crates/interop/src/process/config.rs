//! The configuration and environment of a scratch gateway.

use std::{ffi::OsString, path::Path};

use serde_json::{Value, json};

use crate::{install::Installed, model::MODELS};

/// The inputs of a gateway's configuration.
pub(super) struct Plan<'a> {
    pub(super) port: u16,
    pub(super) token: &'a str,
    pub(super) model_url: &'a str,
    pub(super) state_dir: &'a Path,
}

/// The smallest configuration that starts on all nine measured releases: loopback, token
/// authentication, the fake model as the only provider, and nothing that works by itself.
pub(super) fn base_config(plan: &Plan<'_>) -> Value {
    let models: Vec<Value> = MODELS.iter().map(|id| model_entry(id)).collect();
    let provider = json!({
        "baseUrl": plan.model_url, "apiKey": "fake-key",
        "api": "openai-completions", "models": models,
    });
    let defaults = json!({
        "model": {"primary": format!("fake/{}", MODELS[0])},
        "skipBootstrap": true,
        "workspace": plan.state_dir.join("workspace"),
        "heartbeat": {"every": "0m"},
    });
    json!({
        "gateway": {
            "mode": "local", "port": plan.port, "bind": "loopback",
            "auth": {"mode": "token", "token": plan.token},
        },
        "models": {"mode": "replace", "providers": {"fake": provider}},
        "agents": {"defaults": defaults},
        "discovery": {"mdns": {"mode": "off"}},
        "update": {"checkOnStart": false},
        "logging": {"file": plan.state_dir.join("openclaw.log")},
    })
}

fn model_entry(id: &str) -> Value {
    json!({
        "id": id, "name": id, "reasoning": false, "input": ["text"],
        "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
        "contextWindow": 128_000, "maxTokens": 8192,
    })
}

/// Merges `extra` into `base`: objects key by key, anything else replaces.
pub fn merge(base: &mut Value, extra: &Value) {
    match (base, extra) {
        (Value::Object(base), Value::Object(extra)) => {
            for (key, value) in extra {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, extra) => *base = extra.clone(),
    }
}

/// The whole environment of a gateway: nothing is inherited but the search path's end.
pub(super) fn environment(
    installed: &Installed,
    state_dir: &Path,
    config_file: &Path,
) -> Vec<(&'static str, OsString)> {
    let cache = installed.cache_dir();
    let mut env: Vec<(&'static str, OsString)> = vec![
        ("PATH", installed.path()),
        ("HOME", state_dir.join("home").into()),
        ("TMPDIR", cache.clone().into()),
        ("NODE_COMPILE_CACHE", cache.join("node-compile-cache").into()),
        ("LANG", "C.UTF-8".into()),
        ("NO_COLOR", "1".into()),
        // 2026.4.15 starts a helper through npx: nothing is to be installed by a running gateway.
        ("npm_config_offline", "true".into()),
        ("OPENCLAW_STATE_DIR", state_dir.into()),
        ("OPENCLAW_CONFIG_PATH", config_file.into()),
        ("OPENCLAW_EXEC_SHELL_SNAPSHOT", "0".into()),
    ];
    env.extend(SWITCHES.map(|name| (name, OsString::from("1"))));
    env
}

/// Switches that are all set to 1.
const SWITCHES: [&str; 10] = [
    // Restart inside the process: the pid stays the gateway's own.
    "OPENCLAW_NO_RESPAWN",
    // No parent process that only prepares the compile cache: a signal to the pid reaches the
    // gateway itself (2026.9.6).
    "OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED",
    "OPENCLAW_NO_AUTO_UPDATE",
    "OPENCLAW_DISABLE_BONJOUR",
    "OPENCLAW_SKIP_CHANNELS",
    "OPENCLAW_SKIP_PROVIDERS",
    "OPENCLAW_SKIP_GMAIL_WATCHER",
    "OPENCLAW_SKIP_CANVAS_HOST",
    "OPENCLAW_SKIP_BROWSER_CONTROL_SERVER",
    "OPENCLAW_SKIP_STARTUP_MODEL_PREWARM",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merging_goes_into_objects_and_replaces_everything_else() {
        let mut base = json!({"gateway": {"port": 1, "auth": {"mode": "token"}}, "list": [1, 2]});
        let extra = json!({"gateway": {"trustedProxies": ["127.0.0.1"]}, "list": [3], "new": {"a": 1}});
        merge(&mut base, &extra);
        let merged = json!({
            "gateway": {"port": 1, "auth": {"mode": "token"}, "trustedProxies": ["127.0.0.1"]},
            "list": [3], "new": {"a": 1},
        });
        assert_eq!(base, merged);
    }

    #[test]
    fn merging_nothing_changes_nothing() {
        let mut base = json!({"a": {"b": 1}});
        merge(&mut base, &json!({}));
        assert_eq!(base, json!({"a": {"b": 1}}));
    }

    #[test]
    fn the_configuration_stays_on_loopback_and_in_its_folder() {
        let plan = Plan {
            port: 4711,
            token: "t",
            model_url: "http://127.0.0.1:1/v1",
            state_dir: Path::new("/scratch"),
        };
        let config = base_config(&plan);
        assert_eq!(config["gateway"]["bind"], "loopback");
        assert_eq!(config["gateway"]["port"], 4711);
        assert_eq!(config["agents"]["defaults"]["workspace"], "/scratch/workspace");
        assert_eq!(config["discovery"]["mdns"]["mode"], "off");
    }
}
