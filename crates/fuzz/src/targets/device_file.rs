//! `device.json`.

use std::sync::LazyLock;

use windlass_protocol::{DeviceFile, DeviceIdentity};

use crate::shared::{assert_fit_to_show, text};

/// The identity of the seeds: a damaged file of it is it, or nothing.
static KNOWN: LazyLock<DeviceIdentity> = LazyLock::new(|| DeviceIdentity::from_seed([7; 32]));

/// The file is read or refused. An identity that was read is written, and read again as the same. Errors and `Debug` have no key.
pub(super) fn run(data: &[u8]) {
    let Some(text) = text(data) else { return };
    match DeviceFile::parse(text) {
        Ok(file) => {
            let written = file.render().expect("a key is written");
            assert_eq!(DeviceFile::parse(written.expose()).as_ref(), Ok(&file));
            assert!(!format!("{file:?}").contains("PRIVATE"));
            if text.contains(KNOWN.device_id()) {
                assert_eq!(file.identity, *KNOWN, "a damaged file is another identity");
            }
        }
        Err(error) => {
            let shown = error.to_string();
            assert_fit_to_show(&shown);
            assert!(shown.len() < 100, "{shown}");
        }
    }
}
