use super::*;

fn no_host(_: &str) -> Option<Secret> {
    None
}

#[test]
fn the_three_kinds_read_back_as_they_are_written() {
    for text in ["env:OPENCLAW_TOKEN", "file:/run/secrets/token", "host:prod/gateway:1"] {
        let source: SecretSource = text.parse().unwrap();
        assert_eq!(source.to_string(), text);
        assert_eq!(serde_json::to_value(&source).unwrap(), text);
    }
}

#[test]
fn a_secret_in_place_of_its_name_is_refused_and_not_shown() {
    for text in [
        "s3cret-value",
        "env:s3cret-value",
        "env:1A",
        "env:",
        "vault:s3cret",
        "host:a\nb",
        "",
    ] {
        let error = text.parse::<SecretSource>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cret"));
    }
}

#[test]
fn a_secret_is_read_without_the_blanks_around_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let source = SecretSource::File(path.clone());
    assert!(matches!(source.read(&no_host), Err(SecretError::File { .. })));
    std::fs::write(&path, "  hunter2\n").unwrap();
    assert_eq!(source.read(&no_host).unwrap(), Some(Secret::new("hunter2")));
    std::fs::write(&path, "\n").unwrap();
    assert_eq!(source.read(&no_host).unwrap(), None);
}

#[test]
fn a_text_that_no_gateway_could_take_is_refused_by_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let source = SecretSource::File(path.clone());
    for (text, expected) in [
        (vec![0xff, 0xfe], UnfitSecret::NotText),
        (vec![b'x'; MAX_SECRET_BYTES + 1], UnfitSecret::TooLong),
        (b"hunter2\nhunter3".to_vec(), UnfitSecret::ControlCharacter),
    ] {
        std::fs::write(&path, text).unwrap();
        let error = source.read(&no_host).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(
            matches!(error, SecretError::Unfit { why, .. } if why == expected),
            "{error:?}"
        );
        assert!(shown.contains("token") && !shown.contains("hunter"), "{shown}");
    }
    std::fs::write(&path, vec![b'x'; MAX_SECRET_BYTES]).unwrap();
    assert!(source.read(&no_host).unwrap().is_some());
}

#[test]
fn the_host_and_the_environment_are_asked_by_name() {
    let host = SecretSource::Host("vault".into());
    assert_eq!(
        host.read(&|name| Some(Secret::new(name.to_uppercase()))).unwrap(),
        Some(Secret::new("VAULT"))
    );
    assert!(matches!(host.read(&no_host), Err(SecretError::UnknownToHost { .. })));
    assert!(SecretSource::Env("PATH".into()).read(&no_host).unwrap().is_some());
    let token = |name: &str| (name == "TOKEN").then(|| " hunter2 ".into());
    let given = SecretSource::Env("TOKEN".into()).read_in(&token, &no_host).unwrap();
    assert_eq!(given, Some(Secret::new("hunter2")));
    let unset = SecretSource::Env("WINDLASS_IS_NOT_SET_ANYWHERE".into())
        .read(&no_host)
        .unwrap_err();
    assert!(unset.to_string().contains("WINDLASS_IS_NOT_SET_ANYWHERE"), "{unset}");
}
