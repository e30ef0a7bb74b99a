//! The store as the service uses it: bounded in time, and never in the way of an answer.

use std::convert::Infallible;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use super::access::{Access, DEADLINE, Opened};
use super::{Claimed, Job, Kind, Late, Lease, Payload, Store, StoreError, Wanted};
use crate::clock::Clock;
use crate::config::DatabaseUrl;

/// How long an acknowledgement waits for its answer to be stored.
const WRITE_DEADLINE: Duration = Duration::from_millis(300);
/// How long a lease lasts. Another process goes on with what its holder has left after this.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// How often a lease is renewed while work goes on.
pub const RENEWAL: Duration = Duration::from_secs(5);
/// Owed answers resumed at a time: as many as a process leaves that dies when it was busy, so that the last of them too
/// are resumed within 20 s.
const CLAIMED_MAX: u32 = 256;
/// How long a write may be on its way that nobody waits for any more: longer than a server lets it run.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_secs(10);
/// How long anything is kept: a `response_url` lives for 30 minutes.
const KEPT: SignedDuration = SignedDuration::from_mins(30);
/// How long a creation is remembered. A command can come again for five minutes as a replay, which is as long as its
/// signature is good, and for 30 minutes as an owed answer; a question about another one is good for as long.
const CREATION_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What became of an answer that was to be stored.
#[derive(Clone, Debug)]
pub enum Persistence {
    /// It is stored, and this process has the right to work on it.
    Stored(Lease),
    /// It may be stored: the store did not say in time. It lives in memory, and is taken out again afterwards.
    Unsure(Lease),
    /// It lives in memory alone.
    InMemory,
}

/// The service's access to the store.
///
/// What was stored and leased, and cannot be asked about any more, is treated by who else could have it:
///
/// - A SQLite file is ours alone. Where it does not answer, the answer is delivered from memory: nobody else would.
///   Where the file that was opened after it does not know the job, the job went with the old file, not to another
///   worker, and is delivered from memory too.
/// - A PostgreSQL database is there still when it cannot be reached, and so are the jobs in it. Another process may
///   have taken this one or will take it, so it is left alone: late, but once.
///
/// What was delivered meanwhile is taken out of the store before anything is claimed from it again.
pub struct JobStore {
    pub(super) access: Access,
    pub(super) clock: Clock,
    /// What is done, or lost, and may be in the store all the same; and since when.
    settled: Mutex<Vec<(Persistence, Timestamp)>>,
    /// Held by whoever claims.
    claiming: tokio::sync::Mutex<()>,
}

