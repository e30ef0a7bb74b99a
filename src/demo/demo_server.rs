//! The service between both fakes, as the playground uses it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::HeaderValue;
use jiff::SignedDuration;
use tokio::sync::watch;
use url::Url;

use super::{FakeKapso, FakeSlack, Person, PostedMessage, faults, plain, sample_sessions};
use crate::clock::Clock;
use crate::config::{Alias, ProjectSettings};
use crate::projects::Projects;
use crate::qr::Addresses;

/// The key of the second project.
const STAGING_KEY: &str = "kapso-key-of-staging";

/// A channel of the playground.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DemoChannel {
    pub(super) name: &'static str,
    /// What is served there.
    pub(super) effect: &'static str,
    pub(super) id: &'static str,
    /// Whether the panel shows the second project there.
    shows_staging: bool,
}

/// The first one is there from the start. In the others there are two projects.
pub(super) const CHANNELS: [DemoChannel; 3] = [
    DemoChannel {
        name: "sandbox",
        effect: "The project support is used here.",
        id: "C2147483705",
        shows_staging: false,
    },
    DemoChannel {
        name: "staging",
        effect: "The project staging is used here.",
        id: "C2147483706",
        shows_staging: true,
    },
    DemoChannel {
        name: "both",
        effect: "Both projects may be used here, so the app asks which one is meant.",
        id: "C2147483707",
        shows_staging: false,
    },
];

/// The service between both fakes.
pub struct DemoServer {
    pub kapso: FakeKapso,
    /// The second project.
    pub(super) staging: FakeKapso,
    /// The only project that is configured at the start.
    only: Vec<ProjectSettings>,
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
    /// Whether the service has a bot token.
    pub(super) has_bot: bool,
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
    /// The last message before the last reset.
    last_message: u64,
    /// The channels that were shown since then, each with the last command or press before it.
    shown: Vec<(u64, DemoChannel)>,
}

impl DemoServer {
    /// Name of the slash command.
    pub const COMMAND: &str = "/sandbox";

    /// `projects` are the service's; `qr` signs addresses of QR codes for the gallery.
    pub(super) fn new(
        kapso: FakeKapso,
        only: Vec<ProjectSettings>,
        slack: FakeSlack,
        projects: Arc<Projects>,
        app_url: Url,
        clock: Clock,
        qr: Addresses,
    ) -> Self {
        let staging = kapso.add_project(STAGING_KEY);
        staging.allow_undocumented();
        staging.reset(sample_sessions::staging(clock.now()));
        Self {
            kapso,
            staging,
            only,
            slack,
            projects,
            app_url,
            clock,
            qr,
            changed: watch::Sender::new(()),
            has_bot: false,
            state: Mutex::new(State {
                fault_name: faults::HEALTHY,
                advanced: SignedDuration::ZERO,
                resets: 0,
                last_exchange: 0,
                last_message: 0,
                shown: vec![(0, CHANNELS[0])],
            }),
        }
    }

    /// The same for a service that has a bot token, or has none.
    pub(super) fn with_bot(self, has_bot: bool) -> Self {
        Self { has_bot, ..self }
    }

    /// Who uses the playground. After a reset, it is somebody else in another workspace, so that the service connects
    /// nothing with what was there before: no watch, no limit per person, no creation a moment ago.
    pub(super) fn person(&self) -> Person {
        let resets = self.state().resets;
        let person = Person::default();
        Person {
            team: format!("T{:04}ABCD", resets + 1),
            channel: self.channel().id.to_owned(),
            user: match resets {
                0 => person.user,
                resets => format!("{}R{resets}", person.user),
            },
            ..person
        }
    }

    /// The same in the conversation of a message.
    pub(super) fn person_at(&self, message: u64) -> Person {
        let person = self.person();
        let messages = self.slack.direct_messages(&person.user);
        match messages.into_iter().find(|posted| posted.id == message) {
            Some(posted) => Person {
                channel: posted.channel,
                ..person
            },
            None => person,
        }
    }

    /// Whether a message belongs to what is shown: the conversation since the last reset, or the direct messages.
    pub(super) fn is_shown(&self, posted: &PostedMessage) -> bool {
        if posted.channel.is_empty() {
            return self.is_current(posted.exchange);
        }
        if !posted.channel.starts_with('D') {
            return posted.channel == self.channel().id && posted.id > self.state().last_message;
        }
        let direct = self.slack.web_api().direct_channel(&self.person().user);
        direct.as_ref() == Some(&posted.channel)
    }

