use std::fs;
use std::os::unix::fs::symlink;

use prometheus::Registry;
use tempfile::TempDir;
use tokio::runtime::Handle;

use crate::credentials::{Metrics, Options, Source, Sources};
use crate::model::ClusterName;

use super::*;

const SECRET: &str = "hunter2-the-secret";

/// The operator's folder, and one beside it.
struct Folders {
    root: TempDir,
}

impl Folders {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("inside")).unwrap();
        fs::create_dir(root.path().join("outside")).unwrap();
        fs::write(root.path().join("outside/token"), SECRET).unwrap();
        Self { root }
    }

    fn inside(&self) -> PathBuf {
        self.root.path().join("inside")
    }

    fn write(&self, name: &str, contents: &str) {
        let path = self.inside().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// As a kubelet renews a mounted Secret (`AtomicWriter`): a new folder, and a link that is exchanged at once.
    fn mount(&self, volume: &str, version: &str, files: &[(&str, &str)]) {
        let volume = self.inside().join(volume);
        fs::create_dir_all(volume.join(version)).unwrap();
        for (name, contents) in files {
            fs::write(volume.join(version).join(name), contents).unwrap();
            let _ = symlink(Path::new("..data").join(name), volume.join(name));
        }
        symlink(version, volume.join("..data_tmp")).unwrap();
        fs::rename(volume.join("..data_tmp"), volume.join("..data")).unwrap();
    }

    fn spec(&self, kind: FilesKind) -> FilesSpec {
        FilesSpec { directory: self.inside().into(), kind }
    }

    async fn token(&self, named: &str) -> Result<String, String> {
        let path = below(&self.inside(), named.as_bytes()).map_err(|error| error.to_string())?;
        let files = CredentialFiles::new(self.spec(FilesKind::Token(path)), Disk::default());
        let supplied = files.supply(CancellationToken::new()).await.map_err(|error| error.to_string())?;
        Ok(shown(&supplied.credential))
    }

    fn source(&self, kind: FilesKind) -> Source<String> {
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let sources = Sources::new(Handle::current(), Options::default(), metrics);
        let make = |credential: &Credential| Ok(shown(credential));
        sources.files(&ClusterName::parse("a").unwrap(), self.spec(kind), Box::new(make))
    }
}

fn shown(credential: &Credential) -> String {
    match (&credential.authorization, &credential.certificate) {
        (Some(token), _) => token.to_str().unwrap().replace("Bearer ", ""),
        (None, Some(certificate)) => format!("{} certificates", certificate.identity.chain().len()),
        (None, None) => String::new(),
    }
}

#[tokio::test]
async fn a_path_is_relative_to_the_folder_or_absolute_below_it() {
    let folders = Folders::new();
    folders.write("a/token", "abc\n");
    for named in ["a/token", "a/token\n", "./a/./token", &folders.inside().join("a/token").to_string_lossy()]
    {
        assert_eq!(folders.token(named).await.unwrap(), "abc", "{named}");
    }
    for (named, expected) in [
        ("/etc/passwd", "absolute path, but not one below --credential-dir"),
        ("../outside/token", "has .. in it"),
        ("a/../../outside/token", "has .. in it"),
        (&folders.inside().join("../outside/token").to_string_lossy(), "has .. in it"),
        (".", "names no file"),
        ("a", "is no regular file"),
        ("b", "does not exist below --credential-dir"),
        ("a/token/x", "does not exist below --credential-dir"),
    ] {
        let error = folders.token(named).await.unwrap_err();
        assert!(error.contains(expected), "{named}: {error}");
    }
    assert_eq!(below(Path::new("/c"), b"\xff"), Err(InvalidPath::NotText));
    assert_eq!(below(Path::new("/c"), b"/cx/y"), Err(InvalidPath::Elsewhere));
}

#[tokio::test]
async fn no_link_leads_out_of_the_folder() {
    let folders = Folders::new();
    let outside = folders.root.path().join("outside");
    symlink(outside.join("token"), folders.inside().join("absolute")).unwrap();
    symlink("../outside/token", folders.inside().join("relative")).unwrap();
    symlink(&outside, folders.inside().join("folder")).unwrap();
    symlink("folder", folders.inside().join("twice")).unwrap();
    for named in ["absolute", "relative", "folder/token", "twice/token"] {
        let error = folders.token(named).await.unwrap_err();
        assert!(error.contains("leads out of --credential-dir by a symbolic link"), "{named}: {error}");
        assert!(!error.contains(SECRET));
    }
}

#[tokio::test]
async fn only_plain_files_of_a_sensible_size_are_read() {
    let folders = Folders::new();
    let pipe = folders.inside().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folders.inside().join("socket")).unwrap();
    folders.write("large", &"x".repeat((1 << 20) + 1));
    folders.write("words", &format!("{SECRET} and more"));
    for (named, expected) in [
        ("pipe", "is no regular file"),
        ("socket", "is no regular file"),
        ("large", "has more than 1048576 bytes"),
        ("words", "data key token-file: the file that it names holds something other than one line"),
    ] {
        let error = folders.token(named).await.unwrap_err();
        assert!(error.contains(expected), "{named}: {error}");
        assert!(!error.contains(SECRET));
    }
}

async fn until(source: &Source<String>, expected: &str) {
    let began = std::time::Instant::now();
    loop {
        let now = source.get().await.map_or_else(|error| error.to_string(), |made| made.to_string());
        if now.contains(expected) {
            return;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{now:?} instead of {expected:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_mounted_token_is_read_again_when_a_kubelet_renews_it_and_when_it_is_back() {
    let folders = Folders::new();
    folders.mount("v", "1", &[("token", "first")]);
    let source = folders.source(FilesKind::Token("v/token".into()));
    assert_eq!(*source.get().await.unwrap(), "first");
    folders.mount("v", "2", &[("token", "second")]);
    until(&source, "second").await;
    fs::remove_file(folders.inside().join("v/..data")).unwrap();
    let mut standing = source.standing();
    while standing.problem.is_none() {
        source.get().await.unwrap();
        sleep(Duration::from_millis(10)).await;
        standing = source.standing();
    }
    assert!(standing.problem.unwrap().contains("does not exist"));
    assert_eq!(*source.get().await.unwrap(), "second", "the last one stays in use");
    folders.mount("v", "3", &[("token", "third")]);
    until(&source, "third").await;
}

#[tokio::test]
async fn a_refused_token_is_read_again_at_once() {
    let folders = Folders::new();
    folders.write("token", "first");
    let source = folders.source(FilesKind::Token("token".into()));
    let refused = source.get().await.unwrap();
    folders.write("token", "second");
    assert_eq!(*source.renewed(&refused).await.unwrap(), "second");
}

#[tokio::test]
async fn a_certificate_and_its_key_are_two_files_that_have_to_fit() {
    let pair = || {
        let made = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let ((chain, key), (_, other)) = (pair(), pair());
    let folders = Folders::new();
    folders.mount("v", "1", &[("tls.crt", &chain), ("tls.key", &other)]);
    let kind = FilesKind::Certificate { chain: "v/tls.crt".into(), key: "v/tls.key".into() };
    let source = folders.source(kind);
    let error = source.get().await.unwrap_err().to_string();
    assert_eq!(
        error,
        "data keys tls.crt-file and tls.key-file: in the files that they name the private key does not match the certificate"
    );
    folders.mount("v", "2", &[("tls.crt", &format!("{chain}{chain}")), ("tls.key", &key)]);
    until(&source, "2 certificates").await;
    assert!(source.standing().expires.is_some());
}
