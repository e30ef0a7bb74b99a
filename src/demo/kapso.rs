//! FakeKapso: Kapso's sandbox API over real HTTP, strict and stateful.
//!
//! It refuses what the real API would refuse and notes what no client of ours should send. Sessions are changed as
//! testers and other projects would change them, and faults are switched on to see what people read then.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::sandbox::{self, Asked, BASE, Sandbox, World};
use crate::clock::Clock;

/// What goes wrong with a request, or does not.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Answers after a while.
    Slow(Duration),
    /// Waits until [`FakeKapso::release`], then answers.
    Hold,
    /// Answers with this instead.
    Answer {
        /// The status.
        status: StatusCode,
        /// Headers besides the usual ones.
        headers: Vec<(HeaderName, String)>,
        /// The body, as it stands.
        body: Bytes,
    },
    /// Closes the connection instead of answering.
    HangUp,
    /// Closes the connection in the middle of the answer's body.
    BreakOff,
}

impl Fault {
    /// An answer with this status and body.
    pub fn answer(status: StatusCode, body: impl Into<Bytes>) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The same answer with another header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, value.to_owned()));
        }
        self
    }
}

/// Kapso's sandbox, as far as one project and one key go.
pub struct FakeKapso {
    base_url: Url,
    sandbox: Arc<Sandbox>,
    _serving: AbortOnDropHandle<()>,
}

impl FakeKapso {
    /// Serves on `listener`, taking `key`, by `clock`.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start(listener: TcpListener, key: &str, clock: Clock) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let base_url = Url::parse(&format!("http://{address}{BASE}")).map_err(io::Error::other)?;
        let sandbox = Arc::new(Sandbox::new(key, clock));
        let serving = tokio::spawn(sandbox::serve(listener, Arc::clone(&sandbox)));
        Ok(Self {
            base_url,
            sandbox,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    /// The address to give as `KAPSO_BASE_URL`.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// Adds a pending session, made now, that Kapso's published sample would be today.
    pub fn add(&self, id: &str) {
        let now = self.sandbox.clock.now();
        self.put(id, sandbox::sample(id, now));
    }

    /// Adds a session as it stands.
    pub fn put(&self, id: &str, session: Value) {
        self.world().sessions.insert(id.to_owned(), session);
        self.sandbox.tell();
    }

    /// Sets one field of a session.
    pub fn set(&self, id: &str, field: &str, value: Value) {
        if let Some(session) = self.world().sessions.get_mut(id) {
            session[field] = value;
        }
        self.sandbox.tell();
    }

    /// The tester's code arrives.
    pub fn activate(&self, id: &str) {
        let now = self.sandbox.clock.now().to_string();
        self.set(id, "status", "active".into());
        self.set(id, "activated_at", now.into());
    }

    /// The session's time is over.
    pub fn expire(&self, id: &str) {
        self.set(id, "status", "expired".into());
    }

    /// Another project claims the phone.
    pub fn supersede(&self, id: &str) {
        self.set(id, "status", "superseded".into());
    }

    /// The session is gone.
    pub fn delete(&self, id: &str) {
        self.world().sessions.remove(id);
        self.sandbox.tell();
    }

    /// Lists leave the session out from now on.
    pub fn unlist(&self, id: &str) {
        self.world().unlisted.insert(id.to_owned());
    }

    /// Every session, by id.
    #[must_use]
    pub fn sessions(&self) -> BTreeMap<String, Value> {
        self.world().sessions.clone()
    }

    /// The next request meets `fault`; called again, the one after it.
    pub fn fail_next(&self, fault: Fault) {
        self.world().next_faults.push_back(fault);
    }

    /// Every request meets `fault`, or none does.
    pub fn fail(&self, fault: Option<Fault>) {
        self.world().standing_fault = fault;
        self.sandbox.tell();
    }

    /// Lets go of every request that is held now.
    pub fn release(&self) {
        self.sandbox.release();
    }

    /// The plan's requests a minute.
    pub fn set_limit(&self, limit: u32) {
        self.world().limit = limit;
    }

    /// What was asked so far, as `GET /sandbox_sessions/…`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let world = self.world();
        world.requests.iter().map(|asked| asked.line.clone()).collect()
    }

    /// The bodies of all requests to create something that were answered by no fault.
    #[must_use]
    pub fn posted(&self) -> Vec<Value> {
        self.world().posted.clone()
    }

    /// The last `count` requests, with what became of them.
    #[must_use]
    pub fn last_requests(&self, count: usize) -> Vec<Asked> {
        let world = self.world();
        let skipped = world.requests.len().saturating_sub(count);
        world.requests[skipped..].to_vec()
    }

    /// Changes whenever a request comes or is answered, and whenever a session or a fault changes.
    #[must_use]
    pub fn happenings(&self) -> watch::Receiver<u64> {
        self.sandbox.happened.subscribe()
    }

    /// Waits until `count` requests have come.
    pub async fn has_been_asked(&self, count: usize) {
        let mut happened = self.happenings();
        while self.world().requests.len() < count {
            // The sender lives as long as the sandbox.
            drop(happened.changed().await);
        }
    }

    /// What came that no client of ours should send.
    #[must_use]
    pub fn unexpected(&self) -> Vec<String> {
        self.world().unexpected.clone()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.sandbox.world()
    }
}
