//! When a session ends: in the reader's time zone, in UTC, and relative to now.

use serde_json::Value;

use crate::support::ID;
use crate::support::cards::{show_session, with_fresh_lookups};

#[tokio::test]
async fn expiry_is_shown_in_the_readers_time_zone_in_utc_and_relative() {
    with_fresh_lookups(async |app| {
        for (expires_at, shown) in [
            (
                "2026-11-23T10:00:00Z",
                "Expires <1795428000|2026-11-23 10:00 UTC> (in less than a minute)",
            ),
            (
                "2026-11-23T10:00:59Z",
                "Expires <1795428059|2026-11-23 10:00 UTC> (in less than a minute)",
            ),
            (
                "2026-11-23T10:01:00Z",
                "Expires <1795428060|2026-11-23 10:01 UTC> (in a minute)",
            ),
            (
                "2026-11-23T10:44:40Z",
                "Expires <1795430680|2026-11-23 10:44 UTC> (in 45 minutes)",
            ),
            (
                "2026-11-23T11:10:00Z",
                "Expires <1795432200|2026-11-23 11:10 UTC> (in an hour)",
            ),
            (
                "2026-11-24T10:00:00.123456Z",
                "Expires <1795514400|2026-11-24 10:00 UTC> (in 24 hours)",
            ),
            (
                "2026-11-24T12:00:00+02:00",
                "Expires <1795514400|2026-11-24 10:00 UTC> (in 24 hours)",
            ),
            (
                "2026-11-26T10:00:00Z",
                "Expires <1795687200|2026-11-26 10:00 UTC> (in 3 days)",
            ),
            ("9999-12-30T00:00:00Z", "Expires in the year 9999"),
            ("9999-12-31T23:59:59Z", "Expires in the year 9999"),
            ("9999-12-31T23:59:59+01:00", "Expires in the year 9999"),
            ("2126-11-23T10:00:00Z", "Expires in the year 2126"),
            (
                "2126-10-30T10:00:00Z",
                "Expires <4949028000|2126-10-30 10:00 UTC> (in 36500 days)",
            ),
            (
                "2026-11-23T09:59:59Z",
                "Expired <1795427999|2026-11-23 09:59 UTC> (less than a minute ago)",
            ),
            (
                "2026-11-23T09:30:00Z",
                "Expired <1795426200|2026-11-23 09:30 UTC> (30 minutes ago)",
            ),
            (
                "2023-11-07T05:31:56Z",
                "Expired <1699335116|2023-11-07 05:31 UTC> (1112 days ago)",
            ),
            (
                "1969-12-31T23:59:59Z",
                "Expired <-1|1969-12-31 23:59 UTC> (20780 days ago)",
            ),
        ] {
            app.kapso.set_field(ID, "expires_at", expires_at.into());
            let card = show_session(app).await;
            let shown = shown
                .replace('<', "<!date^")
                .replace('|', "^{date_short_pretty} at {time}|");
            let sections = sections(&card);
            assert!(
                sections.contains(&shown.as_str()),
                "{expires_at}: {shown} is not in {sections:#?}"
            );
        }
        for nonsense in [
            "tomorrow",
            "2026-11-23",
            "2026-13-01T00:00:00Z",
            "1795428000",
            "99999-01-01T00:00:00Z",
            "9999-12-31",
            "9999-12-31T23:59:59",
            "9999-12-32T23:59:59Z",
        ] {
            app.kapso.set_field(ID, "expires_at", nonsense.into());
            let card = show_session(app).await.to_string();
            assert!(!card.contains("xpire"), "{nonsense}: {card}");
        }
    })
    .await;
}

/// Every paragraph with Slack's markup.
fn sections(message: &Value) -> Vec<&str> {
    let blocks = message["blocks"].as_array().unwrap().iter();
    let sections = blocks.filter(|block| block["type"] == "section");
    sections
        .map(|section| section["text"]["text"].as_str().unwrap())
        .collect()
}
