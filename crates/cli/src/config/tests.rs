use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use windlass_line::{Header, TlsPolicy};
use windlass_protocol::{ClientId, Scope};

use super::trust::TrustList;
use super::*;

/// A folder with an optional `windlass.toml`, and variables.
struct Scene {
    folder: tempfile::TempDir,
    variables: HashMap<String, OsString>,
}

impl Scene {
    fn new(file: &str, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut named = HashMap::new();
        if !file.is_empty() {
            fs::write(folder.path().join("windlass.toml"), file).unwrap();
            named.insert("WINDLASS_CONFIG".to_owned(), OsString::from("windlass.toml"));
        }
        named.extend(
            variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).into())),
        );
        Self {
            folder,
            variables: named,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&Environment<'_>) -> T) -> T {
        let variable = |name: &str| self.variables.get(name).cloned();
        act(&Environment {
            variable: &variable,
            folder: self.folder.path().to_owned(),
        })
    }

    fn select(&self, choice: &GatewayChoice) -> Result<Selected, ConfigError> {
        self.with(|environment| select(choice, environment, &Ok(Vec::new())))
    }

    fn spec(&self) -> Result<windlass_line::GatewaySpec, ConfigError> {
        self.with(|environment| {
            let selected = select(&GatewayChoice::default(), environment, &Ok(Vec::new()))?;
            let [gateway] = selected.gateways.try_into().expect("one gateway");
            gateway.into_spec(None, environment)
        })
    }
}

