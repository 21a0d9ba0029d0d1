//! Who a caller is on a cluster: the cluster's own credential, or somebody who is impersonated.
//!
//! Promises: the first rule that matches decides, a cluster's own rules before the global ones; without one the
//! caller is shown as the hub knows them, less the extras that only mean something on the hub. A header that could
//! not carry an identity unchanged is never sent and nothing is left out silently. Fails closed: a rule that cannot
//! be followed refuses the request, a rule that cannot be read refuses the whole configuration.

mod exchanger;
mod global;
mod headers;
mod parse;
mod rules;

pub use exchanger::{ExchangeError, Exchanger, Identity, WorkerExchanger};
pub use global::{GlobalRules, GlobalRulesSource, Metrics, RulesFileError};
pub use headers::{Headers, NotAHeader, Part};
pub use parse::InvalidRules;
pub use rules::Rules;
