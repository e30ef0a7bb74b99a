//! A job is run by one worker at a time, survives its worker, and leaves no data when it is done.

use std::collections::HashSet;
use std::fs;

use futures_util::future::join_all;
use kapso_slack::config::DatabaseUrl;
use kapso_slack::db::Database;
use kapso_slack::dispatch::LateReply;
use kapso_slack::queue::{ClaimFilter, Job, JobRows, Payload, QueueStats, Quota, WorkerId};
use kapso_slack::watches::Watch;
use secrecy::ExposeSecret;

use crate::support::databases::{
    Folder, LEASE, URL, USER, add_watch, at, claim, claim_one, late, on_both_databases, watch,
};

/// Claims up to `limit` jobs at a time until none is left, and returns them.
async fn drain(store: JobRows, limit: u32) -> Vec<Job<LateReply>> {
    let worker = WorkerId::random();
    let mut claimed_jobs = Vec::new();
    loop {
        let claimed = store
            .claim(&ClaimFilter::due(at(300), limit), &worker, at(300), at(300) + LEASE)
            .await
            .unwrap();
        if claimed.jobs.is_empty() {
            return claimed_jobs;
        }
        claimed_jobs.extend(claimed.jobs.into_iter().map(|claimed| claimed.job));
    }
}

#[tokio::test]
async fn concurrent_workers_claim_each_job_once() {
    for limit in [1, 7] {
        on_both_databases(async |database| {
            let replicas = database.replicas(8).await;
            database.slow_down().await;
            for due in 0..200 {
                replicas[0].insert(&late(due), None).await.unwrap();
            }
            let claimed_jobs = join_all(replicas.into_iter().map(|store| drain(store, limit)))
                .await
                .concat();
            let different: HashSet<_> = claimed_jobs.iter().map(|job| job.id.clone()).collect();
            assert_eq!((claimed_jobs.len(), different.len()), (200, 200), "{limit} at a time");
            assert!(claimed_jobs.iter().all(|job| job.attempts == 1));
        })
        .await;
    }
}

#[tokio::test]
async fn every_concurrent_claim_gets_a_job_while_there_are_enough() {
    on_both_databases(async |database| {
        let replicas = database.replicas(8).await;
        database.slow_down().await;
        for due in 0..200 {
            replicas[0].insert(&late(due), None).await.unwrap();
        }
        let (worker, now) = (WorkerId::random(), at(300));
        let filter = ClaimFilter::due(now, 1);
        let mut different = HashSet::new();
        for round in 1..=20 {
            let claiming = replicas
                .iter()
                .map(|store| store.claim::<LateReply>(&filter, &worker, now, now + LEASE));
            for claimed in join_all(claiming).await {
                different.extend(claimed.unwrap().jobs.into_iter().map(|claimed| claimed.job.id));
            }
            assert_eq!(different.len(), 8 * round, "each claim gets one");
        }
    })
    .await;
}

#[tokio::test]
async fn an_expired_lease_passes_to_the_next_worker() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        let (first, second) = (WorkerId::random(), WorkerId::random());
        let job = late(0);
        let lost = store.insert(&job, Some((&first, at(15)))).await.unwrap().unwrap();
        assert!(claim::<LateReply>(&store, &second, 14).await.is_empty(), "it is leased");
        let (again, lease) = claim_one::<LateReply>(&store, &second, 15).await;
        assert_eq!((&again.id, again.attempts), (&job.id, 2));
        assert!(!store.renew(&lost, at(60)).await.unwrap());
        assert!(!store.save(&lost, &job.payload, at(60)).await.unwrap());
        assert!(!store.reschedule(&lost, &job.payload, at(60)).await.unwrap());
        assert!(!store.release(&lost).await.unwrap());
        assert!(!store.complete(&lost).await.unwrap());
        assert!(
            store.renew(&lease, at(60)).await.unwrap(),
            "the second lease is still valid"
        );
        assert!(claim::<LateReply>(&store, &first, 59).await.is_empty());
        assert!(store.complete(&lease).await.unwrap());
        assert!(!store.complete(&lease).await.unwrap(), "once");
        assert_eq!(
            store.stats::<LateReply>(None, at(99)).await.unwrap(),
            QueueStats::default()
        );
    })
    .await;
}

