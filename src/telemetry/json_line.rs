//! A log line as a JSON object: time, level, the fields of the event, and the target. Spans are not written: this service
//! has none. The formatter of `tracing-subscriber` takes more than twice as many instructions.

use std::fmt::{self, Debug, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::json;

/// The size of most lines, in bytes.
const USUAL_BYTES: usize = 512;

pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Line(String::with_capacity(USUAL_BYTES));
        line.text("timestamp", &time);
        line.text("level", event.metadata().level().as_str());
        event.record(&mut line);
        line.text("target", event.metadata().target());
        line.0.push_str("}\n");
        writer.write_str(&line.0)
    }
}

/// The line so far.
struct Line(String);

impl Line {
    fn name(&mut self, name: &'static str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        json::write_name(name, &mut self.0);
    }

    fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        json::write_string(text, &mut self.0);
    }

    /// A number or a boolean, written without quotes.
    fn literal(&mut self, name: &'static str, literal: impl fmt::Display) {
        self.name(name);
        // Writing to a string cannot fail.
        let _ = write!(self.0, "{literal}");
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, text: &str) {
        self.text(field.name(), text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.text(field.name(), &format!("{value:?}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.literal(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, number: u64) {
        self.literal(field.name(), number);
    }

    fn record_i64(&mut self, field: &Field, number: i64) {
        self.literal(field.name(), number);
    }

    fn record_f64(&mut self, field: &Field, number: f64) {
        if number.is_finite() {
            self.literal(field.name(), number);
        } else {
            self.literal(field.name(), "null");
        }
    }
}
