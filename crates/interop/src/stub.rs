//! An empty stand-in for one package that npm cannot bring.
//!
//! Releases up to 2026.3 depend, through their WhatsApp channel, on `libsignal` from a git URL.
//! A machine that reaches only the package registry cannot fetch that, and no scenario uses the
//! channel. npm's `overrides` put this package in its place: it loads, and every call throws.

use std::{fmt::Write as _, fs, io, path::Path};

use serde_json::json;

/// Folder of the stand-in, beside the `package.json` that names it.
const FOLDER: &str = "libsignal-stub";

/// The names that the WhatsApp library imports from each file of `libsignal`.
const MODULES: [(&str, &[&str]); 2] = [
    (
        "crypto.js",
        &["deriveSecrets", "encrypt", "decrypt", "calculateMAC", "hash"],
    ),
    (
        "curve.js",
        &[
            "generateKeyPair",
            "calculateSignature",
            "verifySignature",
            "calculateAgreement",
            "createKeyPair",
            "sharedKey",
            "getPublicFromPrivateKey",
            "isCanonical",
        ],
    ),
];

/// Writes the stand-in and the `package.json` that puts it in place into `dir`.
pub(crate) fn write_libsignal_stub(dir: &Path) -> io::Result<()> {
    let stub = dir.join(FOLDER);
    fs::create_dir_all(stub.join("src"))?;
    let package = json!({"name": "libsignal", "version": "0.0.0", "main": "index.js"});
    fs::write(stub.join("package.json"), package.to_string())?;
    fs::write(stub.join("index.js"), "module.exports = {};\n")?;
    for (file, names) in MODULES {
        fs::write(stub.join("src").join(file), throwing(names))?;
    }
    let overrides = json!({"private": true, "overrides": {"libsignal": format!("file:./{FOLDER}")}});
    fs::write(dir.join("package.json"), overrides.to_string())
}

fn throwing(names: &[&str]) -> String {
    let mut text = String::new();
    for name in names {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "exports.{name} = () => {{ throw new Error('libsignal is a stand-in'); }};"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stand_in_is_named_by_the_package_file() {
        let dir = tempfile::tempdir().expect("a scratch folder");
        write_libsignal_stub(dir.path()).expect("it can be written");
        let package = fs::read(dir.path().join("package.json")).expect("a package file");
        let package: serde_json::Value = serde_json::from_slice(&package).expect("JSON");
        let place = package["overrides"]["libsignal"].as_str().expect("an override");
        let place = place.strip_prefix("file:./").expect("a folder beside it");
        assert!(dir.path().join(place).join("src/curve.js").is_file());
    }
}
