//! Load on the processor, beside what is tested.

use std::path::Path;

use anyhow::Result;

use super::process::{Process, Program};

/// One busy process for each core, until this is dropped.
pub struct Burners(Vec<Process>);

impl Burners {
    /// Starts them; their (empty) logs go to `folder`.
    pub fn start(folder: &Path) -> Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        let burner = |number| {
            Process::start(Program {
                name: format!("burner-{number}"),
                path: "/bin/sh".into(),
                args: vec!["-c".to_owned(), "while :; do :; done".to_owned()],
                env: Vec::new(),
                folder: folder.to_owned(),
            })
        };
        (0..cores).map(burner).collect::<Result<_>>().map(Self)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
