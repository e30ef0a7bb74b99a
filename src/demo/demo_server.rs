//! The service between both fakes, as the playground uses it.

use std::sync::{Mutex, PoisonError};

use jiff::SignedDuration;
use tokio::sync::watch;
use url::Url;

use super::{FakeKapso, FakeSlack, Person, faults, plain};
use crate::clock::Clock;
use crate::qr::Addresses;

/// The service between both fakes.
pub struct DemoServer {
    pub kapso: FakeKapso,
    pub slack: FakeSlack,
    /// Base URL of the service.
    pub app_url: Url,
    /// Clock of the service and both fakes. Advance it with [`DemoServer::advance_clock`], so that the playground updates.
    pub clock: Clock,
    /// Signs addresses of QR codes, for the gallery.
    pub(super) qr: Addresses,
    /// Changes when state outside both fakes changes, such as the clock.
    pub(super) changed: watch::Sender<()>,
    /// Name of the active fault, see [`faults::ALL`].
    fault_name: Mutex<&'static str>,
}

impl DemoServer {
    /// Name of the slash command.
    pub const COMMAND: &str = "/sandbox";

    /// `qr` signs addresses of QR codes for the gallery.
    pub(super) fn new(kapso: FakeKapso, slack: FakeSlack, app_url: Url, clock: Clock, qr: Addresses) -> Self {
        Self {
            kapso,
            slack,
            app_url,
            clock,
            qr,
            changed: watch::Sender::new(()),
            fault_name: Mutex::new(faults::HEALTHY),
        }
    }

    /// Sends a command, waits for its reply and returns it as plain text.
    pub async fn run_command(&self, command: &str) -> String {
        let sent = self
            .slack
            .send_command(&self.app_url, &Person::default(), command)
            .await;
        let reply = match (sent.message, sent.status) {
            (Some(posted), _) => posted,
            (None, Some(status)) if status.is_success() => self.slack.wait_for_reply(sent.exchange).await,
            _ => return "Slack says that the app did not respond.".to_owned(),
        };
        plain::text(&reply.message)
    }

    /// Advances the clock and updates the playground.
    pub fn advance_clock(&self, span: SignedDuration) {
        self.clock.advance(span);
        self.changed.send_replace(());
    }

    /// Sets the fault with this name and releases stalled requests. Returns false if there is no such fault.
    pub(super) fn set_fault(&self, name: &str) -> bool {
        let Some(choice) = faults::ALL.into_iter().find(|choice| choice.name == name) else {
            return false;
        };
        *self.fault_name.lock().unwrap_or_else(PoisonError::into_inner) = choice.name;
        self.kapso.set_fault(faults::fault(name));
        self.kapso.release_stalled_requests();
        true
    }

    /// Name of the active fault.
    pub(super) fn fault_name(&self) -> &'static str {
        *self.fault_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
