//! Forged requests: a genuine one is changed, and must be rejected.

use crate::support::raw_request::{COMMANDS, INTERACTIONS, RawRequest, STAMP, command_form, press_form, signature};
use crate::support::{SECRET, TestApp, test_app};

/// A second signing secret, for the time in which the first is being replaced. Hexadecimal, as Slack's own are.
pub const SECOND: &str = "3f1c9a5e7b2d4860a1c3e5f708192a3b";

/// Names and changes that make a genuine request a forged one.
pub type Forgeries = [(&'static str, fn(&mut RawRequest))];

/// Applies each change to a genuine request for each of the two routes, and expects a refusal.
pub async fn expect_all_refused(forgeries: &Forgeries) {
    let rotating = test_app().with("SLACK_SIGNING_SECRET", format!("{SECRET},{SECOND}"));
    rotating
        .run(async |app| {
            for (path, body) in [(COMMANDS, command_form()), (INTERACTIONS, press_form())] {
                let genuine = app.signed_request(path, body);
                for (name, change) in forgeries {
                    let mut forged = genuine.clone();
                    change(&mut forged);
                    assert_ne!(forged.to_bytes(), genuine.to_bytes(), "{name}: nothing was changed");
                    expect_refused(app, &forged, &format!("{name}, at {path}")).await;
                }
            }
        })
        .await;
}

/// Expects 401 with an empty body, the correct signature neither in the reply nor in the log, and no effects.
pub async fn expect_refused(app: &TestApp, forged: &RawRequest, what: &str) {
    let reply = app.send_raw(forged).await;
    assert_eq!((reply.status, reply.body.as_str()), (401, ""), "{what}");
    let log = format!("{:?}", app.log_lines());
    for secret in [SECRET, SECOND] {
        let right = signature(
            secret.as_bytes(),
            &[b"v0:", forged.get(STAMP).as_bytes(), b":", &forged.body],
        );
        let digits = &right[3..];
        assert!(!reply.head.contains(digits), "{what}: the reply says what was right");
        assert!(!log.contains(digits), "{what}: the log says what was right");
    }
    assert!(app.command_log_lines().is_empty(), "{what}: a command was carried out");
    assert!(app.kapso.requests().is_empty(), "{what}: Kapso was asked");
}
