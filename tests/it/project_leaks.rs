//! For any configuration, place, person and input: no reply, notification, log line or address of a QR code carries data
//! of a project that may not be used there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use kapso_slack::demo::rules::buttons;
use kapso_slack::demo::{FakeKapso, Person, PostedMessage};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::support::{TestApp, test_app};

/// Words that occur nowhere else, so that a text that contains one is about that project.
const ALIASES: [&str; 3] = ["zebraproject", "lionproject", "ottersproject"];
const CHANNELS: [&str; 3] = ["C00000001", "C00000002", "C00000003"];
const TEAMS: [&str; 2] = ["T00000001", "T00000002"];
const USERS: [&str; 2] = ["U00000001", "U00000002"];
/// Each is an app of its own.
const CONFIGURATIONS: usize = 24;
const STEPS: usize = 12;

/// Where a project may be used, and who may create sessions in it.
#[derive(Clone, Debug)]
struct Project {
    alias: &'static str,
    channels: Option<Vec<&'static str>>,
    teams: Option<Vec<&'static str>>,
    creators: Vec<&'static str>,
}

impl Project {
    fn keys(&self) -> String {
        let list = |key: &str, ids: &Option<Vec<&str>>| match ids {
            Some(ids) => format!("{key} = {}\n", json!(ids)),
            None => String::new(),
        };
        let creators = Some(self.creators.clone()).filter(|creators| !creators.is_empty());
        format!(
            "{}{}{}default_agent = \"agent-123abc\"\n",
            list("channels", &self.channels),
            list("teams", &self.teams),
            list("create_users", &creators)
        )
    }

    /// What the documentation says, in other words than the code.
    fn may_be_used_by(&self, person: &Person) -> bool {
        let channel = self.channels.as_ref();
        let teams = self.teams.as_ref();
        let member_of = [Some(&person.team), person.home_team.as_ref()];
        channel.is_none_or(|channels| channels.contains(&&*person.channel))
            && member_of
                .into_iter()
                .flatten()
                .all(|team| teams.is_none_or(|teams| teams.contains(&team.as_str())))
    }

    fn session(&self) -> String {
        format!("{}-session", self.alias)
    }

    /// Texts that are data of this project. People may type aliases and ids themselves.
    fn secrets(&self, typed: &str) -> Vec<String> {
        let mut secrets = vec![format!("Agent of {}", self.alias), format!("CODE-{}", self.alias)];
        if !typed.contains(self.alias) {
            secrets.push(self.alias.to_owned());
        }
        secrets
    }
}

fn subset(ids: &'static [&'static str]) -> impl Strategy<Value = Option<Vec<&'static str>>> {
    let some = proptest::sample::subsequence(ids, 1..=ids.len());
    proptest::option::of(some)
}

fn configuration() -> impl Strategy<Value = Vec<Project>> {
    let places = || {
        (
            subset(&CHANNELS),
            subset(&TEAMS),
            proptest::sample::subsequence(&USERS[..], 0..=2),
        )
    };
    (places(), places(), places()).prop_map(|(first, second, third)| {
        [first, second, third]
            .into_iter()
            .zip(ALIASES)
            .map(|((channels, teams, creators), alias)| Project {
                alias,
                channels,
                teams,
                creators,
            })
            .collect()
    })
}

fn somebody() -> impl Strategy<Value = Person> {
    let id = |ids: &'static [&'static str]| proptest::sample::select(ids).prop_map(str::to_owned);
    (
        id(&CHANNELS),
        id(&TEAMS),
        proptest::option::weighted(0.2, id(&TEAMS)),
        id(&USERS),
    )
        .prop_map(|(channel, team, home_team, user)| Person {
            channel,
            team,
            home_team,
            user,
            ..Person::default()
        })
}

fn typed() -> impl Strategy<Value = String> {
    let alias = || proptest::sample::select(&ALIASES[..]);
    let named =
        proptest::option::of(alias()).prop_map(|alias| alias.map_or_else(String::new, |alias| format!("@{alias}")));
    let words = prop_oneof![
        alias().prop_map(|alias| format!("{alias}-session")),
        alias().prop_map(|alias| format!("show {alias}-session")),
        alias().prop_map(|alias| format!("watch {alias}-session")),
        Just("list".to_owned()),
        Just("list 2".to_owned()),
        Just("help".to_owned()),
        Just("new +12025550123".to_owned()),
        Just("nwe +12025550123".to_owned()),
        Just(String::new()),
        "[a-z@ ]{0,12}",
    ];
    (named, words, any::<bool>()).prop_map(|(named, words, first)| {
        if first {
            format!("{named} {words}")
        } else {
            format!("{words} {named}")
        }
    })
}

struct Leaks<'a> {
    app: &'a TestApp,
    projects: &'a [Project],
    /// Lines of the log that were checked.
    logged: usize,
}

impl Leaks<'_> {
    /// Checks what a person got, and the log since the last check.
    async fn check(&mut self, person: &Person, typed: &str, message: &Value) {
        let mut seen = message.to_string();
        for address in image_addresses(message) {
            // Slack fetches it for everybody who sees the message.
            let image = self.app.http.get(&address).send().await.unwrap();
            seen.push_str(&address);
            assert!(
                image.status().is_success() || !image.status().is_server_error(),
                "{address}"
            );
        }
        let lines = self.app.all_command_lines();
        for line in &lines[self.logged..] {
            seen.push_str(&line.to_string());
        }
        self.logged = lines.len();
        for project in self.projects {
            if project.may_be_used_by(person) {
                continue;
            }
            for secret in project.secrets(typed) {
                assert!(
                    !seen.contains(&secret),
                    "{person:?} typed {typed:?} and got {secret}: {seen}"
                );
            }
        }
    }
}

