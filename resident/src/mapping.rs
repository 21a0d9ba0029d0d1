use std::path::PathBuf;

/// A mapping of this process, as proc_pid_smaps(5) tells of it.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) permissions: String,
    /// None where it is no file's.
    pub(crate) path: Option<PathBuf>,
    /// Bytes in memory.
    pub(crate) resident: u64,
    /// Bytes that are no file's (any more). As many as can be where the kernel does not say.
    pub(crate) anonymous: u64,
}

/// Reads what it can; what it cannot read is no mapping.
pub(crate) fn parse(smaps: &str) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    for line in smaps.lines() {
        if let Some(mapping) = head(line) {
            mappings.push(mapping);
        } else if let Some(mapping) = mappings.last_mut() {
            match line.split_once(':') {
                Some(("Rss", size)) => mapping.resident = bytes(size).unwrap_or_default(),
                Some(("Anonymous", size)) => mapping.anonymous = bytes(size).unwrap_or(u64::MAX),
                _ => {}
            }
        }
    }
    mappings
}

/// `START-END PERMISSIONS OFFSET DEVICE INODE PATH`, the path with blanks as they are.
fn head(line: &str) -> Option<Mapping> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let address = |digits| usize::from_str_radix(digits, 16).ok();
    let (start, end) = (address(start)?, address(end)?);
    let permissions = words.next()?.to_owned();
    let path = words.nth(3).map(str::trim_start).filter(|path| path.starts_with('/')).map(PathBuf::from);
    Some(Mapping { start, end, permissions, path, resident: 0, anonymous: u64::MAX })
}

fn bytes(size: &str) -> Option<u64> {
    Some(size.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
