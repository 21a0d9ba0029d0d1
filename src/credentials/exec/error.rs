use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::answer::InvalidAnswer;

/// Why a command gave no credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExecError {
    /// There is no such command, or it cannot be run.
    #[error("exec: executable {command} not found{}", Hint(.hint))]
    NotFound {
        /// As the Secret names it.
        command: String,
        /// What the Secret says about getting it.
        hint: Option<String>,
    },
    /// It is there, but the operator does not let it run.
    #[error(
        "exec: command {command} is not allowed: to allow it start the gateway with --exec-allowed={path} or with --exec-allowed=sha256:{sha256}"
    )]
    NotAllowed {
        /// As the Secret names it.
        command: String,
        /// Where it was found.
        path: String,
        /// Of the file, in hexadecimal.
        sha256: String,
    },
    /// The system does not start it.
    #[error("exec: command {command} cannot be started: {error}")]
    NotStarted {
        /// As the Secret names it.
        command: String,
        /// What the system says.
        error: String,
    },
    /// It was killed, with all that it had started.
    #[error("exec: command {command} did not end within --exec-timeout ({limit:?}) and was killed{}", Said(.stderr))]
    TimedOut {
        /// As the Secret names it.
        command: String,
        /// How long it may take.
        limit: Duration,
        /// The end of what it wrote there.
        stderr: String,
    },
    /// It says itself that it failed.
    #[error("exec: executable {command} failed with exit code {code}{}", Said(.stderr))]
    Exited {
        /// As the Secret names it.
        command: String,
        /// Its exit code.
        code: i32,
        /// The end of what it wrote there.
        stderr: String,
    },
    /// It crashed, or somebody else killed it.
    #[error("exec: executable {command} was killed by signal {signal}{}", Said(.stderr))]
    Killed {
        /// As the Secret names it.
        command: String,
        /// The signal's number.
        signal: i32,
        /// The end of what it wrote there.
        stderr: String,
    },
    /// Nobody's credential is that long.
    #[error("exec: command {command} wrote more than {limit} bytes to stdout and was killed{}", Said(.stderr))]
    TooMuch {
        /// As the Secret names it.
        command: String,
        /// What is taken.
        limit: usize,
        /// The end of what it wrote there.
        stderr: String,
    },
    /// It ended well, but what it wrote is no credential.
    #[error("exec: command {command} {problem}{}", Said(.stderr))]
    Answer {
        /// As the Secret names it.
        command: String,
        /// What is wrong with it.
        problem: InvalidAnswer,
        /// The end of what it wrote there.
        stderr: String,
    },
}

impl ExecError {
    /// As it stands in metrics.
    pub(in crate::credentials) fn outcome(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::NotAllowed { .. } => "not_allowed",
            Self::NotStarted { .. } => "not_started",
            Self::TimedOut { .. } => "timeout",
            Self::Exited { .. } => "exit_code",
            Self::Killed { .. } => "killed",
            Self::TooMuch { .. } => "too_much_output",
            Self::Answer { .. } => "invalid_answer",
        }
    }
}

struct Hint<'a>(&'a Option<String>);

impl fmt::Display for Hint<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(hint) => write!(formatter, ": {hint}"),
            None => formatter.write_str(": put it into the gateway's image, or name it by its absolute path"),
        }
    }
}

struct Said<'a>(&'a str);

impl fmt::Display for Said<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            said => write!(formatter, "; its last words on stderr: {said}"),
        }
    }
}
