//! The store as the service uses it: opened in the background, bounded in time, and never in the way of an answer.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::{sleep, timeout};

use super::{
    Added, Claimed, DatabaseUrl, Held, Job, Kind, Late, Lease, Line, Payload, Store, StoreError, Wanted, Watch,
    WatchKey, Worker, watch,
};
use crate::clock::Clock;

/// How long an acknowledgement waits for its answer to be stored.
const WRITE_DEADLINE: Duration = Duration::from_millis(300);
/// How long anything else asked of the store may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long a lease lasts. Another process goes on with what its holder has left after this.
const LEASE: SignedDuration = SignedDuration::from_secs(15);
/// How often a lease is renewed while work goes on.
pub const RENEWAL: Duration = Duration::from_secs(5);
/// How long a store that could not be opened is left alone.
const REOPENING: Duration = Duration::from_secs(2);
/// Owed answers resumed at a time.
const CLAIMED_MAX: u32 = 32;
/// How long anything is kept: a `response_url` lives for 30 minutes.
const KEPT: SignedDuration = SignedDuration::from_mins(30);

/// What became of an answer that was to be stored.
#[derive(Clone, Debug)]
pub enum Kept {
    /// It is stored, and this process has the right to work on it.
    Stored(Lease),
    /// It may be stored: the store did not say in time. It lives in memory, and is taken out again afterwards.
    Unsure(Lease),
    /// It lives in memory alone.
    InMemory,
}

/// The service's access to the store.
pub struct Ledger {
    store: OnceLock<Store>,
    worker: Worker,
    clock: Clock,
    /// Why the store does not work; none while it does.
    trouble: Mutex<Option<String>>,
    on_failure: Box<dyn Fn() + Send + Sync>,
}

