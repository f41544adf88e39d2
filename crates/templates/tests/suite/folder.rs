//! A user's folder of templates.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use windlass_templates::{
    Content, MAX_TEMPLATE, Override, Overrides, Rendered, TemplateError, TemplateRole, Templates,
};

use crate::samples::full;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn render(folder: &Path, role: TemplateRole) -> Result<Rendered, TemplateError> {
    Templates::with_folder(folder)?.render(role, &full(role), &Overrides::default())
}

#[test]
fn a_file_for_a_role_goes_before_one_for_all_and_that_before_the_shipped() {
    let files = [
        ("SOUL.md.j2", "all {{ agent_role }}"),
        ("lead/SOUL.md.j2", "lead only"),
        (".git/x", ""),
        (".DS_Store", ""),
    ];
    let folder = folder(&files);
    for (role, soul) in [
        (TemplateRole::Main, "all main\n"),
        (TemplateRole::Lead, "lead only\n"),
        (TemplateRole::Worker, "all worker\n"),
    ] {
        let rendered = render(folder.path(), role).unwrap();
        assert_eq!(rendered.get(Content::Soul), Some(soul));
        assert!(
            rendered.get(Content::Agents).unwrap().starts_with("# How you work"),
            "the rest is shipped"
        );
    }
}

#[test]
fn an_agents_own_template_goes_before_the_folder() {
    let folder = folder(&[("SOUL.md.j2", "from the folder")]);
    let overrides = Overrides {
        soul: Some(Override::Template("my own".into())),
        ..Overrides::default()
    };
    let templates = Templates::with_folder(folder.path()).unwrap();
    let rendered = templates
        .render(TemplateRole::Worker, &full(TemplateRole::Worker), &overrides)
        .unwrap();
    assert_eq!(rendered.get(Content::Soul), Some("my own\n"));
}

#[test]
fn parts_and_messages_can_be_replaced() {
    let files = [
        ("shared/api.md.j2", "## Ring {{ base_url }}"),
        ("messages/wake.j2", "Up, {{ agent_name }}!"),
    ];
    let folder = folder(&files);
    let templates = Templates::with_folder(folder.path()).unwrap();
    let variables = full(TemplateRole::Lead);
    let rendered = templates
        .render(TemplateRole::Lead, &variables, &Overrides::default())
        .unwrap();
    assert!(
        rendered
            .get(Content::Agents)
            .unwrap()
            .contains("## Ring https://board.example/api/v1")
    );
    let wake = templates
        .wake_message(TemplateRole::Lead, &variables, "wake-1", true)
        .unwrap();
    assert_eq!(wake, "Up, Ada!\n\nref: wake-1", "the reference is there all the same");
}

#[test]
fn a_template_of_the_folder_may_build_on_the_shipped_one() {
    let folder = folder(&[("worker/SOUL.md.j2", "{% include 'worker/SOUL.md' %}\n## Ours\n")]);
    let rendered = render(folder.path(), TemplateRole::Worker).unwrap();
    let soul = rendered.get(Content::Soul).unwrap();
    assert!(soul.starts_with("# Soul") && soul.ends_with("## Ours\n"), "{soul}");
}

#[test]
fn an_unknown_variable_names_the_users_file_and_line() {
    for name in ["worker/TOOLS.md.j2", "TOOLS.md.j2", "shared/safety.md.j2"] {
        let folder = folder(&[(name, "one\ntwo {{ auth_tokn }}\n")]);
        let error = render(folder.path(), TemplateRole::Worker).unwrap_err();
        let path = folder.path().join(name).display().to_string();
        assert!(
            matches!(&error, TemplateError::UnknownVariable { template, line: 2, variable }
                if *template == path && variable == "auth_tokn"),
            "{error:?}"
        );
    }
}

#[test]
fn a_syntax_error_is_found_when_the_folder_is_read() {
    let folder = folder(&[("main/USER.md.j2", "ok\n{{ user_name")]);
    let error = Templates::with_folder(folder.path()).unwrap_err();
    assert!(
        matches!(&error, TemplateError::Syntax { template, line: 2, .. } if template.ends_with("USER.md.j2")),
        "{error:?}"
    );
}

