use std::collections::HashMap;
use std::env;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use ring::digest::{Context, SHA256};
use thiserror::Error;

use super::text;
use super::{ExecConfig, ExecError};

/// One entry of `--exec-allowed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedCommand {
    /// The executable of this absolute path, whatever it holds.
    Path(PathBuf),
    /// Every executable with these contents, wherever it is.
    Sha256([u8; 32]),
}

/// Why a text is no entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidAllowed {
    /// Neither form.
    #[error("it is neither an absolute path nor sha256: with 64 hexadecimal digits behind it")]
    Form,
}

/// The operator's list.
///
/// A command is allowed by its path when an entry is either the path at which it was found, or that path with every
/// symbolic link in it resolved. So an entry may name a link (`/usr/local/bin/aws`) and means whatever that links to,
/// and it may name the file itself, whose links are then allowed as well; but another link to the same file as an
/// allowed link is not: of a program that is many by its name (busybox) only what was named is allowed.
///
/// All of it is looked at again before each run. Between that and the run somebody could exchange the file, but
/// whoever may write there may as well exchange the gateway.
#[derive(Debug)]
pub(super) struct Allowed {
    entries: Vec<AllowedCommand>,
    /// What was hashed, so that ten thousand clusters with one command cost one look at it.
    hashes: Mutex<HashMap<PathBuf, (Stamp, [u8; 32])>>,
}

/// Programs there could be in an image; more are hashed each time.
const REMEMBERED: usize = 64;

/// Tells a file from what it was before: the kernel sets the time of change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Allowed {
    pub(super) fn new(entries: Vec<AllowedCommand>) -> Self {
        Self { entries, hashes: Mutex::default() }
    }

    /// The path to run for a command, if it may be run. Reads files.
    pub(super) fn check(&self, config: &ExecConfig) -> Result<PathBuf, ExecError> {
        let command = || text::short(&config.command);
        let Some((found, file)) = find(&config.command) else {
            return Err(ExecError::NotFound {
                command: command(),
                hint: config.install_hint.as_deref().map(text::short),
            });
        };
        let is_named = |entry: &AllowedCommand| match entry {
            AllowedCommand::Path(path) => *path == found || *path == file,
            AllowedCommand::Sha256(_) => false,
        };
        if self.entries.iter().any(is_named) {
            return Ok(found);
        }
        let unreadable = |error: io::Error| ExecError::NotStarted {
            command: command(),
            error: format!("it cannot be read to compare it with --exec-allowed: {error}"),
        };
        let hash = self.hash(&file).map_err(unreadable)?;
        match self.entries.contains(&AllowedCommand::Sha256(hash)) {
            true => Ok(found),
            false => Err(ExecError::NotAllowed {
                command: command(),
                path: text::short(&found.to_string_lossy()),
                sha256: hex(&hash),
            }),
        }
    }

    fn hash(&self, path: &Path) -> io::Result<[u8; 32]> {
        let mut file = File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        let known = |hashes: &HashMap<PathBuf, (Stamp, [u8; 32])>| {
            hashes.get(path).filter(|(known, _)| *known == stamp).map(|(_, hash)| *hash)
        };
        if let Some(hash) = known(&self.hashes.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(hash);
        }
        let mut context = Context::new(&SHA256);
        let mut part = vec![0; 64 << 10];
        loop {
            match file.read(&mut part)? {
                0 => break,
                read => context.update(&part[..read]),
            }
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        // What was written to meanwhile has another stamp by now.
        if Stamp::of(&file.metadata()?) == stamp {
            let mut hashes = self.hashes.lock().unwrap_or_else(PoisonError::into_inner);
            if hashes.len() >= REMEMBERED {
                hashes.clear();
            }
            hashes.insert(path.to_owned(), (stamp, hash));
        }
        Ok(hash)
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl AllowedCommand {
    /// Why an entry that names a file cannot mean anything, if it cannot.
    pub fn problem(&self) -> Option<&'static str> {
        match self {
            Self::Path(path) if !path.exists() => Some("there is no such file"),
            Self::Path(path) if !is_executable(path) => Some("it is no file that can be executed"),
            Self::Path(_) | Self::Sha256(_) => None,
        }
    }
}

impl FromStr for AllowedCommand {
    type Err = InvalidAllowed;

    fn from_str(text: &str) -> Result<Self, InvalidAllowed> {
        if let Some(digits) = text.strip_prefix("sha256:") {
            let digits = digits.as_bytes();
            if digits.len() != 64 || !digits.is_ascii() {
                return Err(InvalidAllowed::Form);
            }
            let mut hash = [0; 32];
            for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
                let pair = str::from_utf8(pair).map_err(|_| InvalidAllowed::Form)?;
                // It would take a sign.
                if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err(InvalidAllowed::Form);
                }
                *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidAllowed::Form)?;
            }
            return Ok(Self::Sha256(hash));
        }
        match text.starts_with('/') {
            true => Ok(Self::Path(PathBuf::from(text))),
            false => Err(InvalidAllowed::Form),
        }
    }
}

impl fmt::Display for AllowedCommand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(formatter, "{}", path.display()),
            Self::Sha256(hash) => write!(formatter, "sha256:{}", hex(hash)),
        }
    }
}

/// Where a command is, and that path without symbolic links: an absolute one as it is, a bare name by the gateway's
/// own PATH, as client-go does it (Go's `exec.LookPath`; what is relative in PATH counts for nothing).
fn find(command: &str) -> Option<(PathBuf, PathBuf)> {
    let found = match command.starts_with('/') {
        true => Some(PathBuf::from(command)).filter(|path| is_executable(path)),
        false => {
            let path = env::var_os("PATH")?;
            env::split_paths(&path)
                .filter(|folder| folder.is_absolute())
                .map(|folder| folder.join(command))
                .find(|path| is_executable(path))
        }
    }?;
    let file = fs::canonicalize(&found).ok()?;
    Some((found, file))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[path = "allowed_tests.rs"]
mod tests;