impl Leaks<'_> {
    /// Checks the log lines about notifications.
    fn check_notices(&mut self) {
        let lines = self.app.all_command_lines();
        for line in &lines[self.logged..] {
            let id = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            let person = Person {
                team: id("team"),
                channel: id("channel"),
                user: id("user"),
                ..Person::default()
            };
            let hidden = self.projects.iter().filter(|project| !project.may_be_used_by(&person));
            for project in hidden {
                assert!(!line.to_string().contains(project.alias), "{line}");
            }
        }
        self.logged = lines.len();
    }
}

fn image_addresses(message: &Value) -> Vec<String> {
    let blocks = message["blocks"].as_array().cloned().unwrap_or_default();
    let addresses = blocks.iter().filter_map(|block| block["image_url"].as_str());
    addresses.map(str::to_owned).collect()
}

fn add_sessions(kapso: &FakeKapso, project: &Project) {
    let id = project.session();
    kapso.add_session(&id);
    let agent = json!({"id": "agent-123abc", "name": format!("Agent of {}", project.alias)});
    kapso.set_field(&id, "agent", agent);
    let code = format!("CODE-{}", project.alias);
    kapso.set_field(
        &id,
        "activation_link",
        format!("https://wa.me/12025550123?text={code}").into(),
    );
    kapso.set_field(&id, "activation_code", code.into());
}

#[tokio::test]
async fn nobody_gets_data_of_a_project_that_may_not_be_used_there() {
    let mut runner = TestRunner::deterministic();
    let (mut answers, mut notified) = (0, 0);
    for _ in 0..CONFIGURATIONS {
        let projects = configuration().new_tree(&mut runner).unwrap().current();
        let keys: Vec<_> = projects.iter().map(|project| (project.alias, project.keys())).collect();
        let steps: Vec<_> = (0..STEPS)
            .map(|_| {
                let step = (somebody(), typed(), somebody(), any::<usize>());
                step.new_tree(&mut runner).unwrap().current()
            })
            .collect();
        test_app()
            .with_public_url()
            .with_projects(keys.iter().map(|(alias, keys)| (*alias, keys.as_str())))
            .run(async |app| {
                app.wait_for_store().await;
                for (project, kapso) in projects.iter().zip([&app.kapso].into_iter().chain(&app.other_projects)) {
                    add_sessions(kapso, project);
                }
                let mut leaks = Leaks {
                    app,
                    projects: &projects,
                    logged: 0,
                };
                // Who watches what: workspace, person, project.
                let mut watches: BTreeSet<String> = BTreeSet::new();
                let mut people: BTreeMap<u64, (Person, String)> = BTreeMap::new();
                let mut record = |person: &Person, typed: &str, posted: &PostedMessage| {
                    people.insert(posted.exchange, (person.clone(), typed.to_owned()));
                    let words = posted.message.to_string();
                    let about = ALIASES
                        .iter()
                        .find(|alias| words.contains(&format!("Agent of {alias}")));
                    let key = format!("{}/{}/{about:?}", person.team, person.user);
                    if words.contains("Watching until") {
                        watches.insert(key);
                    } else if words.contains("Stopped watching") {
                        watches.remove(&key);
                    }
                };
                for (person, typed, other, nth) in &steps {
                    // Slack names another company's workspace in presses only.
                    let person = &Person {
                        home_team: None,
                        ..person.clone()
                    };
                    let sent = app.send_as(person, &format!("/sandbox {typed}")).await;
                    let message = sent.message.expect("Kapso is quick");
                    app.wait_for_commands(leaks.logged + 1).await;
                    leaks.check(person, typed, &message.message).await;
                    record(person, typed, &message);
                    answers += 1;
                    let with_values: Vec<_> = buttons(&message.message)
                        .filter(|button| button["value"].is_string())
                        .cloned()
                        .collect();
                    let Some(button) = with_values.get(nth % with_values.len().max(1)) else {
                        continue;
                    };
                    // Somebody else, somewhere else, who cannot have typed the words of the message.
                    let change = |payload: &mut Value| {
                        payload["channel"]["id"] = other.channel.clone().into();
                        payload["container"]["channel_id"] = other.channel.clone().into();
                        payload["team"]["id"] = other.team.clone().into();
                        let home = other.home_team.as_ref().unwrap_or(&other.team);
                        payload["user"]["team_id"] = home.clone().into();
                        payload["user"]["id"] = other.user.clone().into();
                        payload["actions"][0]["value"] = button["value"].clone();
                    };
                    let action = button["action_id"].as_str().unwrap();
                    let pressed = app.press_with_payload(&message, action, change).await;
                    app.wait_for_commands(leaks.logged + 1).await;
                    // A button may carry what was typed.
                    leaks.check(other, typed, &pressed.message).await;
                    answers += 1;
                    record(other, typed, &pressed);
                }
                for kapso in [&app.kapso].into_iter().chain(&app.other_projects) {
                    for id in kapso.sessions().into_keys() {
                        kapso.activate(&id);
                    }
                }
                app.advance_clock(SignedDuration::from_secs(40));
                app.wait_for_log_lines("\"message\":\"notice\"", watches.len()).await;
                notified += watches.len();
                leaks.check_notices();
                for posted in app.slack.conversation() {
                    let (person, typed) = &people[&posted.exchange];
                    leaks.check(person, typed, &posted.message).await;
                }
            })
            .await;
    }
    assert!(answers > CONFIGURATIONS * STEPS, "{answers}");
    assert!(notified >= 10, "{notified}");
}
