use clap::{Arg, ArgAction, ArgMatches, Command};

use super::{Error, Warning, values};

/// `--feature-gates` of the Go cluster-gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gates {
    /// The status annotations of Secrets are a cluster's health.
    pub healthiness_check: bool,
    /// Kept for its name: clusters are always served from memory here.
    pub secret_cache: bool,
    /// Callers are impersonated on clusters.
    pub client_identity_penetration: bool,
    /// Kept for its name: what is read from Open Cluster Management is always watched here.
    pub ocm_cluster_cache: bool,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            healthiness_check: false,
            secret_cache: true,
            client_identity_penetration: false,
            ocm_cluster_cache: true,
        }
    }
}

const FLAG: &str = "feature-gates";

pub(super) fn augment(command: Command) -> Command {
    // Not an overriding flag: in Go every further one adds to what was set before.
    command.arg(
        Arg::new(FLAG)
            .long(FLAG)
            .value_name("NAME=BOOL,…")
            .action(ArgAction::Append)
            .help_heading("Running")
            .help("HealthinessCheck, SecretCache, ClientIdentityPenetration, OCMClusterCache; others are ignored"),
    )
}

impl Gates {
    pub(super) fn from_matches(matches: &ArgMatches, warnings: &mut Vec<Warning>) -> Result<Self, Error> {
        let mut gates = Self::default();
        for text in matches.get_many::<String>(FLAG).into_iter().flatten() {
            for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
                gates.set(pair, warnings)?;
            }
        }
        Ok(gates)
    }

    fn set(&mut self, pair: &str, warnings: &mut Vec<Warning>) -> Result<(), Error> {
        let invalid = |problem: String| Error::Value {
            flag: format!("--{FLAG}"),
            value: pair.to_owned(),
            problem,
            cure: "write NAME=true or NAME=false, separated by commas".to_owned(),
        };
        let (name, value) =
            pair.split_once('=').ok_or_else(|| invalid("the gate has no value".to_owned()))?;
        let value = values::boolean(value.trim()).map_err(invalid)?;
        match name.trim() {
            "HealthinessCheck" => self.healthiness_check = value,
            "SecretCache" => self.secret_cache = value,
            "ClientIdentityPenetration" => self.client_identity_penetration = value,
            "OCMClusterCache" => self.ocm_cluster_cache = value,
            "APIPriorityAndFairness" => warnings.push(Warning::new(
                format!("--{FLAG}={pair}"),
                "priority and fairness is the hub's and the clusters' own affair; there is none here to turn on or off",
            )),
            _ => warnings.push(Warning::new(format!("--{FLAG}={pair}"), "no such gate here; it changes nothing")),
        }
        Ok(())
    }
}
