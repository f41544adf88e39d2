//! What every control plane does: the fake one and the real one, on every release.

use std::time::Duration;

use windlass_agents::control_plane::{
    AgentMessage, ControlError, ControlPlane, Created, FakeControlPlane, FakeRelease, FileWrite, Patched, Removal,
    ResourceKind,
};
use windlass_testkit::RELEASES;

use crate::bench::{Bench, card, entry, id, main_of, play};

fn message(text: &str, key: &str) -> AgentMessage {
    AgentMessage {
        key: main_of("a"),
        text: text.into(),
        deliver: false,
        idempotency_key: key.into(),
        tried_before: false,
        within: Duration::from_mins(1),
    }
}

async fn agents(plane: &dyn ControlPlane) {
    let capabilities = plane.capabilities().await.unwrap();
    assert!(plane.verdict().await.unwrap().is_supported());
    plane.health().await.unwrap();
    let fresh = if capabilities.agents {
        Created::Fresh
    } else {
        Created::ByConfig
    };
    assert_eq!(plane.create_agent(&card("a")).await.unwrap(), fresh);
    plane.update_agent(&card("a"), true).await.unwrap();
    let again = if capabilities.agents {
        Created::AlreadyThere
    } else {
        Created::ByConfig
    };
    assert_eq!(plane.create_agent(&card("a")).await.unwrap(), again);
    assert!(plane.would_patch(&[entry("a")]).await.unwrap().agents);
    let patched = plane.patch_agents(vec![entry("a"), entry("b")]).await.unwrap();
    assert!(matches!(patched, Patched::Written { .. }), "{patched:?}");
    let would = plane.would_patch(&[entry("a"), entry("b")]).await.unwrap();
    assert!(!would.any(), "{would:?}");
    let patched = plane.patch_agents(vec![entry("b"), entry("a")]).await.unwrap();
    assert_eq!((patched, plane.writes().written), (Patched::Unchanged, 1));
    let roster = plane.roster().await.unwrap();
    let known = &roster.agents[&id("a")];
    assert_eq!(known.workspace.as_deref(), Some("/srv/workspace-a"));
    assert_eq!(known.name.as_deref(), capabilities.agents.then_some("The a"));
    let heartbeat = known.heartbeat.as_ref().unwrap();
    assert_eq!(
        (&heartbeat["every"], &heartbeat["target"]),
        (&"5m".into(), &"last".into())
    );
    assert!(roster.agents.contains_key(&id("b")) && roster.agents.contains_key(&id("main")));
    if capabilities.agents {
        let error = plane.update_agent(&card("nobody"), false).await.unwrap_err();
        assert_eq!(error, ControlError::NotFound(ResourceKind::Agent("nobody".into())));
    }
}

async fn files(plane: &dyn ControlPlane) {
    let capabilities = plane.capabilities().await.unwrap();
    let listed = plane.list_files(&id("a")).await.unwrap();
    assert_eq!(listed.is_empty(), !capabilities.files);
    let soul = plane.set_file(&id("a"), "SOUL.md", "be kind").await.unwrap();
    assert_eq!(soul == FileWrite::Written, capabilities.files);
    assert_eq!(
        plane.set_file(&id("a"), "NOTES.md", "x").await.unwrap(),
        FileWrite::Unsupported
    );
    assert_eq!(plane.get_file(&id("a"), "NOTES.md").await.unwrap(), None);
    assert_eq!(plane.get_file(&id("a"), "MEMORY.md").await.unwrap(), None);
    let read = plane.get_file(&id("a"), "SOUL.md").await.unwrap();
    assert_eq!(read.as_deref(), capabilities.files.then_some("be kind"));
    let tools = plane.set_file(&id("a"), "TOOLS.md", "KEY=1").await.unwrap();
    let names = |name: &str| listed.iter().any(|file| file.name == name);
    assert_eq!(tools == FileWrite::Written, names("TOOLS.md"));
    assert!(!plane.delete_file(&id("a"), "SOUL.md").await.unwrap());
    if capabilities.files {
        let listed = plane.list_files(&id("a")).await.unwrap();
        assert!(listed.iter().any(|file| file.name == "SOUL.md" && !file.missing));
        assert!(listed.iter().any(|file| file.name == "USER.md" && file.missing));
        let error = plane.set_file(&id("nobody"), "SOUL.md", "x").await.unwrap_err();
        assert_eq!(error, ControlError::NotFound(ResourceKind::Agent("nobody".into())));
    }
}

