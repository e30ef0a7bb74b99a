//! Fifty projects of a hundred watches each, in one process: all are polled, each within the limit of its key.

use std::time::Instant;

use futures_util::future::join_all;
use jiff::SignedDuration;
use kapso_slack::config::Alias;
use kapso_slack::demo::FakeKapso;
use kapso_slack::queue::Job;
use kapso_slack::watches::{QUOTA, Watch, keys};

use crate::support::databases::{Database, watch, who};
use crate::support::{START, test_app};

const PROJECTS: usize = 50;
const WATCHES: usize = 100;
/// Polls of every watch after the first one: each poll of 5,000 watches is as many writes.
const ROUNDS: usize = 1;

fn alias(project: usize) -> Alias {
    Alias::parse(&format!("project-{project:02}")).unwrap()
}

fn session(number: usize) -> String {
    format!("session-{number:03}")
}

/// Stores the watches of every project, all of them due.
async fn store_watches(database: &Database) {
    let jobs = database.jobs().await;
    for project in 0..PROJECTS {
        let alias = alias(project);
        for number in 0..WATCHES {
            let user = format!("U{project}X{number}");
            let stored = watch(&user, &session(number));
            let stored = Watch {
                origin: stored.origin.in_project(Some(&alias)),
                who: who(&user),
                session_created_at: Some(START),
                arrived_at: START,
                ..stored
            };
            let keys = keys(&stored.who, Some(&alias), &stored.session);
            let job = Job::new(stored, START, START);
            jobs.upsert(&job, &keys, QUOTA).await.unwrap();
        }
    }
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figures are for the documents")]
async fn fifty_projects_of_a_hundred_watches_share_one_process() {
    let database = Database::sqlite();
    store_watches(&database).await;
    let projects: Vec<_> = (0..PROJECTS).map(|project| alias(project).to_string()).collect();
    test_app()
        .with("DATABASE_URL", database.address.clone())
        .with_projects(projects.iter().map(|alias| (alias.as_str(), "")))
        .run(async |app| {
            let all: Vec<&FakeKapso> = [&app.kapso].into_iter().chain(&app.other_projects).collect();
            for kapso in &all {
                for number in 0..WATCHES {
                    kapso.add_session(&session(number));
                }
            }
            app.wait_for_store().await;
            let began = Instant::now();
            let polled = |count| join_all(all.iter().map(move |kapso| kapso.wait_for_requests(count)));
            polled(1).await;
            println!(
                "5,000 watches of 50 projects: all polled {:.1?} after the start",
                began.elapsed()
            );
            for round in 1..=ROUNDS {
                app.advance_clock(SignedDuration::from_secs(25));
                polled(round + 1).await;
            }
            let most = all.iter().map(|kapso| kapso.requests().len()).max().unwrap();
            println!("after 25 s, at most {most} requests of a key");
            // A list of 100 sessions is one request, so that a key needs few.
            assert!(most <= 4 * (ROUNDS + 1), "{most}");
        })
        .await;
}
