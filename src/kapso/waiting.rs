//! How long a command waits for Kapso: while a request is under way, not while it waits for its turn or for a retry.

use std::cell::Cell;
use std::time::Duration;

use tokio::task_local;
use tokio::time::Instant;

task_local! {
    static WAITED: Cell<Duration>;
}

/// Runs `work`, and returns how long it waited for Kapso.
pub async fn measure<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let work = async {
        let output = work.await;
        (output, WAITED.with(Cell::get))
    };
    WAITED.scope(Cell::default(), work).await
}

/// Adds to what the [`measure`] around this returns, if there is one.
pub(super) fn add(waited: Duration) {
    // Not every request is measured: the poller's are not.
    let _ = WAITED.try_with(|all| all.set(all.get() + waited));
}

/// Adds the time from its creation until it is dropped, also if the wait is abandoned.
pub(super) struct Waiting(Instant);

impl Waiting {
    pub(super) fn start() -> Self {
        Self(Instant::now())
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        add(self.0.elapsed());
    }
}
