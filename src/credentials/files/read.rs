use std::io::{self, Read};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use rustix::fs::OFlags;
use thiserror::Error;

/// A chain of certificates has a few kilobytes.
const LARGEST: u64 = 1 << 20;

/// Why a file is not read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// Not there.
    #[error("does not exist below --credential-dir")]
    Missing,
    /// A symbolic link, or what it stands in, leads out of the folder.
    #[error("leads out of --credential-dir by a symbolic link, which is not followed")]
    LeadsOut,
    /// We may not.
    #[error("may not be read by the user that the gateway runs as")]
    Forbidden,
    /// A folder, a pipe, a device.
    #[error("is no regular file")]
    Special,
    /// Too much of it.
    #[error("has more than {LARGEST} bytes")]
    TooLarge,
    /// The folder itself is not there.
    #[error("cannot be looked for: --credential-dir cannot be opened ({0})")]
    Directory(String),
    /// What the system says.
    #[error("cannot be read ({0})")]
    Other(String),
}

/// What stands in a file below a folder. The folder is opened each time: it may have been mounted anew. Blocking.
pub(super) fn below(directory: &Path, path: &Path) -> Result<Vec<u8>, Unreadable> {
    let directory = Dir::open_ambient_dir(directory, ambient_authority())
        .map_err(|error| Unreadable::Directory(error.to_string()))?;
    // Without waiting for a writer at the other end of a pipe.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = directory
        .open_with(path, OpenOptions::new().read(true).custom_flags(flags))
        .map_err(|error| unreadable(&error))?;
    let metadata = file.metadata().map_err(|error| unreadable(&error))?;
    if !metadata.is_file() {
        return Err(Unreadable::Special);
    }
    let mut contents = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut contents).map_err(|error| unreadable(&error))?;
    match contents.len() as u64 > LARGEST {
        true => Err(Unreadable::TooLarge),
        false => Ok(contents),
    }
}

fn unreadable(error: &io::Error) -> Unreadable {
    let is = |errno: rustix::io::Errno| error.raw_os_error() == Some(errno.raw_os_error());
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Unreadable::Missing,
        // cap-std's own error has no number.
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_none() => Unreadable::LeadsOut,
        io::ErrorKind::PermissionDenied => Unreadable::Forbidden,
        _ if is(rustix::io::Errno::XDEV) => Unreadable::LeadsOut,
        // A socket, or a device without a driver.
        _ if is(rustix::io::Errno::NXIO) => Unreadable::Special,
        _ => Unreadable::Other(error.kind().to_string()),
    }
}