impl Ledger {
    /// A ledger whose store is not open yet. `on_failure` is told of each failure.
    #[must_use]
    pub fn new(clock: Clock, on_failure: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            store: OnceLock::new(),
            worker: Worker::random(),
            clock,
            trouble: Mutex::new(Some("the store is not open yet".to_owned())),
            on_failure: Box::new(on_failure),
        }
    }

    /// Opens the store, however long it takes.
    pub async fn open(&self, url: &DatabaseUrl) {
        loop {
            match Store::open(url).await {
                Ok(store) => {
                    let _ = self.store.set(store);
                    self.works();
                    return;
                }
                Err(error) => self.failed(&error.to_string()),
            }
            sleep(REOPENING).await;
        }
    }

    /// Why the store does not work; none if it does.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.lock().clone()
    }

    /// Stores an answer that is owed, leased to this process, before its empty acknowledgement goes out.
    ///
    /// `kept` is told beforehand that the answer may be stored: whoever gives this up half way knows it then.
    pub async fn keep(&self, late: Late, kept: &mut Kept) {
        // A store in memory would outlive nothing.
        let Some(store) = self.store.get().filter(|store| store.outlives_the_process()) else {
            return;
        };
        let job = Job::new(Payload::Late(late), self.clock.now());
        let lease = Lease::first(&job, &self.worker);
        *kept = Kept::Unsure(lease.clone());
        let adding = store.add(&job, Some((&self.worker, self.lease_end())));
        match timeout(WRITE_DEADLINE, adding).await {
            Ok(Ok(_)) => {
                self.works();
                *kept = Kept::Stored(lease);
            }
            Ok(Err(error)) => self.failed(&error.to_string()),
            Err(_) => self.failed("it did not store an answer in time"),
        }
    }

    /// Whether the holder may go on with what it keeps. Renews its lease.
    pub async fn holds(&self, kept: &Kept) -> bool {
        match (kept, self.store.get()) {
            (Kept::Stored(lease), Some(store)) => {
                self.asked(store.renew(lease, self.lease_end())).await.unwrap_or(false)
            }
            _ => true,
        }
    }

    /// Whether the holder may post now. Writes down first how far the work has come: that the `response_url` takes one
    /// post less.
    pub async fn may_post(&self, kept: &Kept, payload: &Payload) -> bool {
        match (kept, self.store.get()) {
            (Kept::Stored(lease), Some(store)) => self
                .asked(store.save(lease, payload, self.lease_end()))
                .await
                .unwrap_or(false),
            _ => true,
        }
    }

    /// Gives an answer that is still owed to whoever comes next. False if it lives in memory alone.
    pub async fn hand_over(&self, kept: &Kept) -> bool {
        match (kept, self.store.get()) {
            (Kept::Stored(lease), Some(store)) => {
                // Should this fail, the lease runs out by itself.
                let _ = self.asked(store.release(lease)).await;
                true
            }
            _ => false,
        }
    }

    /// Takes an answer out of the store that was delivered, or is lost.
    pub async fn settle(&self, kept: &Kept) {
        let Some(store) = self.store.get() else {
            return;
        };
        match kept {
            Kept::Stored(lease) => drop(self.asked(store.finish(lease)).await),
            Kept::Unsure(lease) => {
                // As long as the lease lasts nobody else would do it again.
                for _ in 0..LEASE.as_secs() {
                    if self.asked(store.forget(lease.job())).await.is_some() {
                        return;
                    }
                    sleep(Duration::from_secs(1)).await;
                }
            }
            Kept::InMemory => {}
        }
    }

    /// Leases the answers that nobody works on any more.
    pub async fn claim(&self, now: Timestamp) -> Claimed {
        let Some(store) = self.store.get() else {
            return Claimed::default();
        };
        let wanted = Wanted::due(Kind::Late, now, CLAIMED_MAX);
        let claiming = store.claim(&wanted, &self.worker, now, now + LEASE);
        self.asked(claiming).await.unwrap_or_default()
    }

    /// Stores a watch; none if the store does not work, and then nobody is to be told that it began.
    pub async fn watch(&self, watch: &Watch) -> Option<Added> {
        let store = self.store.get()?;
        let due_at = watch::first_look(watch, self.clock.now());
        self.asked(store.add_watch(watch, due_at, watch::CAPS)).await
    }

    /// Ends a watch; none if the store does not work, else whether there was one.
    pub async fn unwatch(&self, key: &WatchKey) -> Option<bool> {
        self.asked(self.store.get()?.unwatch(key)).await
    }

    /// Until when somebody watches a session, as far as the store says so.
    pub async fn watched_until(&self, key: &WatchKey) -> Option<Timestamp> {
        let began = self.asked(self.store.get()?.watch_began(key)).await?;
        Some(began? + watch::GOODBYE)
    }

    /// How many watches there are, and how many are due.
    pub async fn watches(&self, now: Timestamp) -> Option<Line> {
        Some(self.asked(self.store.get()?.owed(now)).await?.watches)
    }

    /// Leases watches.
    pub async fn claim_watches(&self, wanted: &Wanted<'_>, now: Timestamp) -> Claimed {
        let Some(store) = self.store.get() else {
            return Claimed::default();
        };
        let claiming = store.claim(wanted, &self.worker, now, now + LEASE);
        self.asked(claiming).await.unwrap_or_default()
    }

    /// Has a watch wait, with what it knows now. Should this fail, its lease runs out, and it is as it was.
    pub async fn rearm(&self, lease: &Lease, watch: Watch, until: Timestamp) {
        if let Some(store) = self.store.get() {
            let _ = self.asked(store.rearm(lease, &Payload::Watch(watch), until)).await;
        }
    }

    /// Gives a lease back, with the job as it is.
    pub async fn release(&self, held: &Held) {
        if let Some(store) = self.store.get() {
            let _ = self.asked(store.release(&held.lease)).await;
        }
    }

    /// Deletes what is too old to be delivered, and says how many answers that lost.
    pub async fn tidy(&self, now: Timestamp) -> u64 {
        match self.store.get() {
            Some(store) => self.asked(store.tidy(now - KEPT)).await.unwrap_or(0),
            None => 0,
        }
    }

    /// Lets go of the store, so that another process can have it.
    pub async fn close(&self) {
        if let Some(store) = self.store.get() {
            let _ = timeout(DEADLINE, store.close()).await;
        }
    }

    fn lease_end(&self) -> Timestamp {
        self.clock.now() + LEASE
    }

    async fn asked<T>(&self, question: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        match timeout(DEADLINE, question).await {
            Ok(Ok(answer)) => {
                self.works();
                Some(answer)
            }
            Ok(Err(error)) => {
                self.failed(&error.to_string());
                None
            }
            Err(_) => {
                self.failed("it did not answer in time");
                None
            }
        }
    }

    fn works(&self) {
        if self.lock().take().is_some() {
            tracing::info!("the store works");
        }
    }

    fn failed(&self, error: &str) {
        (self.on_failure)();
        // Once for each kind of trouble, not once for each answer.
        if self.lock().replace(error.to_owned()).as_deref() != Some(error) {
            tracing::warn!(error, "the store does not work; answers live in memory alone");
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
