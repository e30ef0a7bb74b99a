//! The pace of looks counts from the beginning of a request to the beginning of the next, as its arithmetic does.

use std::time::Duration;

use jiff::SignedDuration;
use kapso_slack::demo::Fault;

use crate::support::test_app;

/// With 375 requests a minute a look is due every 200 ms.
const LIMIT: u32 = 375;
const WATCHES: usize = 6;

#[tokio::test]
async fn slow_responses_do_not_slow_the_polling() {
    test_app()
        .with_system_clock()
        // As in production.
        .set(|settings| settings.timing.max_poll_interval = Duration::from_secs(1))
        .run(async |app| {
            app.wait_for_store().await;
            app.kapso.set_rate_limit(LIMIT);
            // Six pages of a list: six watches are asked for one by one.
            for number in 0..WATCHES * 100 {
                app.kapso.add_session(&format!("session-{number:04}"));
            }
            for number in 0..WATCHES {
                app.command_text(&format!("/sandbox watch session-{number:04}")).await;
            }
            app.kapso.set_fault(Some(Fault::Delay(Duration::from_millis(190))));
            let before = app.kapso.requests().len();
            app.advance_clock(SignedDuration::from_secs(25));
            app.kapso.wait_for_requests(before + WATCHES).await;
            let requests = app.kapso.last_requests(WATCHES);
            let intervals: Vec<i64> = requests
                .windows(2)
                .map(|two| (two[1].at_ms - two[0].at_ms).abs())
                .collect();
            let mean = intervals.iter().sum::<i64>() / i64::try_from(intervals.len()).unwrap();
            assert!(
                mean < 300,
                "one look every 200 ms, but {intervals:?} ms passed: {requests:?}"
            );
        })
        .await;
}
