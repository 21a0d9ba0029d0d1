use std::fmt;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::self_signed;
use super::{FileWatcher, Identity, InvalidIdentity};

/// Where the serving certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServingSource {
    /// Two files. Both have to be there.
    Files {
        /// The certificate and its chain, PEM.
        certificate: PathBuf,
        /// Its private key, PEM.
        key: PathBuf,
    },
    /// `apiserver.crt` and `apiserver.key` of a directory, as Kubernetes' generic apiserver names them. Where there
    /// is neither, a self-signed pair is made and kept there when the directory can be written to.
    Directory {
        /// The directory; may not exist.
        directory: PathBuf,
        /// The address that is listened on, for the self-signed certificate.
        address: IpAddr,
    },
}

/// The certificate that is shown to clients: one for all, replaced in place when its files change.
///
/// A connection that is open keeps what it was shown. Cheap to clone; every clone shows the same.
#[derive(Clone)]
pub struct ServingCertificate(Arc<Inner>);

struct Inner {
    source: ServingSource,
    /// The made-up pair exists in memory only, so there is nothing to read again until files appear.
    current: ArcSwap<Shown>,
}

struct Shown {
    identity: Identity,
    not_after: SystemTime,
}

/// Why there is no certificate to show.
#[derive(Debug, Error)]
pub enum ServingError {
    /// The certificate's file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The key's file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Both can be read, but are no identity.
    #[error("{} and {}: {error}", certificate.display(), key.display())]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        error: InvalidIdentity,
    },
    /// No self-signed pair could be made.
    #[error("cannot make a self-signed certificate: {0}")]
    Generate(String),
}

/// What became of the files after they changed.
#[derive(Debug)]
pub enum Reload {
    /// The new pair is shown from now on.
    Replaced,
    /// The new files cannot be used: the old pair stays in force.
    Kept(ServingError),
}

impl ServingCertificate {
    /// Reads or makes the certificate. Blocking: for start-up.
    pub fn load(source: &ServingSource) -> Result<Self, ServingError> {
        let identity = match (read(source), source) {
            (Err(error), ServingSource::Directory { directory, address }) if nothing_there(source) => {
                tracing::debug!(%error, "no serving certificate in the directory");
                self_signed::make(*address, Some(directory)).map_err(ServingError::Generate)?
            }
            (read, _) => read?,
        };
        let current = ArcSwap::from_pointee(Shown::new(identity));
        Ok(Self(Arc::new(Inner { source: source.clone(), current })))
    }

    /// Whether [`ServingCertificate::load`] would find what it needs. Makes and writes nothing.
    pub fn check(source: &ServingSource) -> Result<(), ServingError> {
        match read(source) {
            Err(_) if matches!(source, ServingSource::Directory { .. }) && nothing_there(source) => Ok(()),
            read => read.map(|_| ()),
        }
    }

    /// Waits until the files have other contents, and takes them if they can be used. Cancel safe between changes;
    /// for a loop of the owner, who logs and counts the outcome.
    pub async fn changed(&self, watcher: &mut FileWatcher) -> Reload {
        watcher.changed().await;
        match read(&self.0.source) {
            Ok(identity) => {
                self.0.current.store(Arc::new(Shown::new(identity)));
                Reload::Replaced
            }
            Err(error) => Reload::Kept(error),
        }
    }

    /// A watcher of the files, for [`ServingCertificate::changed`].
    pub async fn watcher(&self) -> FileWatcher {
        let (certificate, key) = self.0.source.paths();
        FileWatcher::new([certificate, key]).await
    }

    /// The pair that is shown now.
    pub fn identity(&self) -> Identity {
        self.0.current.load().identity.clone()
    }

    /// When the certificate that is shown now expires.
    pub fn not_after(&self) -> SystemTime {
        self.0.current.load().not_after
    }
}

impl ResolvesServerCert for ServingCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.current.load().identity.certified()
    }
}

