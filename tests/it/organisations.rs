//! An app that is installed for a whole organisation: a press, which then names no workspace, is judged like the command
//! that was typed, and guests of other companies stay out.

use kapso_slack::demo::{Person, PostedMessage, plain};
use serde_json::{Value, json};

use crate::support::cards::{SHOW, expect_private_reply, share};
use crate::support::{TestApp, test_app};

const WORKSPACE: &str = "T0001ABCD";
const ORGANISATION: &str = "E0001";
const REFUSED: &str = "You cannot use this here.";

/// A change of the payload of a press.
type Change = fn(&mut Value);

/// Somebody of the organisation, in an app that is installed for all of it.
fn member(user: &str) -> Person {
    Person {
        enterprise: Some(ORGANISATION.to_owned()),
        organisation_wide: true,
        user: user.to_owned(),
        ..Person::default()
    }
}

/// Somebody of another company in the same channel.
fn guest() -> Person {
    Person {
        home_team: Some("T0GUEST".to_owned()),
        ..member("U0GUEST")
    }
}

async fn expect_refusal(app: &TestApp, on: &PostedMessage, button: &str) {
    let answer = app.press(on, button).await;
    expect_private_reply(app, on, &answer, REFUSED);
}

#[tokio::test]
async fn people_of_the_organisation_press_what_they_may_type() {
    for teams in [WORKSPACE, ORGANISATION, "T0OTHER,E0001", "T0001ABCD,E0001", ""] {
        test_app()
            .with("ALLOWED_TEAMS", teams)
            .without_cache()
            .run(async |app| {
                app.wait_for_store().await;
                app.person = member("U0MEMBER");
                let card = app.command(SHOW).await;
                assert_eq!(app.press(&card, "refresh").await.id, card.id, "{teams:?}");
                let watched = app.press(&card, "watch").await;
                assert!(plain::text(&watched.message).contains("Watching until"), "{teams:?}");
                let (for_all, _) = share(app, &watched).await;
                app.person = member("U0COLLEAGUE");
                let fresh = app.press(&for_all, "refresh").await;
                assert_eq!(fresh.id, for_all.id, "{teams:?}: {fresh:?}");
            })
            .await;
    }
}

#[tokio::test]
async fn guests_of_other_companies_press_nothing_there() {
    for teams in [WORKSPACE, ORGANISATION, "T0001ABCD,E0001"] {
        test_app()
            .with("ALLOWED_TEAMS", teams)
            .without_cache()
            .run(async |app| {
                app.person = member("U0MEMBER");
                let card = app.command(SHOW).await;
                let (for_all, _) = share(app, &card).await;
                for organisation_wide in [true, false] {
                    app.person = Person {
                        organisation_wide,
                        ..guest()
                    };
                    expect_refusal(app, &for_all, "refresh").await;
                    expect_refusal(app, &for_all, "watch").await;
                }
            })
            .await;
    }
}

#[tokio::test]
async fn guests_press_where_their_company_is_listed_too() {
    test_app()
        .with("ALLOWED_TEAMS", "E0001,T0GUEST")
        .without_cache()
        .run(async |app| {
            app.person = member("U0MEMBER");
            let card = app.command(SHOW).await;
            let (for_all, _) = share(app, &card).await;
            app.person = guest();
            assert_eq!(app.press(&for_all, "refresh").await.id, for_all.id);
        })
        .await;
}

#[tokio::test]
async fn people_of_another_organisation_press_nothing() {
    test_app()
        .with("ALLOWED_TEAMS", ORGANISATION)
        .without_cache()
        .run(async |app| {
            app.person = member("U0MEMBER");
            let card = app.command(SHOW).await;
            let (for_all, _) = share(app, &card).await;
            app.person = Person {
                enterprise: Some("E0002".to_owned()),
                ..member("U0OTHER")
            };
            expect_refusal(app, &for_all, "refresh").await;
        })
        .await;
}

