//! Forged requests: a genuine one is changed, and must be refused.

use crate::support::raw_request::{COMMANDS, INTERACTIONS, RawRequest, STAMP, pressed, signature, typed};
use crate::support::{SECRET, TestApp, plan};

/// A second signing secret, as the first is being replaced; like Slack's own it looks like hex.
pub const SECOND: &str = "3f1c9a5e7b2d4860a1c3e5f708192a3b";

pub type Forgeries = [(&'static str, fn(&mut RawRequest))];

/// Bends a genuine request at each door in each of these ways; none may get in.
pub async fn are_refused(forgeries: &Forgeries) {
    let rotating = plan().with("SLACK_SIGNING_SECRET", format!("{SECRET},{SECOND}"));
    rotating
        .run(async |app| {
            for (door, body) in [(COMMANDS, typed()), (INTERACTIONS, pressed())] {
                let genuine = app.slack_sends(door, body);
                for (name, bend) in forgeries {
                    let mut forged = genuine.clone();
                    bend(&mut forged);
                    assert_ne!(forged.to_bytes(), genuine.to_bytes(), "{name}: nothing was bent");
                    is_refused(app, &forged, &format!("{name}, at {door}")).await;
                }
            }
        })
        .await;
}

/// Knocks with something that is not Slack's: 401 without a word, and the signature it should have had is nowhere.
pub async fn is_refused(app: &TestApp, forged: &RawRequest, what: &str) {
    let reply = app.answers(forged).await;
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
    assert!(app.command_lines().is_empty(), "{what}: a command was carried out");
    assert!(app.kapso.requests().is_empty(), "{what}: Kapso was asked");
}
