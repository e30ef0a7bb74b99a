//! What operators see: the log and the metrics, and what never gets into either.

mod metrics;

use std::error::Error;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

pub use self::metrics::{Delivery, Metrics};

/// The target of our own log lines.
const OURS: &str = "kapso_slack";

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// Text on a terminal, else JSON.
    #[must_use]
    pub fn fitting() -> Self {
        if std::io::stdout().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// `filter` with everything that is not ours capped at `warn`: libraries print what we never would.
#[must_use]
pub fn capped(filter: &Targets) -> Targets {
    let cap = |target: &str, level: LevelFilter| {
        if target == OURS || target.starts_with("kapso_slack::") {
            level
        } else {
            level.min(LevelFilter::WARN)
        }
    };
    let all = filter.default_level().unwrap_or(LevelFilter::OFF);
    Targets::new()
        .with_default(all.min(LevelFilter::WARN))
        .with_target(OURS, all)
        .with_targets(
            filter
                .iter()
                .map(|(target, level)| (target.to_owned(), cap(target, level))),
        )
}

/// The log as a subscriber that writes to `writer`.
#[must_use]
pub fn subscriber<W>(format: LogFormat, filter: &Targets, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let filter = capped(filter);
    match format {
        LogFormat::Text => {
            let lines = lines.with_target(false).with_ansi(std::io::stdout().is_terminal());
            Box::new(tracing_subscriber::registry().with(lines.with_filter(filter)))
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true);
            Box::new(tracing_subscriber::registry().with(lines.with_filter(filter)))
        }
    }
}

/// Starts the log of this process, and makes panics a line in it that says where, never with what words: those may
/// hold anything.
pub fn start(format: LogFormat, filter: &Targets) {
    // Only a second start fails, and then the first one's log goes on.
    let _ = tracing::subscriber::set_global_default(subscriber(format, filter, std::io::stdout));
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a task panicked");
    }));
}

/// An error with its causes, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let _ = write!(line, ": {error}");
        cause = error.source();
    }
    line
}
