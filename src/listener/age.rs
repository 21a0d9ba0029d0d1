use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::model::jittered;

/// When a connection has been there for long enough: its caller is then told to open another one, which any replica
/// and any worker may get. What is under way goes on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Age(Option<Instant>);

impl Age {
    /// Of a connection that begins now; some a little sooner, some later, so that those who came together do not come
    /// together again. None: never.
    pub(super) fn begin(limit: Option<Duration>) -> Self {
        Self(limit.map(|limit| Instant::now() + jittered(limit)))
    }

    /// Resolves when it is over. Cancel safe.
    pub(super) async fn over(&self) {
        match self.0 {
            Some(at) => sleep_until(at).await,
            None => std::future::pending().await,
        }
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.0.is_some_and(|at| Instant::now() >= at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn connections_that_begin_together_are_over_apart_but_not_far_from_their_age() {
        let minute = Duration::from_secs(60);
        let began = Instant::now();
        let mut ages = Vec::new();
        for _ in 0..100 {
            ages.push(tokio::spawn(async move {
                let age = Age::begin(Some(minute));
                assert!(!age.is_over());
                age.over().await;
                assert!(age.is_over());
                began.elapsed()
            }));
        }
        let mut lives = Vec::new();
        for age in ages {
            lives.push(age.await.unwrap());
        }
        lives.sort();
        assert!(lives[0] >= minute.mul_f64(0.9) && lives[99] <= minute.mul_f64(1.1), "{lives:?}");
        assert!(lives[99] - lives[0] > minute / 10, "they are over together: {lives:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_it_is_never_over() {
        let age = Age::begin(None);
        let day = Duration::from_secs(24 * 3600);
        assert!(tokio::time::timeout(day, age.over()).await.is_err());
        assert!(!age.is_over());
    }
}