impl fmt::Debug for ServingCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServingCertificate").field("source", &self.0.source).finish_non_exhaustive()
    }
}

impl ServingSource {
    /// The certificate's file and the key's.
    pub fn paths(&self) -> (PathBuf, PathBuf) {
        match self {
            Self::Files { certificate, key } => (certificate.clone(), key.clone()),
            Self::Directory { directory, .. } => {
                (directory.join("apiserver.crt"), directory.join("apiserver.key"))
            }
        }
    }
}

impl Shown {
    fn new(identity: Identity) -> Self {
        let not_after = identity.chain().first().and_then(|leaf| not_after(leaf)).unwrap_or(UNIX_EPOCH);
        Self { identity, not_after }
    }
}

fn read(source: &ServingSource) -> Result<Identity, ServingError> {
    let (certificate, key) = source.paths();
    let chain = fs::read(&certificate)
        .map_err(|error| ServingError::Certificate { path: certificate.clone(), error })?;
    let private = fs::read(&key).map_err(|error| ServingError::Key { path: key.clone(), error })?;
    Identity::from_pem(&chain, &private).map_err(|error| ServingError::Pair { certificate, key, error })
}

/// Neither file exists; one without the other is a mistake that has to be told.
fn nothing_there(source: &ServingSource) -> bool {
    let missing =
        |path: &Path| matches!(fs::metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound);
    let (certificate, key) = source.paths();
    missing(&certificate) && missing(&key)
}

fn not_after(leaf: &[u8]) -> Option<SystemTime> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(path: &Path) -> ServingSource {
        ServingSource::Directory { directory: path.to_owned(), address: IpAddr::from([127, 0, 0, 1]) }
    }

    #[test]
    fn a_self_signed_pair_is_made_once_and_kept_in_the_directory() {
        let folder = tempfile::tempdir().unwrap();
        let source = directory(&folder.path().join("new"));
        let first = ServingCertificate::load(&source).unwrap();
        let second = ServingCertificate::load(&source).unwrap();
        assert_eq!(first.identity().chain(), second.identity().chain());
        assert!(first.not_after() > SystemTime::now() + Duration::from_secs(365 * 86_400));
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(source.paths().1).unwrap().permissions());
        assert_eq!(mode & 0o077, 0, "others can read the key");
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(ServingCertificate::load(&directory(&file.join("below"))).is_err(), "not a directory at all");
        assert!(ServingCertificate::load(&directory(Path::new("/proc/cannot/be/made"))).is_ok());
    }

    #[test]
    fn a_certificate_without_its_key_is_told_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let source = directory(folder.path());
        ServingCertificate::check(&source).unwrap();
        assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "looking makes nothing");
        ServingCertificate::load(&source).unwrap();
        fs::remove_file(source.paths().1).unwrap();
        assert!(matches!(ServingCertificate::check(&source), Err(ServingError::Key { .. })));
        assert!(matches!(ServingCertificate::load(&source), Err(ServingError::Key { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_new_file_leaves_the_old_pair_in_force_and_a_good_one_replaces_it() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (source, donor) = (directory(folder.path()), directory(other.path()));
        let shown = ServingCertificate::load(&source).unwrap();
        let fresh = ServingCertificate::load(&donor).unwrap();
        let (before, mut watcher) = (shown.identity(), shown.watcher().await);

        fs::copy(donor.paths().0, source.paths().0).unwrap();
        let kept = shown.changed(&mut watcher).await;
        assert!(
            matches!(kept, Reload::Kept(ServingError::Pair { error: InvalidIdentity::Mismatch, .. })),
            "{kept:?}"
        );
        assert_eq!(shown.identity().chain(), before.chain());

        fs::copy(donor.paths().1, source.paths().1).unwrap();
        assert!(matches!(shown.changed(&mut watcher).await, Reload::Replaced));
        assert_eq!(shown.identity().chain(), fresh.identity().chain());
    }
}
