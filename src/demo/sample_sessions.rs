//! The sessions that the demo begins with.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::sandbox;

/// Id of the pending session that examples use.
pub(super) const PENDING: &str = "123e4567-e89b-12d3-a456-426614174000";

/// A session in each state, by id. Each has a phone, a code and an agent of its own.
pub(super) fn sessions(now: Timestamp) -> BTreeMap<String, Value> {
    let rows = [
        (
            "pending-for-an-hour",
            "pending_activation",
            60,
            "+4915228817386",
            "K7WQ2M",
            Some(("agent-2", "Booking Assistant")),
        ),
        (
            "active",
            "active",
            5,
            "+5511987654321",
            "ZX81AB",
            Some(("agent-3", "Returns & Refunds")),
        ),
        (
            "expired",
            "expired",
            24 * 60 + 30,
            "+447700900456",
            "H3LL0W",
            Some(("agent-4", "Opening Hours")),
        ),
        (
            "superseded",
            "superseded",
            10,
            "+33639981357",
            "QQ4T7N",
            Some(("agent-5", "Order Tracking")),
        ),
        (
            "in-a-new-state",
            "paused_by_operator",
            15,
            "+81312342468",
            "M0P2RS",
            None,
        ),
    ];
    let session = |(id, status, age, phone, code, agent): (&str, &str, i64, &str, &str, Option<(&str, &str)>)| {
        let created_at = now - SignedDuration::from_mins(age);
        let mut session = sandbox::sample(id, created_at);
        session["status"] = status.into();
        session["phone_number"] = phone.into();
        sandbox::set_code(&mut session, code);
        if status == "active" {
            session["activated_at"] = (created_at + SignedDuration::from_mins(2)).to_string().into();
        }
        match agent {
            Some((id, name)) => {
                session["agent"]["id"] = id.into();
                session["agent"]["name"] = name.into();
            }
            None => session["agent"] = json!(null),
        }
        (id.to_owned(), session)
    };
    let pending = (PENDING.to_owned(), sandbox::sample(PENDING, now));
    rows.into_iter().map(session).chain([pending]).collect()
}

/// The sessions of the second project: one with the id of the first one's, and one of its own.
pub(super) fn staging(now: Timestamp) -> BTreeMap<String, Value> {
    let session = |id: &str, phone: &str, code: &str| {
        let mut session = sandbox::sample(id, now - SignedDuration::from_mins(3));
        session["phone_number"] = phone.into();
        session["agent"]["id"] = "agent-9".into();
        session["agent"]["name"] = "Staging Agent".into();
        sandbox::set_code(&mut session, code);
        (id.to_owned(), session)
    };
    BTreeMap::from([
        session(PENDING, "+12025550147", "STAG1N"),
        session("only-in-staging", "+12025550186", "TEST42"),
    ])
}
