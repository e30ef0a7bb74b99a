//! Claims jobs that are due, in rounds.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::futures::Notified;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::sleep;

use super::{ClaimFilter, JobStore, LeasedJob, Payload};

/// The pause after a round in which there may have been more jobs than could be claimed.
const BUSY_INTERVAL: Duration = Duration::from_millis(20);

/// Claims jobs of one kind, as many at a time as it has slots.
pub struct Claimer {
    store: Arc<JobStore>,
    slots: Arc<Semaphore>,
}

/// The result of one round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Round {
    /// How many jobs could not be read, and are deleted.
    pub unreadable: u64,
    /// Whether there may be more jobs than could be claimed.
    pub is_full: bool,
}

impl Claimer {
    /// A claimer that has at most `concurrency` jobs run at once.
    #[must_use]
    pub fn new(store: Arc<JobStore>, concurrency: usize) -> Self {
        Self {
            store,
            slots: Arc::new(Semaphore::new(concurrency)),
        }
    }

    /// Claims the jobs that are due at `now`, from memory alone if `memory_only`, and passes each to `handle` with its
    /// slot, to be dropped when the job is done.
    pub async fn claim<P: Payload>(
        &self,
        now: Timestamp,
        memory_only: bool,
        handle: impl Fn(LeasedJob<P>, OwnedSemaphorePermit),
    ) -> Round {
        let mut round = Round::default();
        let Some(filter) = self.filter(now) else {
            round.is_full = true;
            return round;
        };
        let mut jobs = self.store.claim_from_memory(&filter, now).await;
        if !memory_only && jobs.is_empty() {
            (jobs, round.unreadable) = self.store.claim_from_database(&filter, now).await;
        }
        round.is_full = !jobs.is_empty();
        for job in jobs {
            // Nobody else takes slots, so there is one for each job that was claimed.
            if let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() {
                handle(job, slot);
            }
        }
        round
    }

    fn filter(&self, now: Timestamp) -> Option<ClaimFilter<'static>> {
        let free = u32::try_from(self.slots.available_permits()).unwrap_or(u32::MAX);
        (free > 0).then(|| ClaimFilter::due(now, free))
    }
}

/// The wait for the next round of claims. Created before a round, so that nothing that happens during it is missed.
pub struct NextRound<'a> {
    store: &'a JobStore,
    rescheduled: Pin<Box<Notified<'a>>>,
}

impl<'a> NextRound<'a> {
    /// Listens for rescheduled jobs from now on.
    #[must_use]
    pub fn new(store: &'a JobStore) -> Self {
        let mut rescheduled = Box::pin(store.rescheduled());
        rescheduled.as_mut().enable();
        Self { store, rescheduled }
    }

    /// Waits until a job is due that this process has rescheduled, for `max_interval` at most. `began` is the time of the
    /// round before.
    pub async fn wait(self, began: Timestamp, is_full: bool, max_interval: Duration) {
        let pause = if is_full {
            BUSY_INTERVAL.min(max_interval)
        } else {
            max_interval
        };
        tokio::select! {
            () = self.rescheduled => {}
            () = self.store.wait_for_due_job(began) => {}
            () = sleep(pause) => {}
        }
    }
}
