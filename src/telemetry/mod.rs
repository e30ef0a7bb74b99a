//! The log and the metrics. Neither ever contains a secret, a `response_url` or text that a person typed.

mod json_line;
mod log_limit;
mod log_writer;
mod metrics;

use std::error::Error;
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use std::time::Duration;

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use self::json_line::JsonLine;
pub use self::log_limit::LogLimit;
use self::log_writer::LogWriter;
pub use self::log_writer::dropped_log_lines;
pub use self::metrics::{Delivery, Labels, Metrics};

/// The target of this crate's own log lines.
const OUR_TARGET: &str = "kapso_slack";
/// What the targets of the database's driver begin with.
const DATABASE_DRIVER: &str = "sqlx";

/// How long the end of the process waits for a reader of the last lines.
const LAST_LINES_TIMEOUT: Duration = Duration::from_millis(300);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    /// One JSON object per line.
    Json,
}

impl LogFormat {
    /// Text on a terminal, else JSON.
    #[must_use]
    pub fn detect() -> Self {
        if std::io::stdout().is_terminal() {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// Whether a log target is this crate, or a module of it.
#[must_use]
pub fn is_ours(target: &str) -> bool {
    target.split("::").next() == Some(OUR_TARGET)
}

/// `filter`, with the level of every target outside this crate capped at `warn`: below that level, libraries log
/// addresses and headers, which may be secret. The database's driver logs nothing: its warnings quote parts of
/// `DATABASE_URL`, and what they are about is in this crate's own lines.
#[must_use]
pub fn cap_libraries(filter: &Targets) -> Targets {
    let default = filter.default_level().unwrap_or(LevelFilter::OFF);
    let targets = filter.iter().map(|(target, level)| {
        let level = if is_ours(target) {
            level
        } else if target.starts_with(DATABASE_DRIVER) {
            LevelFilter::OFF
        } else {
            level.min(LevelFilter::WARN)
        };
        (target.to_owned(), level)
    });
    Targets::new()
        .with_default(default.min(LevelFilter::WARN))
        .with_target(OUR_TARGET, default)
        .with_targets(targets)
        .with_target(DATABASE_DRIVER, LevelFilter::OFF)
}

/// A subscriber that writes the log to `writer`, with libraries capped at `warn`.
#[must_use]
pub fn subscriber<W>(format: LogFormat, filter: &Targets, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let filter = cap_libraries(filter);
    match format {
        LogFormat::Text => {
            let lines = lines.with_target(false).with_ansi(std::io::stdout().is_terminal());
            Box::new(tracing_subscriber::registry().with(lines.with_filter(filter)))
        }
        LogFormat::Json => {
            let lines = lines.with_ansi(false).event_format(JsonLine);
            Box::new(tracing_subscriber::registry().with(lines.with_filter(filter)))
        }
    }
}

/// The log of this process while it runs. Dropped, it waits for a moment until everything is written.
#[must_use = "without it, the last lines are lost"]
pub struct RunningLog(LogWriter);

/// Starts the log of this process. A panic is logged with its location only: its message may contain a secret.
pub fn start(format: LogFormat, filter: &Targets) -> RunningLog {
    let writer = LogWriter::start(std::io::stdout());
    // Fails only if a log was started before; that one stays in use.
    let _ = tracing::subscriber::set_global_default(subscriber(format, filter, writer.clone()));
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "a task panicked");
    }));
    RunningLog(writer)
}

impl Drop for RunningLog {
    fn drop(&mut self) {
        let is_written = self.0.close(LAST_LINES_TIMEOUT);
        let dropped = dropped_log_lines();
        if is_written && dropped == 0 {
            return;
        }
        let rest = if is_written {
            ""
        } else {
            ", and the last ones may be lost"
        };
        let report = format!("kapso-slack: {dropped} log lines were dropped because nobody read them{rest}");
        log_writer::print_to_stderr(report, LAST_LINES_TIMEOUT);
    }
}

/// An error and its causes, in one line.
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
