//! Reading files that a person, a configuration or a folder names, and keeping [`private`] ones.
//!
//! A path that comes from outside may name a FIFO (reading waits for a writer that never comes), a device (reading never
//! ends), a folder, or a file of any size. Every such path is read here: a regular file, of a bounded size, or an error.
//! Symbolic links are followed; a caller for which it matters where a link leads has to look first.

mod guard;
pub mod private;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

pub use guard::{OwnerPolicy, Weakness, read_guarded_text, weakness};

/// Opens a regular file for reading, and never waits for it.
///
/// # Errors
///
/// [`io::ErrorKind::InvalidInput`] when the path names anything but a regular file; otherwise the system's.
pub fn open_regular(path: &Path) -> io::Result<File> {
    // Looked at before it is opened: opening a device may already do something. Looked at again afterwards, because the
    // path may name another file by then.
    regular(&fs::metadata(path)?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, without_waiting());
    let file = options.open(path)?;
    regular(&file.metadata()?)?;
    Ok(file)
}

/// Reads the whole of a regular file of at most `limit` bytes.
///
/// # Errors
///
/// As [`open_regular`]; [`io::ErrorKind::FileTooLarge`] beyond `limit`.
pub fn read(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    read_from(open_regular(path)?, limit)
}

/// Reads the whole of a regular UTF-8 file of at most `limit` bytes.
///
/// # Errors
///
/// As [`read`]; [`io::ErrorKind::InvalidData`] when it is not UTF-8.
pub fn read_text(path: &Path, limit: usize) -> io::Result<String> {
    text(read(path, limit)?)
}

/// Reads a stream (stdin, a file that is open) to its end, at most `limit` bytes of it.
///
/// # Errors
///
/// [`io::ErrorKind::FileTooLarge`] beyond `limit`; otherwise the stream's.
pub fn read_from(from: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than is allowed tells that there is too much.
    from.take((limit as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// Reads a stream of UTF-8 to its end, at most `limit` bytes of it.
///
/// # Errors
///
/// As [`read_from`]; [`io::ErrorKind::InvalidData`] when it is not UTF-8.
pub fn read_text_from(from: impl Read, limit: usize) -> io::Result<String> {
    text(read_from(from, limit)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    // The error of the standard library would carry the bytes, which may be a secret.
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

fn regular(meta: &fs::Metadata) -> io::Result<()> {
    if meta.is_file() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// Opening a FIFO then does not wait for a writer, and opening a terminal does not take it over.
#[cfg(unix)]
fn without_waiting() -> i32 {
    use rustix::fs::OFlags;
    (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_not_beyond() {
        let folder = folder();
        let path = folder.path().join("text");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "12345");
        let error = read_text(&path, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(error.to_string(), "it has more than 4 bytes");
    }

    #[test]
    fn a_stream_that_never_ends_is_read_no_further_than_it_takes_to_tell() {
        let error = read_from(io::repeat(b'x'), 1000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_is_not_text_is_refused_and_not_repeated() {
        let error = read_text_from(&b"s3cret\xff"[..], 100).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    }

    #[test]
    fn a_folder_and_a_missing_file_are_refused() {
        let folder = folder();
        assert_eq!(read(folder.path(), 9).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let missing = folder.path().join("missing");
        assert_eq!(read(&missing, 9).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn fifos_and_devices_are_refused_without_waiting_for_them() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = folder();
        let fifo = folder.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let linked = folder.path().join("link");
        std::os::unix::fs::symlink(&fifo, &linked).unwrap();
        for path in [&*fifo, &*linked, Path::new("/dev/zero"), Path::new("/dev/null")] {
            let error = read(path, 9).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{}", path.display());
        }
    }
}
