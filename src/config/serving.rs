use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use rustls::SupportedCipherSuite;
use rustls::crypto::ring;

use crate::tls::{ServerOptions, ServingSource};

use super::{Error, values};

/// The secure port: where it is, which certificate it shows, which TLS and HTTP/2 it speaks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Serving")]
pub struct Serving {
    /// IP address to listen on; blank, 0.0.0.0 and :: mean all addresses of both families
    #[arg(long, value_name = "IP", default_value = "0.0.0.0", value_parser = values::bind_address)]
    pub bind_address: IpAddr,
    /// Port for HTTPS with authentication and authorization; 0 takes a free one and logs it
    #[arg(long, value_name = "PORT", default_value_t = 443)]
    pub secure_port: u16,
    /// Directory with apiserver.crt and apiserver.key, or for a self-signed pair; not used with --tls-cert-file
    #[arg(long, value_name = "DIRECTORY", default_value = "apiserver.local.config/certificates")]
    pub cert_dir: PathBuf,
    /// Serving certificate and its chain, PEM; read again when it changes
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub tls_cert_file: Option<PathBuf>,
    /// Private key of --tls-cert-file, PEM; read again when it changes
    #[arg(long, value_name = "FILE", value_parser = values::file)]
    pub tls_private_key_file: Option<PathBuf>,
    /// Lowest TLS version
    #[arg(long, value_name = "VERSION", default_value = "VersionTLS12")]
    pub tls_min_version: TlsVersion,
    /// TLS 1.2 cipher suites to offer, by their IANA names; all that are safe when not given
    #[arg(long, value_name = "NAMES", value_delimiter = ',', action = clap::ArgAction::Append)]
    tls_cipher_suites: Vec<String>,
    /// HTTP/2 streams that a client may have open on one connection; 0 means the default of 1000
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    http2_max_streams_per_connection: u32,
    /// Age at which a caller is told to open another connection, give or take a tenth, so that callers come to be
    /// spread over all replicas and cores; what is under way, watches too, goes on to its end; 0 means never
    // New replicas get their part of a hub's requests within that time; a handshake per hub in ten minutes is nothing,
    // and of the connections before only those stay that still have watches, which kube's clients end sooner.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = values::age)]
    max_connection_age: Duration,
    /// Speak HTTP/1.1 only
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false", default_missing_value = "true", hide_default_value = true, value_parser = values::boolean)]
    pub disable_http2_serving: bool,
    /// IP:PORT for health and metrics in the clear and without authentication; off unless given
    #[arg(long, value_name = "IP:PORT")]
    pub operations_address: Option<SocketAddr>,
}

/// What `--tls-min-version` may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum TlsVersion {
    /// The default. Kubernetes' names for older ones are taken for this one: nothing older is safe.
    #[value(name = "VersionTLS12", alias = "", alias = "VersionTLS10", alias = "VersionTLS11")]
    Tls12,
    /// Only the newest.
    #[value(name = "VersionTLS13")]
    Tls13,
}

/// What a kube-aggregator's one connection needs: all of a hub's traffic, watches included, goes over it.
const DEFAULT_STREAMS: u32 = 1000;

impl Serving {
    /// Addresses to try in this order until one can be listened on: an unspecified one means both families, and
    /// where there is no IPv6 the second is IPv4 alone.
    pub fn listen_addresses(&self) -> Vec<SocketAddr> {
        let address = SocketAddr::new(self.bind_address, self.secure_port);
        match self.bind_address {
            IpAddr::V4(ip) if ip.is_unspecified() => {
                vec![SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), self.secure_port), address]
            }
            _ => vec![address],
        }
    }

    /// Where the serving certificate comes from.
    pub fn certificate_source(&self) -> ServingSource {
        match (&self.tls_cert_file, &self.tls_private_key_file) {
            (Some(certificate), Some(key)) => {
                ServingSource::Files { certificate: certificate.clone(), key: key.clone() }
            }
            _ => ServingSource::Directory { directory: self.cert_dir.clone(), address: self.bind_address },
        }
    }

    /// HTTP/2 streams per connection.
    pub fn max_streams(&self) -> u32 {
        match self.http2_max_streams_per_connection {
            0 => DEFAULT_STREAMS,
            streams => streams,
        }
    }

    /// After which callers are told to open another connection; none: never.
    pub fn max_connection_age(&self) -> Option<Duration> {
        Some(self.max_connection_age).filter(|age| !age.is_zero())
    }

    /// How TLS is spoken. Cipher suites that this program never offers are left out; none left is an error.
    pub fn tls(&self) -> Result<ServerOptions, Error> {
        let tls13_only = self.tls_min_version == TlsVersion::Tls13;
        let cipher_suites = match self.tls_cipher_suites.iter().any(|name| !name.is_empty()) {
            true => self.chosen_suites(),
            false => ring::ALL_CIPHER_SUITES.to_vec(),
        };
        if !tls13_only && !cipher_suites.iter().any(is_tls12) {
            let known: Vec<_> =
                ring::ALL_CIPHER_SUITES.iter().filter(|suite| is_tls12(suite)).map(name).collect();
            return Err(Error::Value {
                flag: "--tls-cipher-suites".to_owned(),
                value: self.tls_cipher_suites.join(","),
                problem: "none of them is offered here".to_owned(),
                cure: format!("add one of {}, or --tls-min-version=VersionTLS13", known.join(", ")),
            });
        }
        Ok(ServerOptions { cipher_suites, tls13_only, http2: !self.disable_http2_serving })
    }

    /// Those of TLS 1.3 cannot be chosen, as in Go.
    fn chosen_suites(&self) -> Vec<SupportedCipherSuite> {
        let is_wanted = |suite: &SupportedCipherSuite| {
            let name = name(suite);
            // Go knows the two with ChaCha20 without their hash, too.
            self.tls_cipher_suites.iter().any(|wanted| *wanted == name || format!("{wanted}_SHA256") == name)
        };
        ring::ALL_CIPHER_SUITES.iter().filter(|suite| !is_tls12(suite) || is_wanted(suite)).copied().collect()
    }
}

fn is_tls12(suite: &SupportedCipherSuite) -> bool {
    suite.tls13().is_none()
}

/// The IANA name.
fn name(suite: &SupportedCipherSuite) -> String {
    format!("{:?}", suite.suite())
}
