use serde::{Deserialize, Serialize};

/// The machine that a run was on: absolute numbers mean something there only.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gb: u64,
    pub(crate) kernel: String,
}

impl Machine {
    /// This one; what /proc does not tell is unknown.
    pub(crate) fn this() -> Self {
        let line = |path: &str, start: &str| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            let value = text.lines().find_map(|line| line.strip_prefix(start)?.split_once(':'));
            value.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
        };
        let memory = line("/proc/meminfo", "MemTotal");
        let kilobytes = memory.split(' ').next().and_then(|number| number.parse::<u64>().ok());
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease");
        Self {
            processor: line("/proc/cpuinfo", "model name"),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            memory_gb: kilobytes.unwrap_or_default() >> 20,
            kernel: kernel.map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
        }
    }
}
