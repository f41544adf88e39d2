//! Where contents go, and what follows when a gateway refuses a file.

use windlass_templates::{Content, Home, Layout, MAX_FILE, MAX_RENDERED, Rendered, TemplateRole, tool_values};

use crate::samples::{CLASSIC, MERGED, TOKEN, full, render};

fn rendered() -> Rendered {
    render(TemplateRole::Lead, &full(TemplateRole::Lead))
}

fn files(layout: &Layout, bootstrap: bool) -> Vec<String> {
    layout.place(&rendered(), bootstrap).files.into_keys().collect()
}

#[test]
fn what_the_gateway_lists_decides() {
    let classic = Layout::of(&CLASSIC, true);
    assert!(
        Content::ALL
            .into_iter()
            .all(|content| classic.home(content) == Home::File),
        "listed files win"
    );
    let merged = Layout::of(&MERGED, true);
    assert_eq!(
        (merged.home(Content::Tools), merged.home(Content::Heartbeat)),
        (Home::Section, Home::Scratch)
    );
    assert_eq!(
        merged.home(Content::Identity),
        Home::File,
        "accepted though never listed"
    );
    assert_eq!(Layout::of(&MERGED, false).home(Content::Heartbeat), Home::Section);
    let between = Layout::of(&["AGENTS.md", "TOOLS.md"], true);
    assert_eq!(
        (between.home(Content::Tools), between.home(Content::Heartbeat)),
        (Home::File, Home::Scratch)
    );
    assert_eq!(
        (classic.holder_of_token(), merged.holder_of_token()),
        ("TOOLS.md", "AGENTS.md")
    );
}

#[test]
fn the_bootstrap_is_placed_only_when_asked_for() {
    let layout = Layout::of(&MERGED, true);
    assert_eq!(
        files(&layout, false),
        ["AGENTS.md", "IDENTITY.md", "MEMORY.md", "SOUL.md", "USER.md"]
    );
    assert!(files(&layout, true).contains(&"BOOTSTRAP.md".to_owned()));
    assert!(rendered().get(Content::Bootstrap).is_some());
}

#[test]
fn a_refused_file_moves_its_content_to_the_fallback_place() {
    let classic = Layout::of(&CLASSIC, true);
    let taught = classic.without("TOOLS.md").without("HEARTBEAT.md");
    assert_eq!(taught, Layout::of(&MERGED, true));
    let placement = taught.place(&rendered(), false);
    assert_eq!(
        tool_values(&placement.files["AGENTS.md"]).get("AUTH_TOKEN"),
        Some(TOKEN)
    );
    assert!(placement.scratch.is_some_and(|text| text.starts_with("# Heartbeat")));
    assert_eq!(taught.without_scratch(), Layout::of(&MERGED, false));
    assert_eq!(taught.without("TOOLS.md"), taught, "said twice, learnt once");
    assert_eq!(classic.without("notes.md"), classic, "not one of ours");
}

#[test]
fn a_refused_file_without_a_fallback_is_dropped_and_said_so() {
    let layout = Layout::of(&MERGED, true).without("IDENTITY.md").without("BOOTSTRAP.md");
    assert_eq!(
        layout.dropped().collect::<Vec<_>>(),
        [Content::Identity, Content::Bootstrap]
    );
    assert!(
        !files(&layout, true)
            .iter()
            .any(|name| name == "IDENTITY.md" || name == "BOOTSTRAP.md")
    );
    let none = Layout::of(&MERGED, false).without("AGENTS.md");
    assert_eq!(
        none.dropped().collect::<Vec<_>>(),
        [Content::Agents, Content::Tools, Content::Heartbeat]
    );
    assert!(!files(&none, true).contains(&"AGENTS.md".to_owned()));
    assert_eq!(
        Layout::of(&CLASSIC, false)
            .without("AGENTS.md")
            .without("TOOLS.md")
            .home(Content::Tools),
        Home::Nowhere
    );
}

