//! Credentials that stand in files beside the gateway, where Kubernetes or another program renews them.
//!
//! A Secret names them, so whoever may write Secrets there chooses them. They are read only below the operator's
//! folder (`--credential-dir`): every step of every path, symbolic links included, is taken by the kernel within that
//! folder (`openat2` with RESOLVE_BENEATH, or step by step where there is none), so that no link leads out of it,
//! whoever changes it when. Kubernetes' own links (`token` → `..data/token`) stay within it. Only plain files of
//! bounded size are read. No message repeats a path: a token may stand there by mistake.

mod read;

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use ring::digest::{SHA256, digest};
use thiserror::Error;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::model::jittered;
use crate::tls::InvalidIdentity;

use super::disk::{Disk, DiskWork, Undone};
use super::source::Supplier;
use super::{ClientCertificate, Credential, Failure, InvalidToken, Supplied, bearer};

pub use read::Unreadable;

/// How often files are looked at whose credential is in use: a kubelet takes up to a minute to renew them, so that a
/// second more is not felt.
const INTERVAL: Duration = Duration::from_secs(1);
/// And every how many of these the others are.
const SELDOM: u32 = 10;
/// A disk that takes longer hangs.
const READ_WITHIN: Duration = Duration::from_secs(4);

/// Which files, and below which folder.
#[derive(Debug, Clone)]
pub struct FilesSpec {
    /// `--credential-dir`.
    pub directory: Arc<Path>,
    /// What they hold.
    pub kind: FilesKind,
}

/// What files hold, with their paths below the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilesKind {
    /// A bearer token.
    Token(PathBuf),
    /// A client certificate and its key, PEM.
    Certificate {
        /// The chain, leaf first.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// Why files give no credential. Names the Secret's data key that names the file.
#[derive(Debug, Clone, Error)]
pub enum FilesError {
    /// No file, or not one that is read.
    #[error("data key {key}: the file that it names {problem}")]
    Unreadable {
        /// The data key.
        key: &'static str,
        /// What is wrong.
        problem: Unreadable,
    },
    /// What it holds is no token.
    #[error("data key {TOKEN}: the file that it names {0}")]
    Token(InvalidToken),
    /// What they hold is no certificate with its key.
    #[error("data keys {CHAIN} and {KEY}: in the files that they name {}", identity(.0))]
    Identity(InvalidIdentity),
    /// The disk hangs.
    #[error("the files below --credential-dir could not be read within {0:?}")]
    TimedOut(Duration),
}

/// Why a path is not below the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidPath {
    /// Somewhere else.
    #[error("it is an absolute path, but not one below --credential-dir")]
    Elsewhere,
    /// It would lead out.
    #[error("it has .. in it, which is not followed")]
    Upwards,
    /// Nothing.
    #[error("it names no file")]
    Nothing,
    /// No text.
    #[error("it is no path in UTF-8")]
    NotText,
}

/// Data key with the path of a token.
pub const TOKEN: &str = "token-file";
/// Data key with the path of a client certificate.
pub const CHAIN: &str = "tls.crt-file";
/// Data key with the path of its private key.
pub const KEY: &str = "tls.key-file";

/// The path below the folder of what a Secret names: relative to it, or absolute and below it. White space around it
/// is ignored.
pub fn below(directory: &Path, named: &[u8]) -> Result<PathBuf, InvalidPath> {
    let named = str::from_utf8(named.trim_ascii()).map_err(|_| InvalidPath::NotText)?;
    let path = Path::new(named);
    let path = match path.is_absolute() {
        true => path.strip_prefix(directory).map_err(|_| InvalidPath::Elsewhere)?,
        false => path,
    };
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(InvalidPath::Upwards);
    }
    let path: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    match path.as_os_str().is_empty() || named.contains('\0') {
        true => Err(InvalidPath::Nothing),
        false => Ok(path),
    }
}

/// The files of one cluster.
pub(super) struct CredentialFiles {
    spec: Arc<FilesSpec>,
    /// A hash of what was read last, or of why it could not be read.
    seen: Mutex<Option<[u8; 32]>>,
    reads: DiskWork<Contents>,
}

type Contents = Result<Vec<Vec<u8>>, FilesError>;

impl CredentialFiles {
    pub(super) fn new(spec: FilesSpec, disk: Disk) -> Self {
        Self { spec: Arc::new(spec), seen: Mutex::default(), reads: DiskWork::new(disk) }
    }

    async fn read(&self) -> Result<Contents, Failure> {
        let spec = Arc::clone(&self.spec);
        match self.reads.done_within(READ_WITHIN, move || spec.read()).await {
            Ok(contents) => Ok(contents),
            Err(Undone::Panicked) => Err(Failure::Bug),
            Err(Undone::Late) => Err(FilesError::TimedOut(READ_WITHIN).into()),
        }
    }
}

impl FilesSpec {
    fn read(&self) -> Contents {
        let file = |key, path: &Path| {
            read::below(&self.directory, path).map_err(|problem| FilesError::Unreadable { key, problem })
        };
        match &self.kind {
            FilesKind::Token(path) => Ok(vec![file(TOKEN, path)?]),
            FilesKind::Certificate { chain, key } => Ok(vec![file(CHAIN, chain)?, file(KEY, key)?]),
        }
    }
}

#[async_trait]
impl Supplier for CredentialFiles {
    fn kind(&self) -> &'static str {
        "files"
    }

    fn named(&self) -> String {
        match &self.spec.kind {
            FilesKind::Token(_) => format!("the file of data key {TOKEN}"),
            FilesKind::Certificate { .. } => format!("the file of data key {CHAIN}"),
        }
    }

    fn makes_new_ones(&self) -> bool {
        false
    }

    async fn inspect(&self) -> Result<(), Failure> {
        self.read().await?.map(drop).map_err(Failure::from)
    }

    async fn supply(&self, _: CancellationToken) -> Result<Supplied, Failure> {
        let contents = self.read().await?;
        *self.seen.lock() = Some(fingerprint(&contents));
        let credential = match contents?.as_slice() {
            [chain, key] => {
                let certificate = ClientCertificate::from_pem(chain, key).map_err(FilesError::Identity)?;
                Credential { authorization: None, certificate: Some(certificate) }
            }
            parts => {
                let token = parts.first().map(Vec::as_slice).unwrap_or_default();
                let authorization = Some(bearer(token).map_err(FilesError::Token)?);
                Credential { authorization, certificate: None }
            }
        };
        Ok(Supplied::new(credential, None))
    }

    async fn changed(&self, used: &AtomicBool) {
        for tick in 1_u32.. {
            // Files that were found together are not to be read together for ever.
            sleep(jittered(INTERVAL)).await;
            if !used.swap(false, Ordering::Relaxed) && tick % SELDOM != 0 {
                continue;
            }
            // A disk that hangs is no change; what is read later is.
            if let Ok(contents) = self.read().await
                && *self.seen.lock() != Some(fingerprint(&contents))
            {
                return;
            }
        }
    }
}

fn fingerprint(contents: &Contents) -> [u8; 32] {
    let mut parts = Vec::new();
    match contents {
        Ok(files) => files.iter().for_each(|file| parts.extend_from_slice(digest(&SHA256, file).as_ref())),
        Err(error) => parts.extend_from_slice(error.to_string().as_bytes()),
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, &parts).as_ref());
    hash
}

/// Less the parser's own words, which may repeat a line of what they could not read.
fn identity(error: &InvalidIdentity) -> String {
    match error {
        InvalidIdentity::CertificatePem(_) => "the certificate is not valid PEM".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
