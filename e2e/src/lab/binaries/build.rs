//! Building a Go module into the cache, once.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::{Module, cache_folder, toolchain};

/// How often a build says that it goes on.
const PROGRESS: Duration = Duration::from_secs(10);

/// The folder that holds the module's programs; builds them when it is not there.
pub(super) fn ensure(module: &Module) -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(module.folder);
    let cache = cache_folder()?;
    let built = cache.join(format!("{}-{}", module.name, cache_key(module, &source)?));
    if built.is_dir() {
        return Ok(built);
    }
    toolchain::check()?;
    std::fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    let _lock = lock(&cache, module.name)?;
    if built.is_dir() {
        return Ok(built);
    }
    let names: Vec<&str> = module.programs.iter().map(|(name, _)| *name).collect();
    say(&format!("building {} from source, once: {} on two cores", names.join(" and "), module.takes));
    let results = cache.join(format!("{}.building", module.name));
    if results.exists() {
        // Of a build that was broken off; the lock is ours.
        std::fs::remove_dir_all(&results).with_context(|| format!("removing {}", results.display()))?;
    }
    for (program, package) in module.programs {
        build(module, &source, package, &results.join(program))?;
    }
    std::fs::rename(&results, &built).with_context(|| format!("moving a build to {}", built.display()))?;
    Ok(built)
}

/// The digest of everything that decides what a build gives: the module's files, the recipe, the machine.
pub fn cache_key(module: &Module, source: &Path) -> Result<String> {
    let mut files = Vec::new();
    list(source, &mut files)?;
    files.sort();
    let mut digest = Sha256::new();
    let mut add = |bytes: &[u8]| {
        // With lengths: what moves from one part to the next changes the key.
        digest.update((bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    add(std::env::consts::OS.as_bytes());
    add(std::env::consts::ARCH.as_bytes());
    for path in &files {
        add(path.strip_prefix(source)?.as_os_str().as_encoded_bytes());
        add(&std::fs::read(path).with_context(|| format!("reading {}", path.display()))?);
    }
    for (program, package) in module.programs {
        add(program.as_bytes());
        for argument in arguments(module, package, Path::new("")) {
            add(argument.as_bytes());
        }
    }
    let key: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(key[..16].to_owned())
}

fn arguments(module: &Module, package: &str, output: &Path) -> Vec<String> {
    let ldflags = format!("-s -w {}", module.ldflags);
    let mut arguments: Vec<String> =
        ["build", "-v", "-trimpath", "-mod=readonly", "-ldflags", ldflags.trim(), "-o"]
            .map(str::to_owned)
            .into();
    arguments.push(output.display().to_string());
    arguments.push(package.to_owned());
    arguments
}

fn build(module: &Module, source: &Path, package: &str, output: &Path) -> Result<()> {
    let name = output.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let start = Instant::now();
    let mut child = Command::new("go")
        .args(arguments(module, package, output))
        .current_dir(source)
        .env("CGO_ENABLED", "0")
        // A workspace or a flag of the user's would build something else than the pins say.
        .env("GOWORK", "off")
        .env("GOFLAGS", "")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("starting go")?;
    let stderr = child.stderr.take().context("go has no stderr")?;
    let (mut lines, mut packages, mut said) = (Vec::new(), 0_u32, Instant::now());
    for line in BufReader::new(stderr).lines() {
        let line = line?;
        // `-v` names each package in a line of its own; everything else is a message.
        if !line.contains(' ') {
            packages += 1;
        }
        lines.push(line);
        if said.elapsed() >= PROGRESS {
            said = Instant::now();
            say(&format!("  {name}: {packages} packages built, {} s", start.elapsed().as_secs()));
        }
    }
    let status = child.wait()?;
    if !status.success() {
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        bail!("go build {package} in {} ended with {status}:\n{tail}", source.display());
    }
    say(&format!("  {name} is built, {} s", start.elapsed().as_secs()));
    Ok(())
}

/// One builder at a time for a module; the kernel drops the lock when its holder ends.
fn lock(cache: &Path, name: &str) -> Result<File> {
    let path = cache.join(format!("{name}.lock"));
    let file = File::create(&path).with_context(|| format!("opening {}", path.display()))?;
    if file.try_lock().is_err() {
        say(&format!("another process builds {name}: waiting for it"));
        file.lock().with_context(|| format!("locking {}", path.display()))?;
    }
    Ok(file)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() { list(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

/// Straight to stderr: the test harness holds back what `eprintln!` writes, and who waits five minutes wants to
/// know what for.
fn say(message: &str) {
    let _ = writeln!(std::io::stderr().lock(), "lab: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: Module =
        Module { name: "x", folder: "x", programs: &[("x", ".")], ldflags: "", takes: "a moment" };

    #[test]
    fn a_changed_file_or_recipe_is_another_build() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("go.mod"), "module x\n").unwrap();
        let first = cache_key(&MODULE, folder.path()).unwrap();
        assert_eq!(cache_key(&MODULE, folder.path()).unwrap(), first);
        let flags = Module { ldflags: "-X a=b", ..MODULE };
        assert_ne!(cache_key(&flags, folder.path()).unwrap(), first);
        std::fs::write(folder.path().join("go.sum"), "x v1 h1:a=\n").unwrap();
        assert_ne!(cache_key(&MODULE, folder.path()).unwrap(), first);
    }
}
