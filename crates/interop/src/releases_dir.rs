//! Where installed releases are kept.
//!
//! Installed releases are build products: large, re-creatable, and ignored by git. So they live
//! in cargo's build folder, in `interop/releases`, next to the runner itself.

use std::{
    env,
    path::{Path, PathBuf},
};

/// File that cargo writes into the top of every build folder.
const BUILD_FOLDER_MARK: &str = "CACHEDIR.TAG";

/// The folder of installed releases below cargo's build folder.
///
/// The build folder is taken from `CARGO_TARGET_DIR`, else found above the runner's own file,
/// else it is `target` in the workspace this runner was built from.
pub fn default_releases_dir() -> PathBuf {
    let named = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = named
        .filter(|dir| !dir.as_os_str().is_empty())
        .or_else(|| build_folder_of(&env::current_exe().ok()?))
        .unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    target.join("interop").join("releases")
}

/// The nearest folder above `program` that carries cargo's mark.
fn build_folder_of(program: &Path) -> Option<PathBuf> {
    program
        .ancestors()
        .skip(1)
        .find(|dir| dir.join(BUILD_FOLDER_MARK).is_file())
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_build_folder_is_found_above_the_program() {
        let top = tempfile::tempdir().expect("a scratch folder");
        let deep = top.path().join("debug/deps");
        fs::create_dir_all(&deep).expect("folders");
        let program = deep.join("runner");
        assert_eq!(build_folder_of(&program), None, "no mark yet");
        fs::write(top.path().join(BUILD_FOLDER_MARK), "").expect("a mark");
        assert_eq!(build_folder_of(&program), Some(top.path().to_owned()));
    }
}