async fn scratch(plane: &dyn ControlPlane) {
    let offered = plane.capabilities().await.unwrap().scratch;
    let before = plane.scratch(&id("a")).await.unwrap();
    assert_eq!(before.is_some(), offered);
    assert_eq!(plane.set_scratch(&id("a"), "look around").await.unwrap(), offered);
    let after = plane.scratch(&id("a")).await.unwrap();
    assert_eq!(after.is_some(), offered);
    if let (Some(before), Some(after)) = (before, after) {
        assert_eq!((before.content, after.content.as_deref()), (None, Some("look around")));
        assert_eq!(after.revision, before.revision + 1);
    }
    assert!(!plane.set_scratch(&id("nobody"), "x").await.unwrap());
}

async fn sessions(plane: &dyn ControlPlane) {
    let capabilities = plane.capabilities().await.unwrap();
    let key = main_of("a");
    assert_eq!(plane.session(&key).await.unwrap(), None);
    assert!(
        !plane.reset_session(&key).await.unwrap(),
        "a session that is not there is not made"
    );
    assert_eq!(plane.session(&key).await.unwrap(), None);
    plane.ensure_session(&key, Some("A")).await.unwrap();
    assert_eq!(
        plane.session(&key).await.unwrap().is_some(),
        capabilities.sessions_before_turns
    );
    plane.send(&message("hello marker-1", "wake-1")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let again = AgentMessage {
        tried_before: true,
        ..message("hello marker-1", "wake-1")
    };
    plane.send(&again).await.unwrap();
    plane.ensure_session(&key, Some("A")).await.unwrap();
    assert_eq!(plane.session(&key).await.unwrap().unwrap().label.as_deref(), Some("A"));
    assert!(plane.reset_session(&key).await.unwrap());
}

async fn deletion(plane: &dyn ControlPlane) {
    let by_method = plane.capabilities().await.unwrap().agents;
    let gone = if by_method {
        Removal::Deleted
    } else {
        Removal::FromConfig
    };
    assert_eq!(plane.delete_agent(&id("a"), true).await.unwrap(), gone);
    assert_eq!(plane.delete_agent(&id("a"), true).await.unwrap(), Removal::NotThere);
    // Whether the session went with its agent or goes now: that its name is one of a main session is no error any more.
    plane.delete_session(&main_of("a")).await.unwrap();
    assert!(!plane.delete_session(&main_of("a")).await.unwrap());
    assert!(!plane.roster().await.unwrap().agents.contains_key(&id("a")));
}

async fn contract(plane: &dyn ControlPlane) {
    agents(plane).await;
    files(plane).await;
    scratch(plane).await;
    sessions(plane).await;
    deletion(plane).await;
}

#[tokio::test(start_paused = true)]
async fn the_fake_keeps_the_contract() {
    for release in [FakeRelease::ByConfig, FakeRelease::Classic, FakeRelease::Current] {
        contract(&FakeControlPlane::new(release)).await;
    }
    let fake = FakeControlPlane::new(FakeRelease::Classic);
    fake.set_sessions_before_turns(false);
    contract(&fake).await;
}

#[tokio::test(start_paused = true)]
async fn every_release_keeps_the_contract() {
    for release in RELEASES {
        println!("{release}");
        play(async {
            let bench = Bench::of(release).await;
            contract(&*bench.plane).await;
            bench.finish().await;
        })
        .await;
    }
}
