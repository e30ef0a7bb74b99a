//! Several Kapso projects: which one answers, that messages name it, and that no place learns of another's.

use jiff::SignedDuration;
use kapso_slack::demo::{Person, PostedMessage, plain};
use serde_json::{Value, json};

use crate::support::button_values::session_value;
use crate::support::creation::NEW;
use crate::support::qr_scanner::Picture;
use crate::support::{ID, TestApp, TestAppBuilder, test_app, with_app};

const SUPPORT_CHANNEL: &str = "C0SUPPORT1";
const STAGING_CHANNEL: &str = "C0STAGING1";
const SUPPORT: (&str, &str) = ("support", r#"channels = ["C0SUPPORT1", "C0COMMON01"]"#);
const STAGING: (&str, &str) = ("staging", r#"channels = ["C0STAGING1", "C0COMMON01"]"#);

/// Two projects, each in a channel of its own, and both in a third one.
fn two_projects() -> TestAppBuilder {
    test_app().with_projects([SUPPORT, STAGING])
}

/// Runs a test with a session of the same id in each project, whose agents have the names of the projects.
async fn with_two_projects(builder: TestAppBuilder, test: impl AsyncFnOnce(&mut TestApp)) {
    builder
        .run(async |app| {
            app.other_projects[0].add_session(ID);
            app.kapso
                .set_field(ID, "agent", json!({"id": "agent-123abc", "name": "Zebra of support"}));
            app.other_projects[0].set_field(ID, "agent", json!({"id": "agent-123abc", "name": "Lion of staging"}));
            test(app).await;
        })
        .await;
}

fn at(channel: &str) -> Person {
    Person {
        channel: channel.to_owned(),
        ..Person::default()
    }
}

async fn message(app: &TestApp, channel: &str, command: &str) -> PostedMessage {
    let sent = app.send_as(&at(channel), command).await;
    sent.message.unwrap_or_else(|| panic!("no direct answer to {command}"))
}

async fn text(app: &TestApp, channel: &str, command: &str) -> String {
    plain::text(&message(app, channel, command).await.message)
}

/// Presses the `nth` button with this action id, from a channel.
async fn press(app: &TestApp, on: &PostedMessage, channel: &str, action: &str, nth: usize) -> PostedMessage {
    let value = kapso_slack::demo::rules::buttons(&on.message)
        .filter(|button| button["action_id"] == action)
        .nth(nth)
        .unwrap_or_else(|| panic!("no button {action} {nth} on {}", on.message))["value"]
        .clone();
    let change = |payload: &mut Value| {
        payload["channel"]["id"] = channel.into();
        payload["container"]["channel_id"] = channel.into();
        payload["actions"][0]["value"] = value;
    };
    app.press_with_payload(on, action, change).await
}

#[tokio::test]
async fn the_same_command_shows_the_session_of_each_channels_project() {
    with_two_projects(two_projects(), async |app| {
        let show = format!("/sandbox {ID}");
        let support = text(app, SUPPORT_CHANNEL, &show).await;
        assert!(
            support.contains("Zebra of support") && support.contains("Project support"),
            "{support}"
        );
        let staging = text(app, STAGING_CHANNEL, &show).await;
        assert!(
            staging.contains("Lion of staging") && staging.contains("Project staging"),
            "{staging}"
        );
        assert!(
            !support.contains("staging") && !staging.contains("support"),
            "{support} {staging}"
        );

        let question = message(app, "C0COMMON01", &show).await;
        let read = plain::text(&question.message);
        assert!(
            read.starts_with("Which Kapso project do you mean? You can use @staging, @support here."),
            "{read}"
        );
        let card = press(app, &question, "C0COMMON01", "run", 1).await;
        let read = plain::text(&card.message);
        assert!(read.contains("Zebra of support"), "{read}");
        assert_eq!(card.message["replace_original"], true, "it replaces the question");
        assert_eq!(app.kapso.requests().len(), 1, "cached");

        let nowhere = text(app, "C0OTHER001", &show).await;
        assert!(nowhere.starts_with("No Kapso project can be used here."), "{nowhere}");
        let lines = app.wait_for_commands(5).await;
        let logged: Vec<_> = lines.iter().map(|line| (&line["project"], &line["outcome"])).collect();
        assert_eq!(
            logged,
            [
                (&json!("support"), &json!("shown")),
                (&json!("staging"), &json!("shown")),
                (&Value::Null, &json!("asked_project")),
                (&json!("support"), &json!("shown")),
                (&Value::Null, &json!("project_unavailable")),
            ]
        );
    })
    .await;
}

#[tokio::test]
async fn a_project_can_be_named_anywhere_in_the_command() {
    with_two_projects(two_projects(), async |app| {
        for command in [
            format!("/sandbox @support {ID}"),
            format!("/sandbox {ID} @support"),
            format!("/sandbox show @Support {ID}"),
            format!("/sandbox show {ID} `@support`"),
            format!("/sandbox *@support*, {ID}"),
            format!("/sandbox ＠support {ID} @support"),
            format!("/sandbox \u{200b}@support show {ID}"),
        ] {
            let read = text(app, "C0COMMON01", &command).await;
            assert!(read.contains("Zebra of support"), "{command}: {read}");
        }
        let both = text(app, "C0COMMON01", &format!("/sandbox @support @staging {ID}")).await;
        assert!(both.starts_with("Please name only one Kapso project."), "{both}");
        let help = text(app, "C0COMMON01", "/sandbox help @support").await;
        assert!(help.contains("/sandbox @support list"), "{help}");
    })
    .await;
}

#[tokio::test]
async fn a_project_that_may_not_be_used_here_is_as_one_that_does_not_exist() {
    with_two_projects(two_projects(), async |app| {
        for command in ["{ID}", "list", "help", "watch {ID}", "nonsense ?"] {
            let command = command.replace("{ID}", ID);
            let hidden = text(app, SUPPORT_CHANNEL, &format!("/sandbox @staging {command}")).await;
            let unknown = text(app, SUPPORT_CHANNEL, &format!("/sandbox @nothing {command}")).await;
            assert!(
                hidden.starts_with("There is no project @staging here. You can use @support."),
                "{hidden}"
            );
            assert_eq!(hidden.replace("staging", "nothing"), unknown);
        }
        assert_eq!(app.other_projects[0].requests(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_button_works_only_where_its_project_may_be_used() {
    with_two_projects(two_projects().with_public_url().without_cache(), async |app| {
        let card = message(app, SUPPORT_CHANNEL, &format!("/sandbox {ID}")).await;
        let before = app.kapso.requests().len();
        for action in ["refresh", "watch", "share", "qr"] {
            let refused = press(app, &card, STAGING_CHANNEL, action, 0).await;
            let read = plain::text(&refused.message);
            assert!(
                read.starts_with("The Kapso project that this was about can no longer be used here"),
                "{action}: {read}"
            );
            assert!(!read.contains("support"), "{read}");
            assert_eq!(refused.message["replace_original"], false, "{action}");
        }
        assert_eq!(app.kapso.requests().len(), before, "Kapso is not asked");
        assert_eq!(app.other_projects[0].requests(), Vec::<String>::new());
        for line in app.wait_for_commands(5).await.iter().skip(1) {
            assert_eq!(line["project"], Value::Null, "{line}");
        }
        let refreshed = press(app, &card, SUPPORT_CHANNEL, "refresh", 0).await;
        assert!(plain::text(&refreshed.message).contains("Zebra of support"));
    })
    .await;
}

#[tokio::test]
async fn buttons_from_before_there_were_several_projects_work_with_one_only() {
    test_app()
        .with_projects([("support", "")])
        .run(async |app| {
            let card = app.command(&format!("/sandbox {ID}")).await;
            let again = app.press_with_value(&card, "refresh", &session_value(ID)).await;
            assert!(plain::text(&again.message).contains("Waiting for activation"));
        })
        .await;
    with_two_projects(two_projects(), async |app| {
        let card = message(app, SUPPORT_CHANNEL, &format!("/sandbox {ID}")).await;
        app.person = at(SUPPORT_CHANNEL);
        let old = app.press_with_value(&card, "refresh", &session_value(ID)).await;
        let read = plain::text(&old.message);
        assert!(read.starts_with("This button is too old"), "{read}");
    })
    .await;
}

#[tokio::test]
async fn with_one_project_nothing_of_projects_is_seen() {
    let commands = [
        format!("/sandbox {ID}"),
        "/sandbox list".to_owned(),
        "/sandbox help".to_owned(),
    ];
    let messages = async |builder: TestAppBuilder| {
        let mut seen = Vec::new();
        builder
            .run(async |app| {
                for command in &commands {
                    seen.push(app.command_text(command).await);
                }
            })
            .await;
        seen
    };
    let in_file = messages(test_app().with_projects([("support", "")])).await;
    assert_eq!(in_file, messages(test_app()).await);
    assert!(in_file.iter().all(|text| !text.contains("Project")), "{in_file:?}");
}

#[tokio::test]
async fn a_list_turns_the_pages_of_its_project() {
    with_two_projects(two_projects(), async |app| {
        for n in 0..12 {
            app.other_projects[0].add_session(&format!("staging-{n}"));
        }
        let list = message(app, STAGING_CHANNEL, "/sandbox list").await;
        assert!(plain::text(&list.message).contains("Page 1 of 2"), "{list:?}");
        let next = press(app, &list, STAGING_CHANNEL, "page", 0).await;
        let read = plain::text(&next.message);
        assert!(
            read.contains("Page 2 of 2") && read.contains("Project staging"),
            "{read}"
        );
        let shown = press(app, &next, STAGING_CHANNEL, "show", 0).await;
        assert!(plain::text(&shown.message).contains("Project staging"), "{shown:?}");
        assert_eq!(app.kapso.requests(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn a_notification_is_about_the_watched_project() {
    with_two_projects(two_projects(), async |app| {
        app.wait_for_store().await;
        let watch = format!("/sandbox watch {ID}");
        let support = message(app, SUPPORT_CHANNEL, &watch).await;
        let staging = message(app, STAGING_CHANNEL, &watch).await;
        app.other_projects[0].activate(ID);
        app.advance_clock(SignedDuration::from_secs(30));
        let news = app.news(&staging, 1).await;
        let read = plain::text(&news.message);
        assert!(
            read.contains("Lion of staging") && read.contains("Project staging"),
            "{read}"
        );
        assert_eq!(app.wait_for_log("notice").await["project"], "staging");
        // The other watch goes on.
        app.kapso.activate(ID);
        app.advance_clock(SignedDuration::from_secs(30));
        let news = app.news(&support, 2).await;
        assert!(plain::text(&news.message).contains("Zebra of support"), "{news:?}");
    })
    .await;
}

#[tokio::test]
async fn a_qr_code_is_one_of_its_project() {
    with_two_projects(two_projects().with_public_url(), async |app| {
        app.kapso
            .set_field(ID, "activation_link", "https://wa.me/12345678901?text=SUPPRT".into());
        app.other_projects[0].set_field(ID, "activation_link", "https://wa.me/12345678901?text=STAGNG".into());
        for (channel, code) in [(SUPPORT_CHANNEL, "SUPPRT"), (STAGING_CHANNEL, "STAGNG")] {
            let card = message(app, channel, &format!("/sandbox {ID}")).await;
            let qr = press(app, &card, channel, "qr", 0).await;
            let read = plain::text(&qr.message);
            assert!(read.contains(code), "{read}");
            let blocks = qr.message["blocks"].as_array().unwrap();
            let image = blocks.iter().find(|block| block["type"] == "image").unwrap();
            let address = image["image_url"].as_str().unwrap();
            let png = app.http.get(address).send().await.unwrap().bytes().await.unwrap();
            assert!(Picture::of(&png).scan()[0].contains(code), "{address}");
            // The same path under another project has no valid signature.
            let other = address.replace("/support.", "/x.").replace("/staging.", "/support.");
            assert_eq!(app.http.get(other).send().await.unwrap().status(), 403);
        }
    })
    .await;
}

#[tokio::test]
async fn each_project_has_its_own_creators_and_its_default_agent() {
    let support = r#"
        create_users = ["*"]
        default_agent = "agent-123abc""#;
    let builder = test_app().with_projects([("support", support), ("staging", ""), ("third", support)]);
    builder
        .run(async |app| {
            app.wait_for_store().await;
            let refused = app.command_text(&format!("{NEW} @staging")).await;
            assert!(refused.starts_with("You cannot create sessions here."), "{refused}");
            assert!(refused.ends_with("Project staging"), "{refused}");
            let question = app.command(NEW).await;
            let read = plain::text(&question.message);
            assert!(read.contains("@support, @third") && !read.contains("staging"), "{read}");
            let card = press(app, &question, &app.person.channel, "run", 0).await;
            assert!(plain::text(&card.message).contains("Project support"), "{card:?}");
            let again = press(app, &question, &app.person.channel, "run", 0).await;
            let read = plain::text(&again.message);
            assert!(read.contains("Do you want another one?"), "{read}");
            assert_eq!(app.kapso.create_requests().len(), 1, "once");
            // A session of another project is not offered.
            let third = press(app, &question, &app.person.channel, "run", 1).await;
            assert!(plain::text(&third.message).contains("Project third"), "{third:?}");
            assert_eq!(app.other_projects[1].create_requests().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn projects_with_one_key_share_client_and_cache() {
    two_projects()
        .set(|settings| settings.projects[1].api_key = settings.projects[0].api_key.clone())
        .run(async |app| {
            // In the order of the aliases, the first is staging, with its own key.
            let staging = &app.other_projects[0];
            staging.add_session(ID);
            text(app, SUPPORT_CHANNEL, &format!("/sandbox {ID}")).await;
            text(app, STAGING_CHANNEL, &format!("/sandbox {ID}")).await;
            assert_eq!(staging.requests().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn a_project_that_is_removed_ends_its_watches_and_buttons_with_a_sentence() {
    with_two_projects(two_projects(), async |app| {
        app.wait_for_store().await;
        let watch = message(app, STAGING_CHANNEL, &format!("/sandbox watch {ID}")).await;
        app.reload_projects(&[SUPPORT]);
        app.advance_clock(SignedDuration::from_mins(2));
        let end = app.news(&watch, 1).await;
        let read = plain::text(&end.message);
        assert_eq!(
            read,
            "The Kapso project of this session can no longer be used here, so I've stopped watching it."
        );
        let pressed = press(app, &watch, STAGING_CHANNEL, "refresh", 0).await;
        let read = plain::text(&pressed.message);
        assert!(read.starts_with("The Kapso project that this was about"), "{read}");
        let line = app.wait_for_log("notice").await;
        assert_eq!(
            (&line["news"], &line["session_id"]),
            (&json!("project_unavailable"), &Value::Null)
        );
    })
    .await;
}

#[tokio::test]
async fn a_late_reply_of_a_removed_project_is_a_sentence() {
    with_two_projects(two_projects().with_short_budget(), async |app| {
        use kapso_slack::demo::Fault;
        app.other_projects[0].fail_next_request(Fault::Stall);
        app.person = at(STAGING_CHANNEL);
        let exchange = app.expect_ack_only(&format!("/sandbox {ID}")).await;
        app.other_projects[0].wait_for_requests(1).await;
        app.reload_projects(&[SUPPORT]);
        app.other_projects[0].release_stalled_requests();
        // What was authorised when it began is still answered.
        let reply = app.late_reply(exchange).await;
        assert!(plain::text(&reply.message).contains("Lion of staging"), "{reply:?}");
        let sent = app.send(&format!("/sandbox {ID}")).await;
        let read = plain::text(&sent.message.unwrap().message);
        assert!(read.starts_with("No Kapso project can be used here."), "{read}");
    })
    .await;
}

#[tokio::test]
async fn metrics_name_the_project() {
    with_two_projects(two_projects(), async |app| {
        text(app, SUPPORT_CHANNEL, &format!("/sandbox {ID}")).await;
        let page = app.metrics().await;
        for line in [
            "kapso_slack_kapso_rate_limit_left{project=\"support\"} 99",
            "kapso_slack_kapso_rate_limit_left{project=\"staging\"} 100",
        ] {
            assert!(page.contains(line), "{page}");
        }
    })
    .await;
    with_app(async |app| assert!(app.metrics().await.contains("\nkapso_slack_watches 0\n"))).await;
}
