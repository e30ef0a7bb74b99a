//! A job is worked on by one at a time, survives its worker, and leaves nothing behind.

use std::collections::HashSet;
use std::fs;

use futures_util::future::join_all;
use kapso_slack::config::DatabaseUrl;
use kapso_slack::jobs::{Caps, Job, Kind, Line, QueueStats, Payload, Store, Wanted, Worker};
use secrecy::ExposeSecret;

use crate::support::databases::{Folder, LEASE, URL, USER, at, claim, claim_one, late, on_both, watch};

/// Claims until there is nothing left, a few at a time, and finishes what it got.
async fn drain(store: Store, a_time: u32) -> Vec<Job> {
    let worker = Worker::random();
    let mut got = Vec::new();
    loop {
        let claimed = store
            .claim(
                &Wanted::due(Kind::Late, at(300), a_time),
                &worker,
                at(300),
                at(300) + LEASE,
            )
            .await
            .unwrap();
        if claimed.jobs.is_empty() {
            return got;
        }
        got.extend(claimed.jobs.into_iter().map(|held| held.job));
    }
}

#[tokio::test]
async fn of_8_who_claim_200_jobs_at_once_each_job_goes_to_one() {
    for a_time in [1, 7] {
        on_both(async |database| {
            let replicas = database.replicas(8).await;
            database.slow_down().await;
            for due in 0..200 {
                replicas[0].add(&late(due), None).await.unwrap();
            }
            let got = join_all(replicas.into_iter().map(|store| drain(store, a_time)))
                .await
                .concat();
            let different: HashSet<_> = got.iter().map(|job| job.id.clone()).collect();
            assert_eq!((got.len(), different.len()), (200, 200), "{a_time} at a time");
            assert!(got.iter().all(|job| job.attempts == 1));
        })
        .await;
    }
}

#[tokio::test]
async fn nobody_who_claims_goes_away_empty_handed_while_there_is_enough() {
    on_both(async |database| {
        let replicas = database.replicas(8).await;
        database.slow_down().await;
        for due in 0..200 {
            replicas[0].add(&late(due), None).await.unwrap();
        }
        let (worker, now) = (Worker::random(), at(300));
        let wanted = Wanted::due(Kind::Late, now, 1);
        let mut different = HashSet::new();
        for round in 1..=20 {
            let claiming = replicas
                .iter()
                .map(|store| store.claim(&wanted, &worker, now, now + LEASE));
            for claimed in join_all(claiming).await {
                different.extend(claimed.unwrap().jobs.into_iter().map(|held| held.job.id));
            }
            assert_eq!(different.len(), 8 * round, "one for each");
        }
    })
    .await;
}

#[tokio::test]
async fn a_job_whose_worker_dies_goes_to_the_next_and_the_dead_one_can_do_nothing_more() {
    on_both(async |database| {
        let store = database.open().await;
        let (first, second) = (Worker::random(), Worker::random());
        let job = late(0);
        let lost = store.add(&job, Some((&first, at(15)))).await.unwrap().unwrap();
        assert!(claim(&store, Kind::Late, &second, 14).await.is_empty(), "it is leased");
        let (again, lease) = claim_one(&store, Kind::Late, &second, 15).await;
        assert_eq!((&again.id, again.attempts), (&job.id, 2));
        assert!(!store.renew(&lost, at(60)).await.unwrap());
        assert!(!store.save(&lost, &job.payload, at(60)).await.unwrap());
        assert!(!store.rearm(&lost, &job.payload, at(60)).await.unwrap());
        assert!(!store.release(&lost).await.unwrap());
        assert!(!store.finish(&lost).await.unwrap());
        assert!(
            store.renew(&lease, at(60)).await.unwrap(),
            "the second is not disturbed"
        );
        assert!(claim(&store, Kind::Late, &first, 59).await.is_empty());
        assert!(store.finish(&lease).await.unwrap());
        assert!(!store.finish(&lease).await.unwrap(), "once");
        assert_eq!(store.owed(at(99)).await.unwrap(), QueueStats::default());
    })
    .await;
}