/// Whoever typed a command in one workspace of the organisation may be at home in another one.
#[tokio::test]
async fn a_member_of_two_workspaces_presses_their_own_card() {
    for teams in [WORKSPACE, ORGANISATION] {
        test_app()
            .with("ALLOWED_TEAMS", teams)
            .without_cache()
            .run(async |app| {
                for organisation_wide in [true, false] {
                    app.person = Person {
                        organisation_wide,
                        home_team: Some("T0002ABCD".to_owned()),
                        ..member("U0MEMBER")
                    };
                    let card = app.command(SHOW).await;
                    assert_eq!(app.press(&card, "refresh").await.id, card.id, "{teams:?}");
                }
            })
            .await;
    }
}

/// Slack's older payloads have the organisation in `team` only.
#[tokio::test]
async fn the_organisation_is_read_wherever_slack_writes_it() {
    let shapes: [(&str, Change); 4] = [
        ("in the team", |payload| {
            payload.as_object_mut().unwrap().remove("enterprise");
            payload["team"] = json!({"id": WORKSPACE, "enterprise_id": ORGANISATION});
        }),
        ("in the team, and null beside it", |payload| {
            payload["enterprise"] = Value::Null;
            payload["team"] = json!({"id": WORKSPACE, "enterprise_id": ORGANISATION});
        }),
        ("as the person's workspace", |payload| {
            payload["user"]["team_id"] = json!(ORGANISATION);
        }),
        ("not at all", |payload| {
            payload["enterprise"] = Value::Null;
            payload["team"] = json!({"id": WORKSPACE});
        }),
    ];
    test_app()
        .with("ALLOWED_TEAMS", ORGANISATION)
        .without_cache()
        .run(async |app| {
            app.person = member("U0MEMBER");
            let card = app.command(SHOW).await;
            for (what, shape) in shapes {
                let answer = app.press_with_payload(&card, "refresh", shape).await;
                assert_eq!(answer.id, card.id, "{what}: {answer:?}");
            }
        })
        .await;
}

#[tokio::test]
async fn an_empty_organisation_is_none() {
    with_store("", async |app| {
        app.person.enterprise = Some(String::new());
        let watched = app.command(&SHOW.replace("/sandbox", "/sandbox watch")).await;
        app.person.enterprise = None;
        let card = app.press(&watched, "unwatch").await;
        assert!(plain::text(&card.message).contains("Stopped watching"), "{card:?}");
    })
    .await;
}

#[tokio::test]
async fn what_was_watched_by_typing_is_stopped_by_pressing_and_the_other_way_round() {
    let shapes: [fn(&mut Value); 4] = [
        |_| {},
        |payload| {
            payload.as_object_mut().unwrap().remove("enterprise");
            payload["team"] = json!({"id": WORKSPACE, "enterprise_id": ORGANISATION});
        },
        |payload| {
            payload["enterprise"] = Value::Null;
            payload["team"] = json!({"id": WORKSPACE});
        },
        |payload| payload["enterprise"] = Value::Null,
    ];
    for shape in shapes {
        with_store(ORGANISATION, async |app| {
            app.person = member("U0MEMBER");
            let typed = app.command(&SHOW.replace("/sandbox", "/sandbox watch")).await;
            let stopped = app.press_with_payload(&typed, "unwatch", shape).await;
            assert!(
                plain::text(&stopped.message).contains("Stopped watching"),
                "{stopped:?}"
            );
            let card = app.command(SHOW).await;
            app.press_with_payload(&card, "watch", shape).await;
            // Typed again, it is the same watch: one "Stop watching" ends it.
            let again = app.command(&SHOW.replace("/sandbox", "/sandbox watch")).await;
            let stopped = app.press(&again, "unwatch").await;
            assert!(
                plain::text(&stopped.message).contains("Stopped watching"),
                "{stopped:?}"
            );
            let nothing = app
                .press_with_value(&again, "unwatch", &value_of(&card, "refresh"))
                .await;
            let text = plain::text(&nothing.message);
            assert!(text.contains("You are not watching this session."), "{text}");
        })
        .await;
    }
}