fn error(file: &str) -> String {
    Scene::new(file, &[])
        .select(&GatewayChoice::default())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_whole_file_becomes_gateways() {
    let pin = "AB".repeat(32);
    let scene = Scene::new(
        &format!(
            r#"
            [timeouts]
            call = "5s"
            [gateways.prod]
            url = "wss://gw.example"
            token_file = "prod.token"
            tls = {{ pin = "{pin}" }}
            scopes = ["operator.read"]
            device = "id/device.json"
            [gateways.old]
            url = "ws://10.0.0.1:18789"
            password_env = "OLD_PASSWORD"
            device = false
            "#
        ),
        &[],
    );
    let selected = scene.select(&GatewayChoice::default()).unwrap();
    let [old, prod] = selected.gateways.try_into().unwrap();
    assert_eq!(
        selected.timeouts,
        Timeouts {
            call: Duration::from_secs(5),
            ..Timeouts::default()
        }
    );
    assert_eq!(old.device, DeviceChoice::None);
    assert_eq!(
        prod.device,
        DeviceChoice::File(scene.folder.path().join("id/device.json"))
    );
    assert_eq!(prod.scopes, [Scope::Read]);
    assert!(matches!(prod.tls, TlsPolicy::Pinned(_)));
}

#[test]
fn every_mistake_is_named_with_its_file_line_and_field() {
    let rows = [
        ("[gateways.a]\nurl = \"ws://h\"\nurll = 1", ":3", "urll"),
        ("[gatewayz.a]", ":1", "gatewayz"),
        ("[gateways.a]\nurl = 7", ":2", "string"),
        ("[gateways.a]\nurl = \"http://h\"", ":2, gateways.a.url", "ws://"),
        ("\n[gateways.a]\n", ", gateways.a.url", "needs a url"),
        ("[gateways.\"a b\"]\nurl = \"ws://h\"", ":1, gateways.a b", "gateway id"),
        (
            "[gateways.a]\nurl = \"wss://h\"\ntls = { pin = \"AB\" }",
            ":3, gateways.a.tls.pin",
            "64 hexadecimal",
        ),
        (
            "[gateways.a]\nurl = \"ws://h\"\ntls = { insecure = true }",
            ":3, gateways.a.tls",
            "nothing is encrypted",
        ),
        (
            "[gateways.a]\nurl = \"wss://h\"\ntls = {}",
            ":3, gateways.a.tls",
            "insecure = true",
        ),
        (
            "[gateways.a]\nurl = \"ws://h\"\nscopes = [\"operator.raed\"]",
            ":3, gateways.a.scopes",
            "operator.read",
        ),
        (
            "[gateways.a]\nurl = \"ws://h\"\ndevice = true",
            ":3, gateways.a.device",
            "false",
        ),
        ("[gateways.a]\nurl = \"ws://h\"\ndevice = 3", ":3", "false"),
        (
            "[gateways.a]\nurl = \"ws://h\"\ncontrol_ui = true\ndevice = \"d\"",
            ":4, gateways.a.device",
            "control UI",
        ),
        (
            "[gateways.a]\nurl = \"ws://h\"\ntoken_env = \"T\"\ntoken_file = \"t\"",
            ":3, gateways.a.token_env",
            "both",
        ),
        ("[timeouts]\ncall = \"30\"", ":2, timeouts.call", "30s"),
        (
            "[gateways.a]\nurl = \"ws://h\"\nhandshake_timeout = \"15\"",
            ":3, gateways.a.handshake_timeout",
            "30s",
        ),
        ("", "no gateway", "--url"),
        ("# empty", "windlass.toml", "[gateways.NAME]"),
    ];
    for (file, place, problem) in rows {
        let error = error(file);
        assert!(error.contains(place) && error.contains(problem), "{file:?}: {error}");
    }
}

#[test]
fn a_secret_in_the_file_is_refused_and_not_repeated() {
    for (file, line) in [
        (
            "[gateways.a]\nurl = \"ws://h\"\ntoken = \"s3cret\"",
            ":3, gateways.a.token",
        ),
        (
            "[gateways.a]\nurl = \"ws://h\"\npassword = \"s3cret\"",
            ":3, gateways.a.password",
        ),
        ("[gateways.a]\nurl = \"ws://h?token=s3cret\"", ":2, gateways.a.url"),
        ("[gateways.a]\nurl = \"ws://h\"\ntoken = s3cret", ":3"),
        (
            "[gateways.a]\nurl = \"ws://h\"\nheaders = { Authorization = \"s3cret\" }",
            ":3",
        ),
    ] {
        let error = error(file);
        assert!(error.contains(line) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn a_secret_where_a_setting_belongs_is_not_repeated_either() {
    for (file, told) in [
        (
            "[gateways]\ntoken = \"s3cret\"",
            "windlass.toml:2, gateways.token: expected the settings of a gateway (begin them with [gateways.NAME])",
        ),
        (
            "[gateways.a]\nurl = \"wss://h\"\ntls = \"s3cret\"",
            "windlass.toml:3, gateways.a: expected a table with `pin` or `insecure`",
        ),
        (
            "[gateways.a]\nurl = \"ws://h\"\ncontrol_ui = \"s3cret, expected s3cret\"",
            "windlass.toml:3, gateways.a: expected a boolean",
        ),
    ] {
        let error = error(file);
        assert!(error.ends_with(told) && !error.contains("s3cret"), "{error}");
    }
}

#[test]
fn a_name_with_a_terminals_escapes_is_shown_without_them() {
    let error = error("[gateways.\"a\\u001b[31m\"]\nurl = \"http://h\"\n[timeouts]\n");
    assert!(error.contains("gateways.a[31m") && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "[gateways.a]\nurl = \"ws://file\"\n[gateways.b]\nurl = \"ws://file2\"";
    let urls = |choice: &GatewayChoice, variables: &[(&str, &str)]| -> Vec<String> {
        let selected = Scene::new(file, variables).select(choice).unwrap();
        selected
            .gateways
            .iter()
            .map(|gateway| gateway.endpoint.to_string())
            .collect()
    };
    let both = [("WINDLASS_URL", "ws://own"), ("OPENCLAW_GATEWAY_URL", "ws://theirs")];
    let by_url = GatewayChoice {
        url: Some("ws://flag".into()),
        ..GatewayChoice::default()
    };
    let by_id = GatewayChoice {
        gateways: vec!["b".into(), "b".into()],
        ..GatewayChoice::default()
    };
    assert_eq!(urls(&by_url, &both), ["ws://flag"]);
    assert_eq!(urls(&by_id, &both), ["ws://file2"]);
    assert_eq!(urls(&GatewayChoice::default(), &both), ["ws://own"]);
    assert_eq!(urls(&GatewayChoice::default(), &both[1..]), ["ws://theirs"]);
    assert_eq!(
        urls(&GatewayChoice::default(), &[("WINDLASS_URL", "")]),
        ["ws://file", "ws://file2"]
    );
}

#[test]
fn the_file_is_found_by_flag_variable_folder_and_home_in_that_order() {
    let scene = Scene::new("", &[]);
    let root = scene.folder.path().to_owned();
    fs::create_dir_all(root.join("home/.config/windlass")).unwrap();
    for (path, id) in [
        ("flag.toml", "flag"),
        ("var.toml", "variable"),
        ("home/.config/windlass/windlass.toml", "home"),
    ] {
        fs::write(root.join(path), format!("[gateways.{id}]\nurl = \"ws://h\"")).unwrap();
    }
    let home = root.join("home").into_os_string();
    let ids = |variables: &[(&str, OsString)], flag: Option<&str>| {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect::<HashMap<_, _>>();
        let variable = |name: &str| variables.get(name).cloned();
        let choice = GatewayChoice {
            config: flag.map(Into::into),
            ..GatewayChoice::default()
        };
        let environment = Environment {
            variable: &variable,
            folder: root.clone(),
        };
        let found = root.join("windlass.toml");
        if let Ok(text) = fs::read_to_string(&found) {
            TrustList::open(&environment).unwrap().trust(&found, &text).unwrap();
        }
        let selected = select(&choice, &environment, &Ok(Vec::new())).unwrap();
        selected.gateways[0].id.to_string()
    };
    let all = [("WINDLASS_CONFIG", OsString::from("var.toml")), ("HOME", home)];
    fs::write(root.join("windlass.toml"), "[gateways.folder]\nurl = \"ws://h\"").unwrap();
    assert_eq!(ids(&all, Some("flag.toml")), "flag");
    assert_eq!(ids(&all, None), "variable");
    assert_eq!(ids(&all[1..], None), "folder");
    fs::remove_file(root.join("windlass.toml")).unwrap();
    assert_eq!(ids(&all[1..], None), "home");
}

#[test]
fn an_unknown_gateway_is_answered_with_the_known_ones() {
    let scene = Scene::new("[gateways.a]\nurl = \"ws://h\"\n[gateways.b]\nurl = \"ws://h\"", &[]);
    let choice = GatewayChoice {
        gateways: vec!["c".into()],
        ..GatewayChoice::default()
    };
    let error = scene.select(&choice).unwrap_err().to_string();
    assert!(
        error.contains("--gateway") && error.contains("there are a ("),
        "{error}"
    );
}

#[test]
fn a_token_comes_from_file_or_variable_and_the_general_variable_stands_in() {
    let by_file = "[gateways.a]\nurl = \"ws://h\"\ntoken_file = \"t\"";
    let scene = Scene::new(by_file, &[]);
    fs::write(scene.folder.path().join("t"), "from-file\n").unwrap();
    assert_eq!(scene.spec().unwrap().token.unwrap().expose(), "from-file");

    let by_variable = "[gateways.a]\nurl = \"ws://h\"\ntoken_env = \"T\"";
    let spec = Scene::new(by_variable, &[("T", "mine")]).spec().unwrap();
    assert_eq!(spec.token.unwrap().expose(), "mine");
    // It may be the token of another gateway.
    let both = [("OPENCLAW_GATEWAY_TOKEN", "general"), ("T", "mine")];
    let spec = Scene::new(by_variable, &both).spec().unwrap();
    assert_eq!(spec.token.unwrap().expose(), "mine");
    let without = "[gateways.a]\nurl = \"ws://h\"";
    let spec = Scene::new(without, &both).spec().unwrap();
    assert_eq!(spec.token.unwrap().expose(), "general");
    let spec = Scene::new("", &[("WINDLASS_URL", "ws://h"), ("WINDLASS_PASSWORD", "p")])
        .spec()
        .unwrap();
    assert_eq!(spec.password.unwrap().expose(), "p");
}

#[test]
fn a_missing_or_odd_token_is_named_by_its_place_only() {
    let by_variable = "[gateways.a]\nurl = \"ws://h\"\ntoken_env = \"T\"";
    let error = Scene::new(by_variable, &[]).spec().unwrap_err().to_string();
    assert!(
        error.contains("gateways.a.token_env") && error.contains("T is not set"),
        "{error}"
    );
    let error = Scene::new(by_variable, &[("T", "s3cret\nline")])
        .spec()
        .unwrap_err()
        .to_string();
    assert!(error.contains("line breaks") && !error.contains("s3cret"), "{error}");
    let error = Scene::new("[gateways.a]\nurl = \"ws://h\"\ntoken_file = \"none\"", &[])
        .spec()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("gateways.a.token_file") && error.contains("none can't be read"),
        "{error}"
    );
}

#[test]
fn one_token_for_several_gateways_is_sent_to_none_of_them() {
    let file = "[gateways.a]\nurl = \"ws://h\"\n[gateways.b]\nurl = \"ws://h\"";
    let selected = Scene::new(file, &[("WINDLASS_TOKEN", "t")])
        .select(&GatewayChoice::default())
        .unwrap();
    assert!(selected.gateways.iter().all(|gateway| gateway.token.is_none()));
    assert!(
        selected.notes[0].contains("WINDLASS_TOKEN is not used"),
        "{:?}",
        selected.notes
    );
}

#[test]
fn how_long_a_handshake_may_take_can_be_configured() {
    let timeout = |line: &str| {
        let file = format!("[gateways.a]\nurl = \"ws://h\"\n{line}");
        Scene::new(&file, &[]).spec().unwrap().handshake_timeout
    };
    assert_eq!(timeout(""), Duration::from_secs(15));
    assert_eq!(timeout("handshake_timeout = \"2m\""), Duration::from_mins(2));
}

#[test]
fn a_control_ui_has_no_device_and_an_origin() {
    let file = "[gateways.a]\nurl = \"wss://gw.example:8443/x\"\ncontrol_ui = true\nheaders_env = { X-Key = \"K\" }";
    let scene = Scene::new(file, &[("K", "s3cret")]);
    let spec = scene.with(|environment| {
        let [gateway] = select(&GatewayChoice::default(), environment, &Ok(Vec::new()))
            .unwrap()
            .gateways
            .try_into()
            .unwrap();
        assert_eq!(gateway.device, DeviceChoice::None);
        gateway.into_spec(None, environment).unwrap()
    });
    assert_eq!(spec.client.id, ClientId::ControlUi);
    let header = |name, value: &str| Header::new(name, value).unwrap();
    let expected = [header("X-Key", "s3cret"), header("Origin", "https://gw.example:8443")];
    assert_eq!(spec.headers, expected);
    assert!(!format!("{spec:?}").contains("s3cret"));
}

/// A working folder with a configuration in it, and a home.
struct Found {
    root: tempfile::TempDir,
}

impl Found {
    fn new(text: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("home")).unwrap();
        fs::create_dir_all(root.path().join("work")).unwrap();
        let found = Self { root };
        found.write(text);
        found
    }

    fn write(&self, text: &str) {
        fs::write(self.root.path().join("work/windlass.toml"), text).unwrap();
    }

    fn with<T>(&self, folder: &str, act: impl FnOnce(&Environment<'_>) -> T) -> T {
        let home = self.root.path().join("home");
        let variable = |name: &str| (name == "HOME").then(|| home.clone().into_os_string());
        act(&Environment {
            variable: &variable,
            folder: self.root.path().join(folder),
        })
    }

    fn ids(&self, folder: &str) -> Result<Vec<String>, String> {
        let selected = self.with(folder, |environment| {
            select(&GatewayChoice::default(), environment, &Ok(Vec::new()))
        });
        let ids = |selected: Selected| selected.gateways.iter().map(|gateway| gateway.id.to_string()).collect();
        selected.map(ids).map_err(|error| error.to_string())
    }
}

#[test]
fn a_file_of_the_working_folder_is_used_as_long_as_it_is_as_it_was_trusted() {
    let text = "[gateways.a]\nurl = \"ws://h\"";
    let found = Found::new(text);
    let path = found.root.path().join("work/windlass.toml");
    let refused = found.ids("work").unwrap_err();
    assert!(
        refused.contains("not trusted yet") && refused.contains("windlass config trust"),
        "{refused}"
    );
    assert!(refused.contains("work/windlass.toml"), "{refused}");

    found.with("work", |environment| {
        TrustList::open(environment).unwrap().trust(&path, text).unwrap();
    });
    assert_eq!(found.ids("work").unwrap(), ["a"]);
    found.write("[gateways.a]\nurl = \"ws://elsewhere\"");
    assert!(found.ids("work").unwrap_err().contains("has changed"));
    found.write(text);
    assert_eq!(found.ids("work").unwrap(), ["a"]);
    // The same text elsewhere names other files.
    fs::create_dir(found.root.path().join("other")).unwrap();
    fs::copy(&path, found.root.path().join("other/windlass.toml")).unwrap();
    assert!(found.ids("other").is_err());

    let again = found.with("work", |environment| {
        TrustList::open(environment).unwrap().distrust(&path)
    });
    assert_eq!(again, Ok(true));
    assert!(found.ids("work").is_err());
}

#[cfg(unix)]
#[test]
fn the_list_of_trusted_files_and_the_users_own_file_are_the_users_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let text = "[gateways.a]\nurl = \"ws://h\"";
    let found = Found::new(text);
    let path = found.root.path().join("work/windlass.toml");
    found.with("work", |environment| {
        TrustList::open(environment).unwrap().trust(&path, text).unwrap();
    });
    let list = found.root.path().join("home/.local/state/windlass/trusted.json");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&list), mode(list.parent().unwrap())), (0o600, 0o700));
    fs::set_permissions(&list, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(found.ids("work").unwrap_err().contains("chmod 600"));

    fs::remove_file(&path).unwrap();
    let own = found.root.path().join("home/.config/windlass");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("windlass.toml"), text).unwrap();
    assert_eq!(found.ids("work").unwrap(), ["a"]);
    assert_eq!(
        found.ids("home/.config/windlass").unwrap(),
        ["a"],
        "there it is the working folder's, and still the user's own"
    );
    fs::set_permissions(own.join("windlass.toml"), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(found.ids("work").unwrap_err().contains("chmod go-w"));
}

#[test]
fn pass_phrases_and_headers_may_have_blanks_and_no_line_ends() {
    let file = "[gateways.a]\nurl = \"ws://h\"\ntoken_env = \"T\"\npassword_file = \"p\"\n\
                headers_env = { Authorization = \"A\", Cookie = \"C\" }";
    let legal = [("T", "a token"), ("A", "Bearer x.y-z"), ("C", "a=1; b=\"two words\"")];
    let scene = Scene::new(file, &legal);
    fs::write(scene.folder.path().join("p"), "correct horse battery staple\r\n").unwrap();
    let spec = scene.spec().unwrap();
    assert_eq!(spec.token.unwrap().expose(), "a token");
    assert_eq!(spec.password.unwrap().expose(), "correct horse battery staple");
    let header = |name, value: &str| Header::new(name, value).unwrap();
    assert_eq!(
        spec.headers,
        [
            header("Authorization", "Bearer x.y-z"),
            header("Cookie", "a=1; b=\"two words\"")
        ]
    );
    for injected in ["x\r\nX-Evil: 1", "x\nX-Evil: 1", "x\0y", "x\u{85}y"] {
        let variables = [("T", "t"), ("A", injected), ("C", "c")];
        let scene = Scene::new(file, &variables);
        fs::write(scene.folder.path().join("p"), "p").unwrap();
        let error = scene.spec().unwrap_err().to_string();
        assert!(
            error.contains("headers_env.Authorization") && !error.contains("Evil"),
            "{error}"
        );
    }
}

#[test]
fn where_a_secret_comes_from_travels_with_it() {
    let file = "[gateways.a]\nurl = \"ws://h\"\ntoken_env = \"T\"";
    let spec = Scene::new(file, &[("T", "s3cret")]).spec().unwrap();
    let told = spec.origins.token.clone().unwrap().to_string();
    assert!(
        told.starts_with("the variable T (") && told.contains("windlass.toml:3, gateways.a.token_env"),
        "{told}"
    );
    assert!(!format!("{spec:?}").contains("s3cret"));
    let spec = Scene::new("", &[("WINDLASS_URL", "ws://h"), ("WINDLASS_TOKEN", "t")])
        .spec()
        .unwrap();
    assert_eq!(spec.origins.token.unwrap().to_string(), "the variable WINDLASS_TOKEN");
}