#[tokio::test]
async fn only_the_later_of_two_leases_of_one_process_is_valid() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        let worker = WorkerId::random();
        let slow = store.insert(&late(0), Some((&worker, at(15)))).await.unwrap().unwrap();
        assert!(store.renew(&slow, at(30)).await.unwrap());
        assert!(
            store.renew(&slow, at(45)).await.unwrap(),
            "expired, but not claimed by another worker"
        );
        let (_, quick) = claim_one::<LateReply>(&store, &worker, 45).await;
        assert!(!store.renew(&slow, at(90)).await.unwrap());
        assert!(store.renew(&quick, at(90)).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn released_and_rescheduled_jobs_can_be_claimed_when_due() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        let worker = WorkerId::random();
        let released = store.insert(&late(0), Some((&worker, at(15)))).await.unwrap().unwrap();
        assert!(store.release(&released).await.unwrap());
        let (mut job, lease) = claim_one::<LateReply>(&store, &worker, 0).await;
        job.payload.outgoing.posts_left = 3;
        assert!(store.save(&lease, &job.payload, at(30)).await.unwrap());
        assert!(
            claim::<LateReply>(&store, &worker, 29).await.is_empty(),
            "saving renews the lease"
        );
        assert!(store.reschedule(&lease, &job.payload, at(20)).await.unwrap());
        assert!(claim::<LateReply>(&store, &worker, 19).await.is_empty(), "not due");
        let (later, lease) = claim_one::<LateReply>(&store, &worker, 20).await;
        let outgoing = &later.payload.outgoing;
        assert_eq!((outgoing.posts_left, outgoing.response_url.expose_secret()), (3, URL));
        assert!(
            store.delete_by_id(&later.id).await.unwrap(),
            "deleted by another worker"
        );
        assert!(!store.renew(&lease, at(60)).await.unwrap(), "so it is not posted again");
    })
    .await;
}

#[tokio::test]
async fn jobs_are_claimed_longest_due_first_and_by_kind() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        let worker = WorkerId::random();
        let quota = Quota { per_owner: 9, total: 9 };
        add_watch(&store, &watch(USER, "a"), at(7), quota).await.unwrap();
        for due in [30, 10, 20] {
            store.insert(&late(due), None).await.unwrap();
        }
        let waiting = |count, due, seconds| QueueStats {
            count,
            due,
            due_in: Some(jiff::SignedDuration::from_secs(seconds)),
        };
        assert_eq!(store.stats::<LateReply>(None, at(5)).await.unwrap(), waiting(3, 0, 5));
        assert_eq!(store.stats::<Watch>(None, at(5)).await.unwrap(), waiting(1, 0, 2));
        assert_eq!(store.stats::<LateReply>(None, at(20)).await.unwrap(), waiting(3, 2, 0));
        let first = store
            .claim::<LateReply>(&ClaimFilter::due(at(25), 1), &worker, at(5), at(20))
            .await
            .unwrap()
            .jobs;
        assert_eq!(first[0].job.due_at, at(10));
        assert_eq!(
            store.stats::<LateReply>(None, at(5)).await.unwrap(),
            waiting(3, 0, 15),
            "a leased job is due when its lease ends"
        );
        let rest: Vec<_> = claim::<LateReply>(&store, &worker, 99)
            .await
            .into_iter()
            .map(|claimed| claimed.job.due_at)
            .collect();
        assert_eq!(rest, [at(10), at(20), at(30)]);
        assert_eq!(claim::<Watch>(&store, &worker, 99).await.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn jobs_survive_a_restart() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        store
            .insert(&late(0), Some((&WorkerId::random(), at(15))))
            .await
            .unwrap();
        store.database().close().await;
        store.stats::<LateReply>(None, at(0)).await.unwrap_err();
        let store = database.jobs().await;
        let (job, _) = claim_one::<LateReply>(&store, &WorkerId::random(), 15).await;
        let late = job.payload;
        assert_eq!(
            (late.who.user.as_str(), late.outgoing.received_at, job.created_at),
            (USER, at(0), at(0))
        );
    })
    .await;
}

