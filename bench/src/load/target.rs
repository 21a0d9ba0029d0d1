use anyhow::Result;
use e2e::client::HttpsClient;
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::client::Resumption;

/// A server, how it is reached, and as whom.
#[derive(Clone)]
pub(crate) struct Target {
    pub(super) client: HttpsClient,
    pub(super) authority: String,
    pub(super) headers: HeaderMap,
    /// Before the path of each request.
    pub(super) prefix: String,
}

impl Target {
    /// A server that this client reaches; `authority` is what requests call it.
    pub(crate) fn new(client: HttpsClient, authority: &str, prefix: &str) -> Self {
        Self { client, authority: authority.to_owned(), headers: HeaderMap::new(), prefix: prefix.to_owned() }
    }

    /// With a header that each request carries.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Result<Self> {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        Ok(self)
    }

    /// With another prefix: another cluster behind the same server.
    pub(crate) fn prefixed(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// Whose connections are all made from nothing.
    pub(crate) fn never_resumes(mut self) -> Self {
        self.client = self.client.resumption(Resumption::disabled());
        self
    }

    /// Whose connections resume each other's sessions, and nobody else's.
    pub(crate) fn resumes_afresh(mut self) -> Self {
        self.client = self.client.resumption(Resumption::in_memory_sessions(256));
        self
    }
}