/// Who presses a card of another workspace is the person who types in their own one.
#[tokio::test]
async fn a_watch_that_began_on_a_colleagues_card_is_stopped_on_an_own_one() {
    with_store("", async |app| {
        let card = app.command(SHOW).await;
        let (for_all, _) = share(app, &card).await;
        app.person = Person {
            team: "T0002ABCD".to_owned(),
            user: "U0COLLEAGUE".to_owned(),
            organisation_wide: true,
            ..Person::default()
        };
        app.press(&for_all, "watch").await;
        let own = app.command(SHOW).await;
        let stopped = app.press_with_value(&own, "unwatch", &value_of(&own, "refresh")).await;
        assert!(
            plain::text(&stopped.message).contains("Stopped watching"),
            "{stopped:?}"
        );
    })
    .await;
}

#[tokio::test]
async fn stopping_what_is_not_watched_confirms_nothing() {
    with_store("", async |app| {
        let card = app.command(&SHOW.replace("/sandbox", "/sandbox watch")).await;
        let stop = value_of(&card, "unwatch");
        let stopped = app.press(&card, "unwatch").await;
        assert!(
            plain::text(&stopped.message).contains("Stopped watching"),
            "{stopped:?}"
        );
        let again = app.press_with_value(&stopped, "unwatch", &stop).await;
        let text = plain::text(&again.message);
        assert!(text.contains("You are not watching this session."), "{text}");
        assert!(!text.contains("Stopped watching"), "{text}");
        app.next_kapso_response(404, r#"{"error":"not found"}"#);
        let again = app.press_with_value(&stopped, "unwatch", &stop).await;
        let text = plain::text(&again.message);
        assert!(text.starts_with("You are not watching the session"), "{text}");
        let outcomes: Vec<_> = app.wait_for_commands(4).await;
        let outcomes: Vec<_> = outcomes.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
        assert_eq!(outcomes, ["watching", "unwatched", "not_watched", "not_watched"]);
    })
    .await;
}

#[tokio::test]
async fn the_channel_is_read_from_the_container_if_it_is_nowhere_else() {
    for (channels, admitted) in [("C2147483705", true), ("C0OTHER", false)] {
        test_app()
            .with("ALLOWED_CHANNELS", channels)
            .with("ALLOWED_TEAMS", "")
            .without_cache()
            .run(async |app| {
                app.person.channel = channels.to_owned();
                let card = app.command(SHOW).await;
                app.person.channel = "C2147483705".to_owned();
                let without_channel: [fn(&mut Value); 3] = [
                    |payload| drop(payload.as_object_mut().unwrap().remove("channel")),
                    |payload| payload["channel"] = Value::Null,
                    |payload| payload["channel"] = json!({"id": null, "name": "x"}),
                ];
                for shape in without_channel {
                    let answer = app.press_with_payload(&card, "refresh", shape).await;
                    assert_eq!(answer.id == card.id, admitted, "{channels}: {answer:?}");
                }
            })
            .await;
    }
}

fn value_of(posted: &PostedMessage, action_id: &str) -> String {
    kapso_slack::demo::rules::buttons(&posted.message)
        .find(|button| button["action_id"] == action_id)
        .and_then(|button| button["value"].as_str())
        .unwrap_or_else(|| panic!("no button {action_id}: {posted:?}"))
        .to_owned()
}

async fn with_store(teams: &str, test: impl AsyncFnOnce(&mut TestApp)) {
    test_app()
        .with("ALLOWED_TEAMS", teams)
        .without_cache()
        .run(async |app| {
            app.wait_for_store().await;
            test(app).await;
        })
        .await;
}