#[test]
fn stale_files_are_ours_present_and_not_managed_here() {
    let merged = Layout::of(&MERGED, true);
    let present = [
        "AGENTS.md",
        "TOOLS.md",
        "HEARTBEAT.md",
        "IDENTITY.md",
        "BOOTSTRAP.md",
        "notes.md",
    ];
    assert_eq!(merged.stale(&present), ["TOOLS.md", "HEARTBEAT.md"]);
    assert_eq!(merged.stale(&["AGENTS.md", "HEARTBEAT.md"]), ["HEARTBEAT.md"]);
    assert!(Layout::of(&CLASSIC, true).stale(&present).is_empty());
    assert_eq!(
        merged.without("BOOTSTRAP.md").stale(&["BOOTSTRAP.md"]),
        ["BOOTSTRAP.md"]
    );
}

#[test]
fn sections_come_last_and_stay_whole() {
    let placement = Layout::of(&MERGED, false).place(&rendered(), false);
    let agents = &placement.files["AGENTS.md"];
    let headings: Vec<_> = agents.lines().filter(|line| line.starts_with("## ")).collect();
    assert!(headings.ends_with(&["## Heartbeat", "## Tools"]), "{headings:?}");
    assert_eq!(
        agents.lines().filter(|line| line.starts_with("# ")).count(),
        1,
        "one title"
    );
    assert!(placement.scratch.is_none());
}

#[test]
fn a_section_survives_an_open_fence_and_headings_of_an_override() {
    let texts = [
        (Content::Agents, "# Mine\n\n```sh\nnever closed\n"),
        (Content::Heartbeat, "no title\n## Tools\nAUTH_TOKEN=wrong\n~~~~\nopen"),
        (
            Content::Tools,
            "# My tools\n## Part one\n- `AUTH_TOKEN=right`\n###### Deep\n```\n# no heading\n```\n",
        ),
    ];
    let rendered: Rendered = texts
        .into_iter()
        .map(|(content, text)| (content, text.to_owned()))
        .collect();
    let agents = &Layout::of(&MERGED, false).place(&rendered, false).files["AGENTS.md"];
    assert_eq!(tool_values(agents).get("AUTH_TOKEN"), Some("right"), "{agents}");
    assert!(
        agents.contains("### Part one\n") && agents.contains("\n###### Deep\n"),
        "{agents}"
    );
    assert!(
        agents.contains("```\n# no heading\n```"),
        "code stays as it is: {agents}"
    );
}

#[test]
fn agents_without_a_text_of_its_own_still_gets_the_sections() {
    let rendered: Rendered = [(Content::Tools, "A=1\n".to_owned())].into_iter().collect();
    let placement = Layout::of(&MERGED, true).place(&rendered, true);
    assert_eq!(placement.files["AGENTS.md"], "## Tools\n\nA=1\n");
}

#[test]
fn the_largest_texts_fit_into_what_a_gateway_takes() {
    let text = "#\n".repeat(MAX_RENDERED / 2);
    let rendered: Rendered = Content::ALL
        .into_iter()
        .map(|content| (content, text.clone()))
        .collect();
    for layout in [
        Layout::of(&CLASSIC, false),
        Layout::of(&MERGED, true),
        Layout::of(&MERGED, false),
    ] {
        let placement = layout.place(&rendered, true);
        for text in placement.files.values().chain(&placement.scratch) {
            assert!(text.encode_utf16().count() <= MAX_FILE);
        }
    }
}

#[test]
fn roles_have_their_contents_and_updates_keep_what_agents_write() {
    assert_eq!(TemplateRole::Lead.contents(), Content::ALL);
    for role in [TemplateRole::Main, TemplateRole::Worker] {
        assert_eq!(role.contents().len(), 7);
        assert!(!role.contents().contains(&Content::Bootstrap));
    }
    let kept = |role| {
        Content::ALL
            .into_iter()
            .filter(|content| content.kept_on_update(role))
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(TemplateRole::Lead), [Content::User, Content::Memory]);
    assert_eq!(kept(TemplateRole::Worker), [Content::User, Content::Memory]);
    assert_eq!(kept(TemplateRole::Main), [Content::Memory]);
    for content in Content::ALL {
        assert_eq!(content.file_name().parse(), Ok(content));
    }
    assert!("tools.md".parse::<Content>().is_err());
}