#[tokio::test]
async fn of_two_leases_of_one_process_the_later_is_good() {
    on_both(async |database| {
        let store = database.open().await;
        let worker = Worker::random();
        let slow = store.add(&late(0), Some((&worker, at(15)))).await.unwrap().unwrap();
        assert!(store.renew(&slow, at(30)).await.unwrap());
        assert!(store.renew(&slow, at(45)).await.unwrap(), "run out, but nobody took it");
        let (_, quick) = claim_one(&store, Kind::Late, &worker, 45).await;
        assert!(!store.renew(&slow, at(90)).await.unwrap());
        assert!(store.renew(&quick, at(90)).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_job_given_back_can_be_claimed_at_once_and_one_put_off_when_its_time_comes() {
    on_both(async |database| {
        let store = database.open().await;
        let worker = Worker::random();
        let given = store.add(&late(0), Some((&worker, at(15)))).await.unwrap().unwrap();
        assert!(store.release(&given).await.unwrap());
        let (mut job, lease) = claim_one(&store, Kind::Late, &worker, 0).await;
        let Payload::Late(content) = &mut job.payload else {
            panic!("a late answer");
        };
        content.uses_left = 3;
        assert!(store.save(&lease, &job.payload, at(30)).await.unwrap());
        assert!(
            claim(&store, Kind::Late, &worker, 29).await.is_empty(),
            "saving holds on to the lease"
        );
        assert!(store.rearm(&lease, &job.payload, at(20)).await.unwrap());
        assert!(claim(&store, Kind::Late, &worker, 19).await.is_empty(), "not due");
        let (later, lease) = claim_one(&store, Kind::Late, &worker, 20).await;
        let Payload::Late(content) = later.payload else {
            panic!("a late answer");
        };
        assert_eq!((content.uses_left, content.response_url.expose_secret()), (3, URL));
        assert!(store.forget(&later.id).await.unwrap(), "delivered on another way");
        assert!(!store.renew(&lease, at(60)).await.unwrap(), "so nobody posts it again");
    })
    .await;
}

#[tokio::test]
async fn the_longest_due_comes_first_and_each_kind_by_itself() {
    on_both(async |database| {
        let store = database.open().await;
        let worker = Worker::random();
        let caps = Caps { mine: 9, all: 9 };
        store.add_watch(&watch(USER, "a"), at(7), caps).await.unwrap();
        for due in [30, 10, 20] {
            store.add(&late(due), None).await.unwrap();
        }
        let waiting = |count, due, seconds| Line {
            count,
            due,
            due_in: Some(jiff::SignedDuration::from_secs(seconds)),
        };
        let owed = store.owed(at(5)).await.unwrap();
        assert_eq!((owed.late, owed.watches), (waiting(3, 0, 5), waiting(1, 0, 2)));
        assert_eq!(store.owed(at(20)).await.unwrap().late, waiting(3, 2, 0));
        let first = store
            .claim(&Wanted::due(Kind::Late, at(25), 1), &worker, at(5), at(20))
            .await
            .unwrap()
            .jobs;
        assert_eq!(first[0].job.due_at, at(10));
        assert_eq!(
            store.owed(at(5)).await.unwrap().late,
            waiting(3, 0, 15),
            "a lease is waited for"
        );
        let rest: Vec<_> = claim(&store, Kind::Late, &worker, 99)
            .await
            .into_iter()
            .map(|held| held.job.due_at)
            .collect();
        assert_eq!(rest, [at(10), at(20), at(30)]);
        assert_eq!(claim(&store, Kind::Watch, &worker, 99).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_restart_keeps_every_job() {
    on_both(async |database| {
        let store = database.open().await;
        store.add(&late(0), Some((&Worker::random(), at(15)))).await.unwrap();
        store.close().await;
        store.owed(at(0)).await.unwrap_err();
        let store = database.open().await;
        let (job, _) = claim_one(&store, Kind::Late, &Worker::random(), 15).await;
        let Payload::Late(late) = job.payload else {
            panic!("a late answer");
        };
        assert_eq!(
            (late.who.user.as_str(), late.arrived_at, job.created_at),
            (USER, at(0), at(0))
        );
    })
    .await;
}

#[tokio::test]
async fn a_job_of_a_later_version_is_left_to_it_and_a_damaged_one_is_told_apart() {
    on_both(async |database| {
        let store = database.open().await;
        store.add(&late(0), None).await.unwrap();
        store.close().await;
        database.run("UPDATE kapso_slack_jobs SET version = 99").await;
        let store = database.open().await;
        let worker = Worker::random();
        assert!(claim(&store, Kind::Late, &worker, 9).await.is_empty());
        assert_eq!(store.owed(at(9)).await.unwrap(), QueueStats::default());
        assert_eq!(store.tidy(at(0)).await.unwrap(), 0, "not yet too old");
        assert_eq!(store.tidy(at(1)).await.unwrap(), 1, "too old for Slack");

        store.add(&late(0), None).await.unwrap();
        store.close().await;
        database.run("UPDATE kapso_slack_jobs SET payload = '{\"ask\":'").await;
        let store = database.open().await;
        let claimed = store
            .claim(&Wanted::due(Kind::Late, at(9), 9), &worker, at(9), at(24))
            .await
            .unwrap();
        assert_eq!((claimed.jobs.len(), claimed.unreadable.len()), (0, 1));
        assert!(store.finish(&claimed.unreadable[0]).await.unwrap(), "counted, and gone");
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_version_1_has_stored_is_read() {
    on_both(async |database| {
        let store = database.open().await;
        store.add(&late(0), None).await.unwrap();
        store.close().await;
        let older = "UPDATE kapso_slack_jobs SET version = 1, payload = replace(payload, '\"trigger\":null,', '')";
        database.run(older).await;
        let count = "SELECT count(*) FROM kapso_slack_jobs WHERE payload NOT LIKE '%trigger%'";
        assert_eq!(database.number(count).await, 1, "it knew of none");
        let store = database.open().await;
        let (job, _) = claim_one(&store, Kind::Late, &Worker::random(), 9).await;
        let Payload::Late(late) = job.payload else {
            panic!("{job:?}");
        };
        assert_eq!(late.trigger, None);
    })
    .await;
}

/// Whether any file of the folder holds one of the planted words.
fn shows(folder: &Folder) -> bool {
    let mut files = fs::read_dir(&**folder)
        .unwrap()
        .map(|file| fs::read(file.unwrap().path()).unwrap());
    files.any(|bytes| {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        [URL, USER].iter().any(|word| text.contains(word))
    })
}

#[tokio::test]
async fn a_finished_job_leaves_no_response_url_and_no_user_in_the_file() {
    let folder = Folder::new();
    let store = Store::open(&DatabaseUrl::file(folder.join("jobs.db"))).await.unwrap();
    let caps = Caps { mine: 99, all: 99 };
    let worker = Worker::random();
    for due in 0..50 {
        store.add(&late(due), None).await.unwrap();
        store
            .add_watch(&watch(USER, &format!("s{due}")), at(due), caps)
            .await
            .unwrap();
    }
    assert!(shows(&folder), "while they are owed, they are there");
    for kind in [Kind::Late, Kind::Watch] {
        for held in claim(&store, kind, &worker, 99).await {
            assert!(store.rearm(&held.lease, &held.job.payload, at(100)).await.unwrap());
        }
        for held in claim(&store, kind, &worker, 100).await {
            assert!(store.finish(&held.lease).await.unwrap());
        }
    }
    store.tidy(at(0)).await.unwrap();
    assert!(!shows(&folder), "while the store is open");
    store.close().await;
    assert!(!shows(&folder), "nor afterwards");
    assert_eq!(fs::read_dir(&*folder).unwrap().count(), 1, "the file alone is left");
}

#[tokio::test]
async fn a_finished_job_leaves_no_row() {
    on_both(async |database| {
        let store = database.open().await;
        let caps = Caps { mine: 9, all: 9 };
        store.add_watch(&watch(USER, "a"), at(0), caps).await.unwrap();
        store.add_watch(&watch(USER, "b"), at(0), caps).await.unwrap();
        store.add(&late(0), None).await.unwrap();
        for kind in [Kind::Late, Kind::Watch] {
            for held in claim(&store, kind, &Worker::random(), 0).await {
                assert!(store.finish(&held.lease).await.unwrap());
            }
        }
        store.close().await;
        assert_eq!(database.number("SELECT count(*) FROM kapso_slack_jobs").await, 0);
    })
    .await;
}
