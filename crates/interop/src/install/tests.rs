//! Decisions of the installer without npm.

use super::*;

fn installer(dir: &Path) -> Installer {
    Installer::new(dir.to_owned(), Launcher::direct(), Console::plain())
}

fn pretend_installed(releases: &Path, release: &Release) -> PathBuf {
    let dir = releases.join(release.name());
    let script = entry(&dir);
    fs::create_dir_all(script.parent().expect("a parent")).expect("folders");
    fs::write(script, "").expect("a script");
    dir
}

#[tokio::test]
async fn a_complete_installation_is_used_as_it_is() {
    let releases = tempfile::tempdir().expect("a scratch folder");
    let release = Release::newest();
    let dir = pretend_installed(releases.path(), &release);
    fs::write(dir.join(COMPLETE), "").expect("a mark");
    let installed = installer(releases.path()).ensure(&release).await.expect("it is there");
    assert_eq!(installed.release(), &release);
    assert!(installed.dir().is_absolute());
    assert!(installed.entry().is_file());
}

#[test]
fn an_installation_without_its_mark_does_not_count() {
    let releases = tempfile::tempdir().expect("a scratch folder");
    let release = Release::newest();
    pretend_installed(releases.path(), &release);
    assert!(installer(releases.path()).find(&release).is_none());
}

#[tokio::test]
async fn a_free_lock_is_taken_and_a_taken_one_is_seen() {
    let releases = tempfile::tempdir().expect("a scratch folder");
    let release = Release::newest();
    let held = installer(releases.path())
        .lock(&release)
        .await
        .expect("nobody else is here");
    let path = releases.path().join(format!(".{release}.lock"));
    let other = File::open(&path).expect("the lock file is there");
    assert!(matches!(other.try_lock(), Err(TryLockError::WouldBlock)));
    drop(held);
    assert!(other.try_lock().is_ok());
}

#[test]
fn the_release_comes_first_on_its_search_path() {
    let path = search_path(Path::new("/somewhere/bin"));
    let first = env::split_paths(&path).next();
    assert_eq!(first, Some(PathBuf::from("/somewhere/bin")));
}
