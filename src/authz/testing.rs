//! A hub that answers by a rule, for this room's tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::runtime::Handle;

use super::{AccessReviewer, Authorizer, AuthorizerOptions, Decision, Metrics, Question, WorkerAuthorizer};
use crate::reviews::Failed;

pub(super) struct Script {
    rule: Box<dyn Fn(&Question) -> bool + Send + Sync>,
    asked: AtomicUsize,
}

impl Script {
    pub(super) fn new(rule: impl Fn(&Question) -> bool + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { rule: Box::new(rule), asked: AtomicUsize::new(0) })
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl AccessReviewer for Script {
    async fn review(&self, question: &Question) -> Result<Decision, Failed> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(match (self.rule)(question) {
            true => Decision::Allowed,
            false => Decision::Denied("because".into()),
        })
    }
}

pub(super) fn worker(script: &Arc<Script>) -> WorkerAuthorizer {
    let metrics = Metrics::register(&prometheus::Registry::new()).unwrap();
    let reviewer: Arc<dyn AccessReviewer> = script.clone();
    Authorizer::new(reviewer, &AuthorizerOptions::default(), &Handle::current(), metrics)
        .unwrap()
        .for_worker()
}
