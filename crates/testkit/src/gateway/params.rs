//! Parameter checks: the objects are closed, and a complaint reads as the gateway's does.

use serde_json::Value;

use super::profile::Profile;

/// What a parameter may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// At least one character.
    Name,
    Whole,
    Flag,
    List,
    /// Checked elsewhere or not at all.
    Any,
}

/// One named parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// Position of the first release that knows it.
    pub(crate) from: usize,
}

/// A required parameter.
pub(crate) const fn need(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: true,
        from: 0,
    }
}

/// An optional parameter.
pub(crate) const fn may(name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: false,
        from: 0,
    }
}

/// An optional parameter that older releases refuse.
pub(crate) const fn since(from: usize, name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        kind,
        required: false,
        from,
    }
}

/// Checks `params` against `fields`; the complaint is what follows `invalid <method> params: `.
pub(crate) fn check(profile: &Profile, fields: &[Field], params: &Value) -> Result<(), String> {
    let Some(object) = params.as_object() else {
        return Err("must be object".into());
    };
    let mut complaints = Vec::new();
    let known = |name: &str| {
        fields
            .iter()
            .find(|field| field.name == name && profile.index >= field.from)
    };
    for field in fields
        .iter()
        .filter(|field| field.required && profile.index >= field.from)
    {
        if !object.contains_key(field.name) {
            complaints.push(format!("must have required property '{}'", field.name));
        }
    }
    for (name, value) in object {
        match known(name) {
            None => complaints.push(format!("at root: unexpected property '{name}'")),
            Some(field) => complaints.extend(mistake(field.kind, value).map(|text| format!("at /{name}: {text}"))),
        }
    }
    if complaints.is_empty() {
        Ok(())
    } else {
        Err(complaints.join("; "))
    }
}

fn mistake(kind: Kind, value: &Value) -> Option<&'static str> {
    match kind {
        // Null takes a setting back in `sessions.patch` and is not looked at elsewhere.
        _ if value.is_null() => None,
        Kind::Text | Kind::Name if !value.is_string() => Some("must be string"),
        Kind::Name if value.as_str().is_some_and(str::is_empty) => Some("must not have fewer than 1 characters"),
        Kind::Whole if value.as_u64().is_none() => Some("must be integer"),
        Kind::Flag if !value.is_boolean() => Some("must be boolean"),
        Kind::List if !value.is_array() => Some("must be array"),
        _ => None,
    }
}

const CLIENT_IDS: [&str; 12] = [
    "gateway-client",
    "cli",
    "openclaw-control-ui",
    "webchat",
    "webchat-ui",
    "openclaw-macos",
    "openclaw-ios",
    "openclaw-android",
    "node-host",
    "openclaw-probe",
    "test",
    "fingerprint",
];
const CLIENT_IDS_V4: [&str; 5] = [
    "openclaw-tui",
    "openclaw-linux",
    "openclaw-watchos",
    "openclaw-worker",
    "openclaw-browser-copilot",
];
const MODES: [&str; 7] = ["backend", "cli", "ui", "webchat", "node", "probe", "test"];

/// Checks the parameters of `connect`, which are nested.
pub(crate) fn check_connect(profile: &Profile, params: &Value) -> Result<(), String> {
    use Kind::{Any, List, Name, Text, Whole};
    const V4: usize = super::profile::at::R5_12;
    let top = [
        need("minProtocol", Whole),
        need("maxProtocol", Whole),
        need("client", Any),
        may("role", Name),
        may("scopes", List),
        may("caps", List),
        may("commands", List),
        may("permissions", Any),
        may("pathEnv", Text),
        may("auth", Any),
        may("device", Any),
        may("locale", Text),
        may("userAgent", Text),
        since(V4, "computerUse", Any),
        since(V4, "workerRuns", Any),
    ];
    let client = [
        need("id", Text),
        need("version", Name),
        need("platform", Name),
        need("mode", Text),
        may("displayName", Name),
        may("deviceFamily", Name),
        may("modelIdentifier", Name),
        may("instanceId", Name),
        since(V4, "buildId", Name),
        since(V4, "timeZone", Name),
    ];
    let nonce = if profile.v1_signature {
        may("nonce", Name)
    } else {
        need("nonce", Name)
    };
    let device = [
        need("id", Name),
        need("publicKey", Name),
        need("signature", Name),
        need("signedAt", Whole),
        nonce,
    ];
    let auth = [
        may("token", Text),
        may("password", Text),
        may("deviceToken", Text),
        may("bootstrapToken", Text),
        since(V4, "approvalRuntimeToken", Text),
        since(V4, "agentRuntimeIdentityToken", Text),
    ];
    check(profile, &top, params)?;
    nested(profile, "client", &client, params)?;
    nested(profile, "device", &device, params)?;
    nested(profile, "auth", &auth, params)?;
    let v4 = profile.v4();
    let id = params["client"]["id"].as_str().unwrap_or_default();
    let mode = params["client"]["mode"].as_str().unwrap_or_default();
    allowed(
        profile,
        "/client/id",
        CLIENT_IDS.contains(&id) || (v4 && CLIENT_IDS_V4.contains(&id)),
    )?;
    allowed(
        profile,
        "/client/mode",
        MODES.contains(&mode) || (v4 && mode == "worker"),
    )
}

fn nested(profile: &Profile, key: &str, fields: &[Field], params: &Value) -> Result<(), String> {
    match params.get(key) {
        None => Ok(()),
        Some(value) => check(profile, fields, value).map_err(|complaint| {
            // Only the first complaint is kept, with its place made absolute.
            let first = complaint.split("; ").next().unwrap_or_default();
            match (first.strip_prefix("at root: "), first.strip_prefix("at /")) {
                (Some(text), _) => format!("at /{key}: {text}"),
                (_, Some(text)) => format!("at /{key}/{text}"),
                _ => format!("at /{key}: {first}"),
            }
        }),
    }
}

fn allowed(profile: &Profile, place: &str, ok: bool) -> Result<(), String> {
    if ok {
        return Ok(());
    }
    Err(if profile.v4() {
        format!("at {place}: must be equal to one of the allowed values")
    } else {
        format!("at {place}: must be equal to constant; at {place}: must match a schema in anyOf")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Kind, check, check_connect, may, need};
    use crate::gateway::profile::{Generation, Profile};

    #[test]
    fn complaints_name_the_place_and_the_property() {
        let profile = Profile::latest(Generation::V4);
        let fields = [need("key", Kind::Name), may("limit", Kind::Whole)];
        let says = |params| check(&profile, &fields, &params).unwrap_err();
        assert_eq!(says(json!({})), "must have required property 'key'");
        assert_eq!(
            says(json!({"key": "k", "bogus": 1})),
            "at root: unexpected property 'bogus'"
        );
        assert_eq!(
            says(json!({"key": "", "limit": "x"})),
            "at /key: must not have fewer than 1 characters; at /limit: must be integer"
        );
    }

    #[test]
    fn a_device_block_without_nonce_passes_on_the_oldest_release_only() {
        let params = json!({
            "minProtocol": 3, "maxProtocol": 4,
            "client": {"id": "cli", "version": "1", "platform": "linux", "mode": "cli"},
            "device": {"id": "d", "publicKey": "p", "signature": "s", "signedAt": 1},
        });
        let says = |release| check_connect(&Profile::of(release).expect("known"), &params);
        assert_eq!(says("2026.1.30"), Ok(()));
        assert_eq!(
            says("2026.9.6").unwrap_err(),
            "at /device: must have required property 'nonce'"
        );
    }
}
