//! Who may use the app, and where: the operator's lists, asked again at every command and every press.

use insta::assert_snapshot;
use kapso_slack::demo::Person;

use crate::support::cards::{expect_private_reply, shared_card};
use crate::support::{ID, TestAppBuilder, test_app};

const TEAM: &str = "T0001ABCD";
const CHANNEL: &str = "C2147483705";
const USER: &str = "U2147483697";
const REFUSED: &str = "You cannot use this here.";

/// Lists, who asks, and whether they may.
type Row = (&'static [(&'static str, &'static str)], fn() -> Person, bool);

const ROWS: &[Row] = &[
    // One list each.
    (&[("ALLOWED_TEAMS", TEAM)], Person::default, true),
    (&[("ALLOWED_TEAMS", "T0OTHER, T0001ABCD ,")], Person::default, true),
    (&[("ALLOWED_TEAMS", "T0OTHER")], Person::default, false),
    (&[("ALLOWED_TEAMS", TEAM)], || of_team("T0001ABC"), false),
    (&[("ALLOWED_TEAMS", TEAM)], || of_team("T0001ABCDE"), false),
    (&[("ALLOWED_TEAMS", TEAM)], || of_team("t0001abcd"), false),
    (&[("ALLOWED_TEAMS", TEAM)], || of_team("T0001ABCD,T0OTHER"), false),
    (&[("ALLOWED_TEAMS", TEAM)], || of_team(""), false),
    (&[("ALLOWED_CHANNELS", CHANNEL)], Person::default, true),
    (
        &[("ALLOWED_CHANNELS", "C0OTHER,G0PRIVATE,D0DIRECT")],
        Person::default,
        false,
    ),
    (
        &[("ALLOWED_CHANNELS", "C0OTHER,G0PRIVATE,D0DIRECT")],
        || in_channel("D0DIRECT"),
        true,
    ),
    (&[("ALLOWED_CHANNELS", CHANNEL)], || in_channel(""), false),
    (&[("ALLOWED_USERS", USER)], Person::default, true),
    (&[("ALLOWED_USERS", "U0OTHER,W0OTHER")], Person::default, false),
    (&[("ALLOWED_USERS", "U0OTHER,W0OTHER")], || called("W0OTHER"), true),
    (&[("ALLOWED_USERS", USER)], || called(""), false),
    // An organisation's id stands for all its workspaces, also where Slack names none.
    (&[("ALLOWED_TEAMS", "E0001")], || of_organisation(TEAM, "E0001"), true),
    (&[("ALLOWED_TEAMS", "E0001")], || of_organisation("", "E0001"), true),
    (&[("ALLOWED_TEAMS", "E0001")], || of_organisation(TEAM, "E0002"), false),
    (&[("ALLOWED_TEAMS", "E0001")], Person::default, false),
    (
        &[("ALLOWED_TEAMS", "E0001,T0001ABCD")],
        || of_organisation(TEAM, "E0002"),
        true,
    ),
    // Blank is unset.
    (
        &[
            ("ALLOWED_TEAMS", " "),
            ("ALLOWED_CHANNELS", ""),
            ("ALLOWED_USERS", "\t"),
        ],
        Person::default,
        true,
    ),
    // Together: whoever asks must be on each.
    (
        &[
            ("ALLOWED_TEAMS", TEAM),
            ("ALLOWED_CHANNELS", CHANNEL),
            ("ALLOWED_USERS", USER),
        ],
        Person::default,
        true,
    ),
    (
        &[("ALLOWED_TEAMS", TEAM), ("ALLOWED_CHANNELS", "C0OTHER")],
        Person::default,
        false,
    ),
    (
        &[("ALLOWED_TEAMS", TEAM), ("ALLOWED_USERS", "U0OTHER")],
        Person::default,
        false,
    ),
    (
        &[("ALLOWED_CHANNELS", CHANNEL), ("ALLOWED_USERS", "U0OTHER")],
        Person::default,
        false,
    ),
    (
        &[("ALLOWED_CHANNELS", "C0OTHER"), ("ALLOWED_USERS", USER)],
        Person::default,
        false,
    ),
    // No id of one kind counts as another's.
    (&[("ALLOWED_USERS", "U0OTHER")], || in_channel("U0OTHER"), false),
];

#[tokio::test]
async fn people_not_on_a_list_can_use_neither_commands_nor_buttons() {
    for (row, (lists, who, may)) in ROWS.iter().enumerate() {
        let what = format!("row {row}, {lists:?}");
        listing(lists)
            .run(async |app| {
                let shared = shared_card(app, &format!("v1:{ID}"));
                app.person = who();
                if *may {
                    let typed = app.command_text(&format!("/sandbox {ID}")).await;
                    assert!(typed.contains("Waiting for activation"), "{what}: {typed}");
                    let fresh = app.press(&shared, "refresh").await;
                    assert_eq!(fresh.id, shared.id, "{what}");
                } else {
                    for command in [
                        format!("/sandbox {ID}"),
                        "/sandbox help".to_owned(),
                        "/sandbox".to_owned(),
                    ] {
                        let typed = app.command(&command).await.message;
                        assert_eq!(typed["response_type"], "ephemeral", "{what}");
                        assert!(typed["text"].as_str().unwrap().starts_with(REFUSED), "{what}: {typed}");
                    }
                    let answer = app.press(&shared, "refresh").await;
                    expect_private_reply(app, &shared, &answer, REFUSED);
                    assert!(app.kapso.requests().is_empty(), "{what}: Kapso was asked");
                }
            })
            .await;
    }
}

#[tokio::test]
async fn a_member_of_another_company_needs_both_companies_on_the_list() {
    for (teams, home, may) in [
        ("", "T0GUEST", true),
        (TEAM, TEAM, true),
        (TEAM, "T0GUEST", false),
        ("T0GUEST", "T0GUEST", false),
        ("T0001ABCD,T0GUEST", "T0GUEST", true),
        ("T0001ABCD,T0GUEST", "T0OTHER", false),
    ] {
        listing(&[("ALLOWED_TEAMS", teams)])
            .run(async |app| {
                let shared = shared_card(app, &format!("v1:{ID}"));
                app.person.home_team = Some(home.to_owned());
                let answer = app.press(&shared, "refresh").await;
                assert_eq!(answer.id == shared.id, may, "{teams:?}, {home}: {answer:?}");
                if !may {
                    expect_private_reply(app, &shared, &answer, REFUSED);
                    assert!(app.kapso.requests().is_empty(), "{teams:?}, {home}: Kapso was asked");
                }
            })
            .await;
    }
}

#[tokio::test]
async fn each_button_press_is_authorized_by_who_pressed() {
    listing(&[("ALLOWED_USERS", USER)])
        .run(async |app| {
            let card = app.command(&format!("/sandbox {ID}")).await;
            assert_eq!(app.press(&card, "refresh").await.id, card.id);
            let shared = shared_card(app, &format!("v1:{ID}:{USER}"));
            app.person = called("U0OTHER");
            let answer = app.press(&shared, "refresh").await;
            expect_private_reply(app, &shared, &answer, REFUSED);
            app.person = called(USER);
            assert_eq!(app.press(&shared, "refresh").await.id, shared.id);
        })
        .await;
}

#[tokio::test]
async fn the_refusal_names_allowed_people_and_channels() {
    listing(&[
        ("ALLOWED_USERS", "U0OTHER,W0BOSS"),
        ("ALLOWED_CHANNELS", "C0TESTS,G0PRIVATE"),
        ("ALLOWED_TEAMS", TEAM),
    ])
    .run(async |app| {
        let refusal = app.command("/sandbox help").await.message;
        assert_snapshot!("refusal", refusal["text"].as_str().unwrap());
        assert_eq!(refusal["blocks"][0]["text"]["text"], refusal["text"]);
    })
    .await;
    let many: Vec<String> = (0..40).map(|n| format!("U0{n:02}")).collect();
    listing(&[("ALLOWED_USERS", &many.join(","))])
        .run(async |app| {
            let refusal = app.command("/sandbox help").await.message;
            assert_snapshot!("refusal_with_many_users", refusal["text"].as_str().unwrap());
        })
        .await;
}

fn listing(lists: &[(&str, &str)]) -> TestAppBuilder {
    lists.iter().fold(test_app(), |plan, (name, ids)| plan.with(name, *ids))
}

fn of_team(id: &str) -> Person {
    Person {
        team: id.to_owned(),
        ..Person::default()
    }
}

fn of_organisation(team: &str, id: &str) -> Person {
    Person {
        enterprise: Some(id.to_owned()),
        ..of_team(team)
    }
}

fn in_channel(id: &str) -> Person {
    Person {
        channel: id.to_owned(),
        ..Person::default()
    }
}

fn called(id: &str) -> Person {
    Person {
        user: id.to_owned(),
        ..Person::default()
    }
}