#[test]
fn a_name_that_overrides_nothing_is_refused_with_what_is_allowed() {
    for (name, allowed) in [
        ("AGENT.md.j2", "AGENTS.md.j2, SOUL.md.j2"),
        ("SOUL.md", "SOUL.md.j2"),
        ("boss/SOUL.md.j2", "main, lead, worker"),
        ("lead/soul.md.j2", "SOUL.md.j2"),
        ("lead/old/SOUL.md.j2", "SOUL.md.j2"),
        ("shared/extra.md.j2", "api.md.j2, routine.md.j2, safety.md.j2"),
        ("messages/wake.md.j2", "wake.j2, cleanup.j2"),
        ("lead/SOUL.md.j2/x", "SOUL.md.j2"),
    ] {
        let folder = folder(&[(name, "x")]);
        let error = Templates::with_folder(folder.path()).unwrap_err();
        assert!(matches!(error, TemplateError::UnknownFile { .. }), "{name}: {error:?}");
        assert!(error.to_string().contains(allowed), "{name}: {error}");
    }
}

#[test]
fn what_cannot_be_read_is_an_error_naming_it() {
    let missing = Templates::with_folder(Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read /nowhere/at/all");
    let folder = folder(&[]);
    fs::write(folder.path().join("SOUL.md.j2"), [0xff, 0xfe]).unwrap();
    let error = Templates::with_folder(folder.path()).unwrap_err();
    assert!(
        matches!(&error, TemplateError::Folder { path, .. } if path.ends_with("SOUL.md.j2")),
        "{error:?}"
    );
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let folder = folder(&[("SOUL.md.j2", &"x".repeat(MAX_TEMPLATE + 1))]);
    let error = Templates::with_folder(folder.path()).unwrap_err();
    assert!(matches!(error, TemplateError::TooLarge { .. }), "{error:?}");
}

#[cfg(unix)]
#[test]
fn a_link_within_the_folder_is_followed_and_one_out_of_it_refused() {
    use std::os::unix::fs::symlink;
    // As mounted volumes are: every file is a link into a hidden folder of the moment.
    let mounted = folder(&[("..moment/SOUL.md.j2", "mounted"), ("..moment/TOOLS.md.j2", "x")]);
    symlink("..moment", mounted.path().join("..data")).unwrap();
    symlink("..data/SOUL.md.j2", mounted.path().join("SOUL.md.j2")).unwrap();
    let rendered = render(mounted.path(), TemplateRole::Main).unwrap();
    assert_eq!(rendered.get(Content::Soul), Some("mounted\n"));
    let linked = tempfile::tempdir().unwrap();
    symlink(mounted.path(), linked.path().join("to-the-folder")).unwrap();
    render(&linked.path().join("to-the-folder"), TemplateRole::Main).expect("the folder itself may be a link");

    let outside = folder(&[("secret", "s3cret"), ("role/SOUL.md.j2", "s3cret")]);
    for (link, to) in [
        ("SOUL.md.j2", "secret"),
        ("lead/SOUL.md.j2", "secret"),
        ("worker", "role"),
        ("shared/api.md.j2", "secret"),
    ] {
        let folder = folder(&[("lead/AGENTS.md.j2", "x"), ("shared/safety.md.j2", "x")]);
        symlink(outside.path().join(to), folder.path().join(link)).unwrap();
        let error = Templates::with_folder(folder.path()).unwrap_err();
        assert!(
            matches!(&error, TemplateError::Outside { path } if path.ends_with(link)),
            "{link}: {error:?}"
        );
        assert!(!format!("{error:?} {error}").contains("s3cret"), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_is_no_regular_file_is_refused_and_not_waited_for() {
    use std::os::unix::fs::symlink;
    for name in ["SOUL.md.j2", "lead/SOUL.md.j2", "messages/wake.j2"] {
        let folder = folder(&[("lead/AGENTS.md.j2", "x"), ("messages/nudge.j2", "x")]);
        let path = folder.path().join(name);
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let error = Templates::with_folder(folder.path()).unwrap_err();
        assert!(
            matches!(&error, TemplateError::Folder { path, .. } if path.ends_with(name)),
            "{error:?}"
        );
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
        let error = Templates::with_folder(folder.path()).unwrap_err();
        assert!(matches!(&error, TemplateError::Outside { .. }), "{error:?}");
    }
}

#[test]
fn a_folder_with_more_entries_than_templates_is_refused() {
    let folder = folder(&[]);
    for number in 0..300 {
        fs::write(folder.path().join(format!("{number}.j2")), "").unwrap();
    }
    let error = Templates::with_folder(folder.path()).unwrap_err();
    assert!(
        matches!(error, TemplateError::TooLarge { what: "the folder", .. }),
        "{error:?}"
    );
}

#[test]
fn an_empty_folder_changes_nothing() {
    let folder = folder(&[]);
    assert_eq!(
        render(folder.path(), TemplateRole::Main).unwrap(),
        crate::samples::render(TemplateRole::Main, &full(TemplateRole::Main))
    );
}
