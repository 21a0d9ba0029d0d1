use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ring::hmac;
use tokio::runtime::Handle;

use crate::model::{Recent, User};
use crate::reviews::{Answer, Flights, Limits, Unanswered, with_retries};

use super::{Metrics, TokenReviewer, in_authenticated};

/// All attempts of a TokenReview together, as k8s.io/apiserver's `TokenRequestTimeout`.
const REVIEW_LIMIT: Duration = Duration::from_secs(10);
/// Tokens a worker remembers.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(2048).expect("not zero");

/// A bearer token: shown to the hub and to nobody else.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

/// What is remembered of a token: an HMAC under a key of this process, so that memory holds nothing to be replayed.
type Digest = [u8; 32];

/// Somebody, or nobody: the hub does not know the token.
type Verdict = Option<Arc<User>>;

/// Who holds which token, for all workers.
pub(super) struct Tokens {
    key: hmac::Key,
    flights: Flights<Digest, Token, Verdict>,
    metrics: Metrics,
}

/// One worker's memory of it.
pub(super) struct WorkerTokens {
    shared: Arc<Tokens>,
    known: Mutex<Recent<(Digest, Answer<Verdict>)>>,
}

impl Token {
    /// Takes a token as the caller showed it.
    pub fn new(secret: &str) -> Self {
        Self(secret.to_owned())
    }

    /// The token itself.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(…)")
    }
}

impl Tokens {
    pub(super) fn new(
        reviewer: Arc<dyn TokenReviewer>,
        ttl: Duration,
        control: &Handle,
        metrics: Metrics,
    ) -> Self {
        let counted = metrics.clone();
        let flights = Flights::new(control, Limits::reviews(ttl), move |token: Token| {
            let (reviewer, metrics) = (Arc::clone(&reviewer), counted.clone());
            Box::pin(async move {
                let start = Instant::now();
                let result = with_retries(REVIEW_LIMIT, || reviewer.review(&token)).await;
                let outcome = match &result {
                    Ok(Some(_)) => &metrics.authenticated,
                    Ok(None) => &metrics.refused,
                    Err(_) => &metrics.unanswered,
                };
                outcome.observe(start.elapsed().as_secs_f64());
                if let Err(error) = &result {
                    tracing::warn!(%error, detail = error.detail(), "TokenReview failed");
                }
                // A user without a name could not be told from nobody.
                let named = result?.filter(|user| !user.name.is_empty());
                Ok(named.map(|user| Arc::new(in_authenticated(user))))
            })
        });
        let key = hmac::Key::new(hmac::HMAC_SHA256, &random_key());
        Self { key, flights, metrics }
    }

    fn digest(&self, token: &Token) -> Digest {
        let mut digest = Digest::default();
        digest.copy_from_slice(hmac::sign(&self.key, token.0.as_bytes()).as_ref());
        digest
    }
}

impl WorkerTokens {
    pub(super) fn new(shared: Arc<Tokens>) -> Self {
        Self { shared, known: Mutex::new(Recent::new(REMEMBERED)) }
    }

    /// Whose token it is; none when the hub does not know it.
    pub(super) async fn user(&self, token: Token) -> Result<Verdict, Unanswered> {
        let digest = self.shared.digest(&token);
        if let Some(verdict) = self.remembered(&digest) {
            self.shared.metrics.token_hits.inc();
            return Ok(verdict);
        }
        self.shared.metrics.token_misses.inc();
        let answer = self.shared.flights.get(digest, token).await?;
        let verdict = answer.value.clone();
        self.known.lock().unwrap_or_else(PoisonError::into_inner).put(short(&digest), (digest, answer));
        Ok(verdict)
    }

    fn remembered(&self, digest: &Digest) -> Option<Verdict> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, answer) = known.get(short(digest), |(own, answer)| own == digest && answer.is_fresh())?;
        Some(answer.value.clone())
    }
}

fn short(digest: &Digest) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    u64::from_le_bytes(bytes)
}

/// From the standard library's hasher keys, which the operating system's random source makes: 128 bits per thread,
/// stretched. Enough for a key that never leaves the process and guards no more than its memory.
fn random_key() -> [u8; 32] {
    use std::hash::{BuildHasher, RandomState};
    let mut key = [0; 32];
    for (index, part) in key.chunks_exact_mut(8).enumerate() {
        part.copy_from_slice(&RandomState::new().hash_one(index).to_le_bytes());
    }
    key
}
