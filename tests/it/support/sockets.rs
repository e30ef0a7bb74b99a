//! The service with Socket Mode and short deadlines.

use std::time::Duration;

use crate::support::{TestAppBuilder, test_app};

/// The service over the socket, with deadlines of a second or less. Slack waits for acknowledgements for as long as they
/// take.
pub fn quick_socket_app() -> TestAppBuilder {
    test_app().over_socket().with_patient_slack().set(|settings| {
        let timing = &mut settings.timing.socket;
        timing.open = Duration::from_secs(2);
        timing.ping = Duration::from_millis(100);
        timing.silence = Duration::from_secs(1);
        timing.drain = Duration::from_millis(100);
        timing.stable = Duration::ZERO;
    })
}

/// How many connections were replaced for this reason, by the metrics.
pub fn reconnects(metrics: &str, reason: &str) -> u64 {
    value(
        metrics,
        &format!("kapso_slack_socket_reconnects_total{{reason=\"{reason}\"}} "),
    )
}

/// The value of a series.
pub fn value(metrics: &str, series: &str) -> u64 {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line.unwrap_or_else(|| panic!("no {series}: {metrics}"))
        .parse()
        .unwrap()
}
