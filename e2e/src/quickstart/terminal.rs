//! What the quickstart prints.

use std::io::{IsTerminal as _, Write as _};
use std::time::Instant;

/// Steps, notes and commands, with colours when somebody is looking.
pub(super) struct Terminal {
    steps: usize,
    step: usize,
    colour: bool,
    since: Instant,
}

impl Terminal {
    pub(super) fn new(steps: usize) -> Self {
        let colour = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { steps, step: 0, colour, since: Instant::now() }
    }

    /// The next step begins.
    pub(super) fn step(&mut self, what: &str) {
        self.step += 1;
        let head = self.paint("1;36", &format!("[{}/{}]", self.step, self.steps));
        let seconds = self.since.elapsed().as_secs();
        self.line(&format!("\n{head} {what} {}", self.paint("2", &format!("({seconds} s)"))));
    }

    /// A detail of a step.
    pub(super) fn note(&self, what: &str) {
        self.line(&format!("      {}", self.paint("2", what)));
    }

    /// A command that is run now.
    pub(super) fn command(&self, line: &str) {
        self.line(&format!("\n  {} {}", self.paint("1;32", "$"), self.paint("1", line)));
    }

    /// What a command answered.
    pub(super) fn output(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.line(&format!("  {line}"));
        }
    }

    /// A line as it is. A reader that has gone does not stop the show.
    pub(super) fn line(&self, text: &str) {
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{text}").and_then(|()| out.flush());
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
