//! The connection to the process's database: opened in the background, and again after a failure.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Database, DatabaseError};
use crate::config::DatabaseUrl;

/// The pause before a database that does not work is tried again.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// Timeout for opening, also for a server that does not answer.
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a query may take, unless its caller has a shorter deadline.
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(2);

/// A database that was opened.
#[derive(Clone)]
pub struct Opened {
    /// The database. It may have failed since: then queries fail.
    pub database: Database,
    /// Changes when the file was replaced by another one, which does not have the rows of the previous file.
    pub generation: u64,
}

/// Opens the database, says whether it works, and opens it again when it does not.
pub struct StoreConnection {
    state: watch::Sender<State>,
    on_failure: Box<dyn Fn() + Send + Sync>,
}

struct State {
    /// `None` until it was open for the first time.
    opened: Option<Opened>,
    /// Why it does not work; `None` while it does.
    failure: Option<DatabaseError>,
    /// How far this machine's clock is ahead of the database's, in seconds, if that is too far.
    clock_skew: Option<i64>,
}

impl StoreConnection {
    /// A connection that is not open yet. `on_failure` is called for each failed query.
    pub fn new(on_failure: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            state: watch::Sender::new(State {
                opened: None,
                failure: Some(DatabaseError::NotOpen),
                clock_skew: None,
            }),
            on_failure: Box::new(on_failure),
        }
    }

    /// The database, if it was ever open.
    #[must_use]
    pub fn opened(&self) -> Option<Opened> {
        self.state.borrow().opened.clone()
    }

    /// Waits until the database is open for the first time.
    pub async fn wait_until_opened(&self) {
        // The sender lives as long as `self`.
        drop(self.state.subscribe().wait_for(|state| state.opened.is_some()).await);
    }

    /// Why queries fail; `None` while they work.
    #[must_use]
    pub fn failure(&self) -> Option<DatabaseError> {
        self.state.borrow().failure.clone()
    }

    /// Why the service is degraded; `None` while the database works and the clocks agree.
    #[must_use]
    pub fn degradation(&self) -> Option<DatabaseError> {
        let state = self.state.borrow();
        let skew = state.clock_skew.map(DatabaseError::ClockSkew);
        state.failure.clone().or(skew)
    }

    /// Records whether this machine's clock is too far from the database's, and logs it when that changes.
    pub fn set_clock_skew(&self, seconds: Option<i64>) {
        let changed = self.state.send_if_modified(|state| {
            let changed = state.clock_skew.is_some() != seconds.is_some();
            state.clock_skew = seconds;
            changed
        });
        match seconds {
            Some(seconds) if changed => {
                let error = DatabaseError::ClockSkew(seconds).to_string();
                tracing::warn!(error, "the clocks disagree");
            }
            None if changed => tracing::info!("the clocks agree again"),
            _ => {}
        }
    }

    /// Runs a query within `deadline`, and records its failure.
    ///
    /// # Errors
    /// The query's own, or [`DatabaseError::Slow`].
    pub async fn run<T>(
        &self,
        deadline: Duration,
        query: impl Future<Output = Result<T, DatabaseError>>,
    ) -> Result<T, DatabaseError> {
        let result = timeout(deadline, query).await.unwrap_or(Err(DatabaseError::Slow));
        if let Err(error) = &result {
            // If a failure is already recorded, this one probably follows from it and is not reported.
            self.record_failure(error, |known| known.is_none());
        }
        result
    }

    /// Opens the database, and opens it again after each failure. Never returns.
    pub async fn keep_open(&self, url: &DatabaseUrl) -> Infallible {
        loop {
            drop(self.state.subscribe().wait_for(|state| state.failure.is_some()).await);
            match timeout(OPEN_TIMEOUT, self.repair(url))
                .await
                .unwrap_or(Err(DatabaseError::Slow))
            {
                Ok(()) => {
                    if self.failure() == Some(DatabaseError::Slow) {
                        // One fast query does not prove that the database is fast again.
                        sleep(RETRY_PAUSE).await;
                    }
                    self.state.send_modify(|state| state.failure = None);
                    tracing::info!("the store works");
                }
                Err(error) => {
                    self.record_failure(&error, |known| known != Some(&error));
                    sleep(RETRY_PAUSE).await;
                }
            }
        }
    }

    /// Tests a write, since a full or deleted database can still be read.
    async fn repair(&self, url: &DatabaseUrl) -> Result<(), DatabaseError> {
        let is_temporary = self.failure().is_none_or(|failure| failure.is_temporary());
        let database = match self.opened() {
            // Kept open: it may contain jobs, and a full one gets free space when they are done.
            Some(Opened { database, .. }) if is_temporary && !database.is_closed() => database,
            before => self.open(url, before).await?,
        };
        timeout(QUERY_TIMEOUT, database.check())
            .await
            .unwrap_or(Err(DatabaseError::Slow))
    }

    async fn open(&self, url: &DatabaseUrl, before: Option<Opened>) -> Result<Database, DatabaseError> {
        if let Some(Opened { database, .. }) = before {
            // Compared while the lost file is still open: afterwards the next file may get its inode number.
            if database.check_file().await.is_err() {
                self.state.send_modify(|state| {
                    if let Some(opened) = &mut state.opened {
                        opened.generation += 1;
                    }
                });
            }
            database.close().await;
        }
        let database = Database::open(url).await?;
        let generation = self.opened().map_or(0, |before| before.generation);
        let opened = Opened {
            database: database.clone(),
            generation,
        };
        self.state.send_modify(|state| state.opened = Some(opened));
        Ok(database)
    }

    /// Counts a failure. If it `is_news`, it becomes the reported failure, and the log gets a line: one per kind of
    /// failure, not one per query.
    fn record_failure(&self, error: &DatabaseError, is_news: impl FnOnce(Option<&DatabaseError>) -> bool) {
        (self.on_failure)();
        let is_news = self.state.send_if_modified(|state| {
            let is_news = is_news(state.failure.as_ref());
            if is_news {
                state.failure = Some(error.clone());
            }
            is_news
        });
        if is_news {
            let error = error.to_string();
            tracing::warn!(error, "the store does not work; replies are stored in memory only");
        }
    }
}