    /// Whether a command or press belongs to the conversation since the last reset. Messages that belong to none have 0.
    pub(super) fn is_current(&self, exchange: u64) -> bool {
        let state = self.state();
        let of_exchange = state.shown.iter().rev().find(|(before, _)| exchange > *before);
        let is_here = of_exchange.map(|(_, channel)| channel) == state.shown.last().map(|(_, channel)| channel);
        exchange == 0 || exchange > state.last_exchange && is_here
    }

    /// The channel that is shown.
    pub(super) fn channel(&self) -> DemoChannel {
        self.state().shown.last().map_or(CHANNELS[0], |(_, channel)| *channel)
    }

    /// Shows the channel with this name. From the first other channel on, there are two projects. Returns false if there is
    /// no such channel.
    pub(super) fn show_channel(&self, name: &str) -> bool {
        let Some(channel) = CHANNELS.into_iter().find(|channel| channel.name == name) else {
            return false;
        };
        if !self.projects.are_several() && channel != CHANNELS[0] {
            self.projects.replace(self.two_projects());
        }
        let last = self.last_exchange();
        self.state().shown.push((last, channel));
        self.changed.send_replace(());
        true
    }

    /// The first project, which has an alias then, and the second one.
    fn two_projects(&self) -> Vec<ProjectSettings> {
        let [sandbox, staging, both] = CHANNELS.map(|channel| channel.id.to_owned());
        let project = |alias: &str, channels, api_key: Option<HeaderValue>| {
            let only = self.only.first()?;
            Some(ProjectSettings {
                alias: Alias::parse(alias),
                api_key: api_key.unwrap_or_else(|| only.api_key.clone()),
                channels: Some(channels),
                ..only.clone()
            })
        };
        let staging_key = Some(HeaderValue::from_static(STAGING_KEY));
        [
            project("staging", vec![staging, both.clone()], staging_key),
            project("support", vec![sandbox, both], None),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The project whose sessions and requests the panel shows.
    pub(super) fn project(&self) -> &FakeKapso {
        if self.channel().shows_staging {
            &self.staging
        } else {
            &self.kapso
        }
    }

    fn last_exchange(&self) -> u64 {
        self.slack.last_number()
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

    /// Writes a message in the channel, or in the thread of a message that everybody sees. Returns false if there is no
    /// such message.
    pub(super) fn write_message(&self, text: &str, thread: Option<u64>) -> bool {
        let conversation = self.slack.conversation();
        let has_thread = |id| {
            let mut messages = conversation.iter();
            messages.any(|posted| posted.id == id && posted.in_channel && posted.thread.is_none())
        };
        let may = thread.is_none_or(has_thread);
        if may {
            let _ = self.slack.write_message(&self.person(), text, thread);
        }
        may
    }

    /// Advances the clock and updates the playground. Sessions expire.
    pub fn advance_clock(&self, span: SignedDuration) {
        self.clock.advance(span);
        self.state().advanced += span;
        self.kapso.expire_overdue();
        self.staging.expire_overdue();
        self.changed.send_replace(());
    }

    /// Sets the fault with this name and releases stalled requests. The service forgets what Kapso said before, so that
    /// the next command meets the fault. Returns false if there is no such fault.
    pub(super) fn set_fault(&self, name: &str) -> bool {
        let Some(choice) = faults::ALL.into_iter().find(|choice| choice.name == name) else {
            return false;
        };
        self.state().fault_name = choice.name;
        for project in [&self.kapso, &self.staging] {
            project.set_fault(faults::fault(name));
            project.release_stalled_requests();
        }
        self.forget();
        true
    }

    /// Sets everything back to the start: sessions, fault, clock, and the conversation with its first card.
    pub(super) async fn reset(&self) {
        let last_exchange = self.last_exchange();
        let last_message = self.slack.conversation().last().map_or(0, |posted| posted.id);
        {
            let mut state = self.state();
            self.clock.advance(-state.advanced);
            *state = State {
                fault_name: faults::HEALTHY,
                advanced: SignedDuration::ZERO,
                resets: state.resets + 1,
                last_exchange,
                last_message,
                shown: vec![(last_exchange, CHANNELS[0])],
            };
        }
        self.kapso.reset(sample_sessions::sessions(self.clock.now()));
        self.staging.reset(sample_sessions::staging(self.clock.now()));
        self.projects.replace(self.only.clone());
        self.slack.clear_channel_limits();
        for opened in self.slack.web_api().opened_views() {
            self.slack.close_form(&opened.id);
        }
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