#[tokio::test]
async fn jobs_of_later_versions_are_ignored_and_damaged_ones_are_reported() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        store.insert(&late(0), None).await.unwrap();
        store.database().close().await;
        database.run("UPDATE kapso_slack_jobs SET version = 99").await;
        let store = database.jobs().await;
        let worker = WorkerId::random();
        assert!(claim::<LateReply>(&store, &worker, 9).await.is_empty());
        assert_eq!(
            store.stats::<LateReply>(None, at(9)).await.unwrap(),
            QueueStats::default()
        );
        assert_eq!(store.delete_created_before(at(0)).await.unwrap(), 0, "not yet too old");
        assert_eq!(
            store.delete_created_before(at(1)).await.unwrap(),
            1,
            "too old for Slack"
        );

        store.insert(&late(0), None).await.unwrap();
        store.database().close().await;
        database
            .run("UPDATE kapso_slack_jobs SET payload = '{\"trigger\":'")
            .await;
        let store = database.jobs().await;
        let claimed = store
            .claim::<LateReply>(&ClaimFilter::due(at(9), 9), &worker, at(9), at(24))
            .await
            .unwrap();
        assert_eq!((claimed.jobs.len(), claimed.unreadable.len()), (0, 1));
        assert!(
            store.complete(&claimed.unreadable[0]).await.unwrap(),
            "it can be deleted"
        );
    })
    .await;
}

/// Claims every job of a kind, reschedules it, claims it again, and completes it.
async fn complete_all<P: Payload>(store: &JobRows, worker: &WorkerId) {
    for claimed in claim::<P>(store, worker, 99).await {
        let payload = &claimed.job.payload;
        assert!(store.reschedule(&claimed.lease, payload, at(100)).await.unwrap());
    }
    for claimed in claim::<P>(store, worker, 100).await {
        assert!(store.complete(&claimed.lease).await.unwrap());
    }
}

/// Whether any file of the folder contains the response URL or the user id.
fn contains_planted(folder: &Folder) -> bool {
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
    let database = Database::open(&DatabaseUrl::file(folder.join("jobs.db")))
        .await
        .unwrap();
    let store = JobRows::new(database.clone());
    let quota = Quota {
        per_owner: 99,
        total: 99,
    };
    let worker = WorkerId::random();
    for due in 0..50 {
        store.insert(&late(due), None).await.unwrap();
        let watch = watch(USER, &format!("s{due}"));
        add_watch(&store, &watch, at(due), quota).await.unwrap();
    }
    assert!(contains_planted(&folder), "pending jobs contain them");
    complete_all::<LateReply>(&store, &worker).await;
    complete_all::<Watch>(&store, &worker).await;
    store.delete_created_before(at(0)).await.unwrap();
    assert!(!contains_planted(&folder), "while the store is open");
    database.close().await;
    assert!(!contains_planted(&folder), "nor afterwards");
    assert_eq!(
        fs::read_dir(&*folder).unwrap().count(),
        1,
        "only the database file is left"
    );
}

#[tokio::test]
async fn a_finished_job_leaves_no_row() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        let quota = Quota { per_owner: 9, total: 9 };
        add_watch(&store, &watch(USER, "a"), at(0), quota).await.unwrap();
        add_watch(&store, &watch(USER, "b"), at(0), quota).await.unwrap();
        store.insert(&late(0), None).await.unwrap();
        let worker = WorkerId::random();
        complete_all::<LateReply>(&store, &worker).await;
        complete_all::<Watch>(&store, &worker).await;
        store.database().close().await;
        assert_eq!(database.number("SELECT count(*) FROM kapso_slack_jobs").await, 0);
    })
    .await;
}
