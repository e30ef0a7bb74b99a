//! The process's one store: opened in the background, and opened again whenever it was lost.

use std::convert::Infallible;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::{Store, StoreError, Worker};
use crate::config::DatabaseUrl;

/// How long a store that does not work is left alone before the next try.
const PAUSE: Duration = Duration::from_secs(2);
/// How long opening may take. A server that does not answer at all is given up on.
const OPENING: Duration = Duration::from_secs(30);
/// How long anything that is asked of the store may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(2);

/// A store, and who this process is to it.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) store: Store,
    /// Another one in another file: a lease that bears another name than this was given in a file that is gone.
    pub(super) worker: Worker,
}

/// Access to the store.
pub(super) struct Access {
    state: watch::Sender<State>,
    on_failure: Box<dyn Fn() + Send + Sync>,
}

struct State {
    /// None until it was open for the first time. It may be closed, or broken: whoever asks is told.
    opened: Option<Opened>,
    /// Why it does not work; none while it does.
    trouble: Option<StoreError>,
}

impl Access {
    /// Access to a store that is not open yet. `on_failure` is told of each failure.
    pub(super) fn new(on_failure: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            state: watch::Sender::new(State {
                opened: None,
                trouble: Some(StoreError::NotOpen),
            }),
            on_failure: Box::new(on_failure),
        }
    }

    /// The store, if it was ever open.
    pub(super) fn opened(&self) -> Option<Opened> {
        self.state.borrow().opened.clone()
    }

    /// Waits until it was open for the first time.
    pub(super) async fn was_opened(&self) {
        // The sender lives as long as this.
        drop(self.state.subscribe().wait_for(|state| state.opened.is_some()).await);
    }

    /// Why it does not work; none while it does.
    pub(super) fn trouble(&self) -> Option<StoreError> {
        self.state.borrow().trouble.clone()
    }

    /// Puts a question to the store, and notes if it fails.
    pub(super) async fn asked<T>(
        &self,
        deadline: Duration,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let answer = timeout(deadline, question).await.unwrap_or(Err(StoreError::Slow));
        if let Err(error) = &answer {
            // What the trouble is, is known already if there is one: this may be no more than its echo.
            self.failed(error, |known| known.is_none());
        }
        answer
    }

    /// Opens the store, and sees to it for ever that it works again after whatever was wrong.
    pub(super) async fn keep_open(&self, url: &DatabaseUrl) -> Infallible {
        loop {
            drop(self.state.subscribe().wait_for(|state| state.trouble.is_some()).await);
            match timeout(OPENING, self.mend(url)).await.unwrap_or(Err(StoreError::Slow)) {
                Ok(()) => {
                    if self.trouble() == Some(StoreError::Slow) {
                        // One quick answer does not make it quick.
                        sleep(PAUSE).await;
                    }
                    self.state.send_modify(|state| state.trouble = None);
                    tracing::info!("the store works");
                }
                Err(error) => {
                    self.failed(&error, |known| known != Some(&error));
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// That a store works is proved by writing to it, and by nothing less: a full or deleted one can still be read.
    async fn mend(&self, url: &DatabaseUrl) -> Result<(), StoreError> {
        let passes = self.trouble().is_none_or(|trouble| trouble.may_pass());
        let opened = match self.opened() {
            // As it is: it may hold what can be worked on, and a full one gets room by it.
            Some(opened) if passes && !opened.store.is_closed() => opened,
            before => self.open(url, before).await?,
        };
        timeout(DEADLINE, opened.store.check())
            .await
            .unwrap_or(Err(StoreError::Slow))
    }

    async fn open(&self, url: &DatabaseUrl, before: Option<Opened>) -> Result<Opened, StoreError> {
        if let Some(Opened { store, .. }) = before {
            // To be asked while the file that was lost is open still: its number may go to the next file afterwards.
            if store.check_file().await.is_err() {
                self.state.send_modify(|state| {
                    if let Some(opened) = &mut state.opened {
                        opened.worker = Worker::random();
                    }
                });
            }
            store.close().await;
        }
        let store = Store::open(url).await?;
        let worker = match self.opened() {
            Some(before) if !store.is_new => before.worker,
            _ => Worker::random(),
        };
        let opened = Opened { store, worker };
        self.state.send_modify(|state| state.opened = Some(opened.clone()));
        Ok(opened)
    }

    /// Counts a failure. Where it is `news`, it is the trouble from now on, and the log's: once for each kind of
    /// trouble, not once for each answer.
    fn failed(&self, error: &StoreError, news: impl FnOnce(Option<&StoreError>) -> bool) {
        (self.on_failure)();
        let is_news = self.state.send_if_modified(|state| {
            let is_news = news(state.trouble.as_ref());
            if is_news {
                state.trouble = Some(error.clone());
            }
            is_news
        });
        if is_news {
            let error = error.to_string();
            tracing::warn!(error, "the store does not work; answers live in memory alone");
        }
    }
}
