//! Commands have priority over polls in Kapso's rate limit: one minute of simulated time under full load.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::SignedDuration;
use kapso_slack::demo::plain;

use crate::support::{TestApp, test_app};

const STEP: SignedDuration = SignedDuration::from_millis(100);
const MINUTE: usize = 600;

fn id(number: usize) -> String {
    format!("session-{number:04}")
}

/// The outcome of one minute.
#[derive(Debug, Default)]
struct Minute {
    shown: usize,
    limited: usize,
    /// Requests to Kapso, for people and for watches.
    people: usize,
    watches: usize,
}

/// Runs `test` with an app in which three people watch 60 of 500 sessions.
async fn watched(limit: u32, test: impl AsyncFnOnce(&mut TestApp)) {
    test_app()
        // The clock is stopped, so waiting for the rate limit would take for ever.
        .set(|settings| settings.timing.kapso.max_rate_limit_wait = Duration::ZERO)
        // On a busy machine, ten thousand look-ups take longer than other tests, and no reply must be late for it.
        .with_timeout(Duration::from_mins(5))
        .set(|settings| settings.reply_budget = Duration::from_mins(1))
        .run(async |app| {
            app.wait_for_store().await;
            app.kapso.set_rate_limit(limit);
            for number in 0..500 {
                app.kapso.add_session(&id(number));
            }
            for number in 0..60 {
                app.person.user = format!("U{}", number / 20);
                let confirmed = app.command_text(&format!("/sandbox watch {}", id(number))).await;
                assert!(confirmed.contains("I'll post here"), "{confirmed}");
            }
            // Past the window of the requests so far.
            app.advance_clock(SignedDuration::from_secs(61));
            test(app).await;
        })
        .await;
}

/// Advances the clock by a minute, with this many lookups in each tenth of a second.
async fn minute(app: &TestApp, typed: usize) -> Minute {
    let before = app.kapso.requests().len();
    let mut minute = Minute::default();
    for step in 0..MINUTE {
        let commands = (0..typed).map(|number| format!("/sandbox {}", id((step * typed + number) % 500)));
        let commands: Vec<_> = commands.collect();
        for answer in join_all(commands.iter().map(|command| app.command(command))).await {
            let text = plain::text(&answer.message);
            if text.contains("Waiting for activation") {
                minute.shown += 1;
            } else {
                assert!(text.starts_with("Kapso is limiting this app's requests."), "{text}");
                minute.limited += 1;
            }
        }
        app.advance_clock(STEP);
        if typed == 0 {
            // Lets the service run.
            app.get("/healthz").await;
        }
    }
    for request in &app.kapso.requests()[before..] {
        if request.contains("?page=") {
            minute.watches += 1;
        } else {
            minute.people += 1;
        }
    }
    minute
}

/// FakeKapso reports every request over the limit when the app is closed.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
async fn ten_thousand_lookups_and_sixty_watches_share_the_rate_limit() {
    watched(100, async |app| {
        let quiet = minute(app, 0).await;
        println!("60 watches and nobody else: {quiet:?}");
        assert!(
            (1..=80).contains(&quiet.watches),
            "watches are polled, and a fifth stays free: {quiet:?}"
        );
        // The simulated minute does not wait for the polls, so on a busy machine it may end before the fifth one.
        let mut requested = quiet.watches;
        for _ in 0..10 {
            if requested >= 5 {
                break;
            }
            requested += minute(app, 0).await.watches;
        }
        assert!(requested >= 5, "each of the five pages was requested: {requested}");

        let busy = minute(app, 17).await;
        println!("60 watches and 10,200 look-ups of 500 ids: {busy:?}");
        assert_eq!(busy.people + busy.watches, 100, "all of the limit is used: {busy:?}");
        // Polls are made only until commands have used up what was free at the beginning.
        assert!(busy.people >= 90, "people come first: {busy:?}");
        assert_eq!(busy.shown + busy.limited, 10_200, "everybody is answered");
    })
    .await;
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
async fn a_larger_rate_limit_in_the_headers_is_used() {
    watched(500, async |app| {
        let minute = minute(app, 2).await;
        println!("60 watches and 1,200 look-ups of 500 ids at 500 a minute: {minute:?}");
        assert_eq!(
            minute.people + minute.watches,
            500,
            "all of the limit is used: {minute:?}"
        );
        // Two rounds of five pages fit into the time in which more than a fifth is free.
        assert!(minute.people >= 480, "people come first: {minute:?}");
    })
    .await;
}
