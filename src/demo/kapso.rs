//! `FakeKapso`: a strict and stateful fake of Kapso's sandbox API over HTTP.
//!
//! It rejects what the real API rejects, and records requests that our client should never send. Tests and the
//! playground change sessions and inject faults.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, MutexGuard};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::faults::Fault;
use super::sandbox::{self, BASE_PATH, KapsoRequest, Sandbox, Sandboxes, State};
use super::sandbox_server;
use crate::clock::Clock;

/// Kapso's sandbox API for one project with one API key. Several projects can be at one address.
pub struct FakeKapso {
    base_url: Url,
    sandbox: Arc<Sandbox>,
    /// Every project at this address.
    sandboxes: Sandboxes,
    /// Ends with the last project.
    serving: Arc<AbortOnDropHandle<()>>,
}

impl FakeKapso {
    /// Serves on `listener`, accepts the API key `key`, and uses `clock`.
    ///
    /// # Errors
    /// If the listener has no address.
    pub fn start(listener: TcpListener, key: &str, clock: Clock) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let base_url = Url::parse(&format!("http://{address}{BASE_PATH}")).map_err(io::Error::other)?;
        let sandbox = Arc::new(Sandbox::new(key, clock));
        let sandboxes = Sandboxes::new(Arc::clone(&sandbox));
        let serving = tokio::spawn(sandbox_server::serve(listener, sandboxes.clone()));
        Ok(Self {
            base_url,
            sandbox,
            sandboxes,
            serving: Arc::new(AbortOnDropHandle::new(serving)),
        })
    }

    /// Adds another project with another key, at the same address and by the same clock.
    #[must_use]
    pub fn add_project(&self, key: &str) -> Self {
        let sandbox = Arc::new(Sandbox::new(key, self.sandbox.clock.clone()));
        self.sandboxes.add(Arc::clone(&sandbox));
        Self {
            base_url: self.base_url.clone(),
            sandbox,
            sandboxes: self.sandboxes.clone(),
            serving: Arc::clone(&self.serving),
        }
    }

    /// The value for `KAPSO_BASE_URL`.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// Adds a pending session, created now, with the fields of the sample in Kapso's documentation.
    pub fn add_session(&self, id: &str) {
        let now = self.sandbox.clock.now();
        self.put_session(id, sandbox::sample(id, now));
    }

    /// Adds or replaces a session.
    pub fn put_session(&self, id: &str, session: Value) {
        let mut state = self.state();
        state.check(&session);
        state.sessions.insert(id.to_owned(), session);
        drop(state);
        self.sandbox.notify();
    }

    /// Sets one field of a session; does nothing if it does not exist.
    pub fn set_field(&self, id: &str, field: &str, value: Value) {
        let mut state = self.state();
        if let Some(session) = state.sessions.get_mut(id) {
            session[field] = value;
            let session = session.clone();
            state.check(&session);
        }
        drop(state);
        self.sandbox.notify();
    }

    /// Allows values that Kapso's `OpenAPI` document does not: other statuses than `pending_activation` and `active`, and
    /// fields that are missing, null or of another type. Without this, they are recorded as unexpected.
    pub fn allow_undocumented(&self) {
        self.state().allows_undocumented = true;
    }

    /// Creates sessions without an agent, too. Kapso's `OpenAPI` document requires one.
    pub fn accept_missing_agent(&self) {
        self.state().accepts_missing_agent = true;
    }

    /// As if the tester had sent the activation code.
    pub fn activate(&self, id: &str) {
        let now = self.sandbox.clock.now().to_string();
        self.set_field(id, "status", "active".into());
        self.set_field(id, "activated_at", now.into());
    }

    /// A status that is not in Kapso's document, so this [allows](Self::allow_undocumented) such values.
    pub fn expire(&self, id: &str) {
        self.allow_undocumented();
        self.set_field(id, "status", "expired".into());
    }

    /// As if another project had claimed the phone number. A status that is not in Kapso's document, so this
    /// [allows](Self::allow_undocumented) such values.
    pub fn supersede(&self, id: &str) {
        self.allow_undocumented();
        self.set_field(id, "status", "superseded".into());
    }

    /// Ends the lifetime of a session that is not over yet, a second ago.
    pub(super) fn end(&self, id: &str) {
        self.change_expiry(id, |expires_at, now| {
            (expires_at > now).then_some(now - SignedDuration::from_secs(1))
        });
    }

    /// Gives a session whose lifetime is over another day.
    pub(super) fn renew(&self, id: &str) {
        self.change_expiry(id, |expires_at, now| {
            (expires_at <= now).then_some(now + SignedDuration::from_hours(24))
        });
    }

    fn change_expiry(&self, id: &str, change: impl Fn(Timestamp, Timestamp) -> Option<Timestamp>) {
        let now = self.sandbox.clock.now();
        if let Some(session) = self.state().sessions.get_mut(id)
            && let Some(expires_at) = sandbox::expires_at(session)
            && let Some(expires_at) = change(expires_at, now)
        {
            session["expires_at"] = expires_at.to_string().into();
        }
    }

    /// As Kapso does when time passes: sessions that are past their expiry get the status `expired`.
    pub fn expire_overdue(&self) {
        let now = self.sandbox.clock.now();
        for session in self.state().sessions.values_mut() {
            let may_expire = matches!(session["status"].as_str(), Some("pending_activation" | "active"));
            if may_expire && sandbox::expires_at(session).is_some_and(|expires_at| expires_at <= now) {
                session["status"] = "expired".into();
            }
        }
        self.sandbox.notify();
    }

    /// Starts anew with `sessions`: without faults and without earlier requests. Releases stalled requests.
    pub fn reset(&self, sessions: BTreeMap<String, Value>) {
        let mut state = self.state();
        *state = State {
            sessions,
            accepts_missing_agent: state.accepts_missing_agent,
            allows_undocumented: state.allows_undocumented,
            ..State::default()
        };
        drop(state);
        self.sandbox.release();
        self.sandbox.notify();
    }

    pub fn delete(&self, id: &str) {
        self.state().sessions.remove(id);
        self.sandbox.notify();
    }

    /// Omits the session from lists from now on.
    pub fn hide_from_lists(&self, id: &str) {
        self.state().unlisted.insert(id.to_owned());
    }

    /// Every session, by id.
    #[must_use]
    pub fn sessions(&self) -> BTreeMap<String, Value> {
        self.state().sessions.clone()
    }

    /// Applies `fault` to the next request; further calls apply to the requests after it.
    pub fn fail_next_request(&self, fault: Fault) {
        self.state().next_faults.push_back(fault);
    }

    /// Applies `fault` to every request without a fault of its own, until it is replaced or cleared.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.state().standing_fault = fault;
        self.sandbox.notify();
    }

    /// Lets all requests continue that [`Fault::Stall`] stops now.
    pub fn release_stalled_requests(&self) {
        self.sandbox.release();
    }

    /// Sets the rate limit, in requests per minute.
    pub fn set_rate_limit(&self, limit: u32) {
        self.state().rate_limit = limit;
    }

    /// Method and path of every request so far, such as `GET /sandbox_sessions/…`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        let state = self.state();
        state.requests.iter().map(|request| request.line.clone()).collect()
    }

    /// The bodies of all `POST` requests that reached the endpoint.
    #[must_use]
    pub fn create_requests(&self) -> Vec<Value> {
        self.state().posted.clone()
    }

    /// The last `count` requests, with their results.
    #[must_use]
    pub fn last_requests(&self, count: usize) -> Vec<KapsoRequest> {
        let state = self.state();
        let skipped = state.requests.len().saturating_sub(count);
        state.requests[skipped..].to_vec()
    }

    /// Whether a request began, or was answered, between `from` and `until`.
    pub(super) fn was_asked(&self, from: Instant, until: Instant) -> bool {
        let state = self.state();
        let mut requests = state.requests.iter();
        let was_answered = |request: &KapsoRequest| request.ended().is_some_and(|ended| ended >= from);
        requests.any(|request| request.began <= until && (request.began >= from || was_answered(request)))
    }

    /// Changes when a request arrives or is answered, and when a session or a fault changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.sandbox.changed.subscribe()
    }

    /// Waits until `count` requests have arrived in all.
    pub async fn wait_for_requests(&self, count: usize) {
        let mut changed = self.subscribe();
        while self.state().requests.len() < count {
            // The sender lives as long as the sandbox.
            drop(changed.changed().await);
        }
    }

    /// Requests that our client should never send, with the reason.
    #[must_use]
    pub fn unexpected_requests(&self) -> Vec<String> {
        self.state().unexpected.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.sandbox.state()
    }
}
