//! The service between both fakes, as the playground uses it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::SignedDuration;
use tokio::sync::watch;
use url::Url;

use super::{FakeKapso, FakeSlack, Person, faults, plain, sample_sessions};
use crate::clock::Clock;
use crate::projects::Projects;
use crate::qr::Addresses;

/// The service between both fakes.
pub struct DemoServer {
    pub kapso: FakeKapso,
    pub slack: FakeSlack,
    /// The service's projects.
    projects: Arc<Projects>,
    /// Base URL of the service.
    pub app_url: Url,
    /// Clock of the service and both fakes. Advance it with [`DemoServer::advance_clock`], so that the playground updates.
    pub clock: Clock,
    /// Signs addresses of QR codes, for the gallery.
    pub(super) qr: Addresses,
    /// Changes when state outside both fakes changes, such as the clock.
    pub(super) changed: watch::Sender<()>,
    state: Mutex<State>,
}

/// What a reset sets back.
struct State {
    /// Name of the active fault, see [`faults::ALL`].
    fault_name: &'static str,
    /// How far the clock has been advanced.
    advanced: SignedDuration,
    /// Number of resets so far.
    resets: u32,
    /// The last command or press before the last reset.
    last_exchange: u64,
}

impl DemoServer {
    /// Name of the slash command.
    pub const COMMAND: &str = "/sandbox";

    /// `projects` are the service's; `qr` signs addresses of QR codes for the gallery.
    pub(super) fn new(
        kapso: FakeKapso,
        slack: FakeSlack,
        projects: Arc<Projects>,
        app_url: Url,
        clock: Clock,
        qr: Addresses,
    ) -> Self {
        Self {
            kapso,
            slack,
            projects,
            app_url,
            clock,
            qr,
            changed: watch::Sender::new(()),
            state: Mutex::new(State {
                fault_name: faults::HEALTHY,
                advanced: SignedDuration::ZERO,
                resets: 0,
                last_exchange: 0,
            }),
        }
    }

    /// Who uses the playground. After a reset, it is somebody in another workspace, so that the service connects nothing
    /// with what was there before: no watch, no limit per person, no creation a moment ago.
    pub(super) fn person(&self) -> Person {
        Person {
            team: format!("T{:04}ABCD", self.state().resets + 1),
            ..Person::default()
        }
    }

    /// Whether a command or press belongs to the conversation since the last reset. Messages that belong to none have 0.
    pub(super) fn is_current(&self, exchange: u64) -> bool {
        exchange == 0 || exchange > self.state().last_exchange
    }

    /// Sends the command that shows the first card of a new conversation. Returns the card as plain text.
    pub async fn show_first_card(&self) -> String {
        self.run_command(&first_command()).await
    }

    /// Sends a command, waits for its reply and returns it as plain text.
    pub async fn run_command(&self, command: &str) -> String {
        let sent = self.slack.send_command(&self.app_url, &self.person(), command).await;
        let reply = match (sent.message, sent.status) {
            (Some(posted), _) => posted,
            (None, Some(status)) if status.is_success() => self.slack.wait_for_reply(sent.exchange).await,
            _ => return "Slack says that the app did not respond.".to_owned(),
        };
        plain::text(&reply.message)
    }

    /// Advances the clock and updates the playground. Sessions expire.
    pub fn advance_clock(&self, span: SignedDuration) {
        self.clock.advance(span);
        self.state().advanced += span;
        self.kapso.expire_overdue();
        self.changed.send_replace(());
    }

    /// Sets the fault with this name and releases stalled requests. The service forgets what Kapso said before, so that
    /// the next command meets the fault. Returns false if there is no such fault.
    pub(super) fn set_fault(&self, name: &str) -> bool {
        let Some(choice) = faults::ALL.into_iter().find(|choice| choice.name == name) else {
            return false;
        };
        self.state().fault_name = choice.name;
        self.kapso.set_fault(faults::fault(name));
        self.kapso.release_stalled_requests();
        self.forget();
        true
    }

    /// Sets everything back to the start: sessions, fault, clock, and the conversation with its first card.
    pub(super) async fn reset(&self) {
        let last_exchange = self.slack.last_exchange().map_or(0, |exchange| exchange.number);
        {
            let mut state = self.state();
            self.clock.advance(-state.advanced);
            *state = State {
                fault_name: faults::HEALTHY,
                advanced: SignedDuration::ZERO,
                resets: state.resets + 1,
                last_exchange,
            };
        }
        self.kapso.reset(sample_sessions::sessions(self.clock.now()));
        self.slack.clear_channel_limits();
        self.forget();
        self.changed.send_replace(());
        self.show_first_card().await;
    }

    /// The service forgets what Kapso said before.
    fn forget(&self) {
        for project in self.projects.all().iter() {
            project.kapso.forget();
        }
    }

    /// Name of the active fault.
    pub(super) fn fault_name(&self) -> &'static str {
        self.state().fault_name
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The command that shows the first card.
pub(super) fn first_command() -> String {
    format!("{} {}", DemoServer::COMMAND, sample_sessions::PENDING)
}