impl JobStore {
    /// A ledger whose store is not open yet. `on_failure` is told of each failure.
    #[must_use]
    pub fn new(clock: Clock, on_failure: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            access: Access::new(on_failure),
            clock,
            settled: Mutex::default(),
            claiming: tokio::sync::Mutex::default(),
        }
    }

    /// Opens the store, however long it takes, and again whenever it was lost.
    pub async fn keep_open(&self, url: &DatabaseUrl) -> Infallible {
        self.access.keep_open(url).await
    }

    /// Waits until the store is open for the first time.
    pub async fn was_opened(&self) {
        self.access.was_opened().await;
    }

    /// Why the store does not work; none if it does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.access.trouble().map(|trouble| trouble.to_string())
    }

    /// Stores an answer that is owed, leased to this process, before its empty acknowledgement goes out.
    ///
    /// `kept` is told beforehand that the answer may be stored: whoever gives this up half way knows it then.
    pub async fn keep(&self, late: Late, kept: &mut Persistence) {
        // A store in memory would outlive nothing, and one that is known not to work is not waited for.
        let works = self.access.trouble().is_none_or(|trouble| trouble == StoreError::Slow);
        let opened = self
            .access
            .opened()
            .filter(|opened| opened.store.outlives_the_process());
        let Some(Opened { store, worker }) = opened.filter(|_| works) else {
            return;
        };
        let job = Job::new(Payload::Late(late), self.clock.now());
        let lease = Lease::first(&job, &worker);
        *kept = Persistence::Unsure(lease.clone());
        let adding = store.add(&job, Some((&worker, self.lease_end())));
        if self.access.asked(WRITE_DEADLINE, adding).await.is_ok() {
            *kept = Persistence::Stored(lease);
        }
    }

    /// Whether the holder may go on with what it keeps: unless somebody else has it now. Renews its lease.
    pub async fn holds(&self, kept: &Persistence) -> bool {
        let (Persistence::Stored(lease) | Persistence::Unsure(lease), Some(Opened { store, worker })) =
            (kept, self.access.opened())
        else {
            return true;
        };
        match self.asked(store.renew(lease, self.lease_end())).await {
            // If it is stored after all, nobody else takes it.
            Ok(_) if matches!(kept, Persistence::Unsure(_)) => true,
            Ok(renewed) => renewed || lease.worker != worker,
            // Whether it still has the right is asked again before it posts.
            Err(_) => true,
        }
    }

    /// Whether the holder may post now. Writes down first how far the work has come: that the `response_url` takes one
    /// post less.
    pub async fn may_post(&self, kept: &Persistence, payload: &Payload) -> bool {
        let (Persistence::Stored(lease), Some(Opened { store, worker })) = (kept, self.access.opened()) else {
            return true;
        };
        match self.asked(store.save(lease, payload, self.lease_end())).await {
            Ok(saved) => saved || lease.worker != worker,
            Err(_) => !store.shared,
        }
    }

    /// Gives what is still owed to whoever comes next, as it stands now. False if it lives in memory alone.
    pub async fn hand_over(&self, kept: &Persistence, payload: &Payload) -> bool {
        let (Persistence::Stored(lease), Some(Opened { store, worker })) = (kept, self.access.opened()) else {
            return false;
        };
        let handing_over = async {
            store.check_file().await?;
            store.rearm(lease, payload, self.clock.now()).await
        };
        match self.asked(handing_over).await {
            Ok(released) => released || lease.worker == worker,
            // In a database that is there still, the lease runs out by itself.
            Err(_) => store.shared,
        }
    }

    /// Takes a job out of the store that is done, or lost.
    pub async fn settle(&self, kept: &Persistence) {
        let now = self.clock.now();
        if let Some(Opened { store, .. }) = self.access.opened()
            && !matches!(self.takes_out(&store, kept, now).await, Ok(true))
        {
            self.settled().push((kept.clone(), now));
        }
    }

    /// Whether what was settled then is out of the store for good.
    async fn takes_out(&self, store: &Store, kept: &Persistence, since: Timestamp) -> Result<bool, StoreError> {
        match kept {
            Persistence::Stored(lease) => self.asked(store.finish(lease)).await.map(|_| true),
            Persistence::Unsure(lease) => {
                let was_there = self.asked(store.forget(lease.job())).await?;
                // If it was not, it may still be on its way in.
                Ok(was_there || self.clock.now().duration_since(since) >= ON_ITS_WAY)
            }
            Persistence::InMemory => Ok(true),
        }
    }

    /// Takes out what could not be taken out when it was settled, lest it be done again. False if that fails again.
    async fn settle_the_rest(&self, store: &Store) -> bool {
        let rest = mem::take(&mut *self.settled());
        let mut works = true;
        for (kept, since) in rest {
            let is_out = if works {
                let taken = self.takes_out(store, &kept, since).await;
                works = taken.is_ok();
                matches!(taken, Ok(true))
            } else {
                false
            };
            if !is_out {
                self.settled().push((kept, since));
            }
        }
        works
    }

    /// Leases the answers that nobody works on any more.
    pub async fn claim(&self, now: Timestamp) -> Claimed {
        self.claims(&Wanted::due(Kind::Late, now, CLAIMED_MAX), now).await
    }

    pub(super) async fn claims(&self, wanted: &Wanted<'_>, now: Timestamp) -> Claimed {
        let Some(Opened { store, worker }) = self.access.opened() else {
            return Claimed::default();
        };
        // One at a time: what another has taken off the list and not out of the store yet must not be claimed.
        let _turn = self.claiming.lock().await;
        if !self.settle_the_rest(&store).await {
            return Claimed::default();
        }
        let claiming = store.claim(wanted, &worker, now, now + LEASE);
        self.asked(claiming).await.unwrap_or_default()
    }

    /// Deletes what is too old to be delivered or asked for again, and says how many answers that lost.
    pub async fn tidy(&self, now: Timestamp) -> u64 {
        let Some(Opened { store, .. }) = self.access.opened() else {
            return 0;
        };
        let _ = self.asked(store.forget_creations(now - CREATION_KEPT)).await;
        self.asked(store.tidy(now - KEPT)).await.unwrap_or(0)
    }

    /// Lets go of the store, so that another process can have it.
    pub async fn close(&self) {
        let closing = async {
            if let Some(Opened { store, .. }) = self.access.opened() {
                self.settle_the_rest(&store).await;
                store.close().await;
            }
        };
        let _ = timeout(DEADLINE, closing).await;
    }

    fn lease_end(&self) -> Timestamp {
        self.clock.now() + LEASE
    }

    pub(super) async fn asked<T>(
        &self,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.access.asked(DEADLINE, question).await
    }

    fn settled(&self) -> MutexGuard<'_, Vec<(Persistence, Timestamp)>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
