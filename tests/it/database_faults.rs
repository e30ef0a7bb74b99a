//! A database that cannot be written to reports why: it never panics, hangs, or accepts a job that it would lose.

use std::fs;
use std::future::poll_fn;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use kapso_slack::config::DatabaseUrl;
use kapso_slack::db::{Database, DatabaseError};
use kapso_slack::dispatch::LateReply;
use kapso_slack::queue::{Job, JobRows, Quota, Upserted, WorkerId};
use kapso_slack::watches::Watch;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::support::databases::{Folder, add_watch, at, claim, late, on_both_databases, watch};
use crate::support::second_process::{SecondProcess, without_privilege};

const TIMEOUT: Duration = Duration::from_secs(30);

async fn open(path: impl AsRef<Path>) -> Result<JobRows, DatabaseError> {
    let url = DatabaseUrl::file(path.as_ref());
    let opened = timeout(TIMEOUT, Database::open(&url)).await;
    opened.expect("it does not hang").map(JobRows::new)
}

#[tokio::test]
async fn a_missing_folder_or_a_folder_as_path_is_reported() {
    let folder = Folder::new();
    for path in [
        folder.join("missing/jobs.db"),
        folder.to_path_buf(),
        "/proc/jobs.db".into(),
    ] {
        let error = open(&path).await.unwrap_err();
        assert!(
            matches!(error, DatabaseError::Unopenable(_)),
            "{}: {error:?}",
            path.display()
        );
    }
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_not_changed() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    fs::write(&path, "these are my notes, and no database".repeat(200)).unwrap();
    let notes = fs::read(&path).unwrap();
    assert_eq!(open(&path).await.unwrap_err(), DatabaseError::Corrupt);
    assert_eq!(fs::read(&path).unwrap(), notes);

    fs::remove_file(&path).unwrap();
    let store = open(&path).await.unwrap();
    store.insert(&late(0), None).await.unwrap();
    store.database().close().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    assert_eq!(open(&path).await.unwrap_err(), DatabaseError::Corrupt);
}

#[tokio::test]
async fn the_file_has_a_size_limit_and_reuses_freed_space() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    let store = open(&path).await.unwrap();
    let mut huge = late(0);
    huge.payload.outgoing.response_url = "x".repeat(8 << 20).into();
    let mut added = Vec::new();
    let full = loop {
        let job = Job::new(huge.payload.clone(), at(0), at(0));
        match store.insert(&job, None).await {
            Ok(_) => added.push(job.id),
            Err(error) => break error,
        }
    };
    assert_eq!(
        (full, added.len()),
        (DatabaseError::Full, 7),
        "64 MiB hold seven of 8 MiB"
    );
    assert_eq!(
        store.stats::<LateReply>(None, at(0)).await.unwrap().count,
        7,
        "stored jobs can still be run"
    );
    assert!(store.delete_by_id(&added[0]).await.unwrap());
    store.insert(&late(0), None).await.unwrap();
    store.delete_created_before(at(-1)).await.unwrap();
    assert!(fs::metadata(&path).unwrap().len() <= 64 << 20);
}

#[tokio::test]
async fn a_deleted_or_replaced_file_accepts_no_jobs() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    let store = open(&path).await.unwrap();
    store.insert(&late(0), None).await.unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(store.insert(&late(0), None).await.unwrap_err(), DatabaseError::Gone);
    assert_eq!(
        store.stats::<LateReply>(None, at(0)).await.unwrap_err(),
        DatabaseError::Gone
    );
    fs::write(&path, "").unwrap();
    assert_eq!(
        store.stats::<LateReply>(None, at(0)).await.unwrap_err(),
        DatabaseError::Gone,
        "another file of that name"
    );
    store.database().close().await;
    let store = open(&path).await.unwrap();
    store.insert(&late(0), None).await.unwrap();
}

#[tokio::test]
async fn a_cancelled_query_does_not_lose_a_database_in_memory() {
    let store = JobRows::new(Database::in_memory().await.unwrap());
    store.insert(&late(0), None).await.unwrap();
    for polls in (0..30).chain([1, 2, 3]) {
        give_up(polls, store.stats::<LateReply>(None, at(0))).await;
        assert_eq!(store.stats::<LateReply>(None, at(0)).await.unwrap().count, 1);
    }
}

#[tokio::test]
async fn a_cancelled_operation_does_not_block_the_next_one() {
    on_both_databases(async |database| {
        let store = database.jobs().await;
        let quota = Quota { per_owner: 9, total: 9 };
        for polls in (0..30).chain([1, 2, 3]) {
            let job = late(0);
            let watch = watch("U1", &format!("s{polls}"));
            give_up(polls, add_watch(&store, &watch, at(0), quota)).await;
            give_up(polls, store.insert(&job, None)).await;
            store.delete_by_id(&job.id).await.unwrap();
        }
        let larger_quota = Quota {
            per_owner: 99,
            total: 99,
        };
        let next = add_watch(&store, &watch("U2", "a"), at(0), larger_quota).await.unwrap();
        assert_eq!(next, Upserted::Inserted);
        let watches = store.stats::<Watch>(None, at(0)).await.unwrap();
        assert!(watches.count <= 10, "never more than the quota allows: {watches:?}");
    })
    .await;
}

/// Polls a future `polls` times, and then drops it.
async fn give_up(polls: usize, future: impl Future) {
    let mut future = pin!(future);
    for _ in 0..polls {
        if poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await {
            return;
        }
        yield_now().await;
    }
}

#[tokio::test]
async fn an_in_memory_database_works() {
    let store = JobRows::new(Database::in_memory().await.unwrap());
    store.insert(&late(0), None).await.unwrap();
    assert_eq!(claim::<LateReply>(&store, &WorkerId::random(), 0).await.len(), 1);
}

#[tokio::test]
async fn a_database_of_a_later_version_is_not_opened() {
    on_both_databases(async |database| {
        database.open().await.close().await;
        let later = "UPDATE kapso_slack_migrations SET version = version + 97 WHERE version > 1";
        database.run(later).await;
        let error = Database::open(&database.url).await.unwrap_err();
        assert_eq!(error, DatabaseError::Newer { found: 99, known: 4 });
    })
    .await;
}

#[tokio::test]
async fn the_file_is_readable_only_by_its_owner() {
    let folder = Folder::new();
    let path = folder.join("my jobs?#%41.db");
    let store = open(&path).await.unwrap();
    store.insert(&late(0), None).await.unwrap();
    let files: Vec<_> = fs::read_dir(&*folder).unwrap().map(|file| file.unwrap()).collect();
    assert!(files.iter().any(|file| file.path() == path), "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
}

fn in_second_process(path: &Path, before: &[&str]) -> String {
    let another = SecondProcess::open(path, before);
    let said = another.said.clone();
    another.kill();
    said
}

#[tokio::test]
async fn a_second_process_cannot_open_the_file() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    let store = open(&path).await.unwrap();
    assert_eq!(in_second_process(&path, &[]), "Err(InUse)");
    assert_eq!(
        open(&path).await.unwrap_err(),
        DatabaseError::InUse,
        "nor can it be opened twice in one process"
    );
    store.insert(&late(0), None).await.unwrap();
    store.database().close().await;
    assert_eq!(in_second_process(&path, &[]), "Ok(())", "once it is free");
}

#[tokio::test]
async fn a_killed_process_leaves_its_jobs_and_no_lock() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    for killed in 1..=3 {
        assert_eq!(in_second_process(&path, &[]), "Ok(())");
        let store = open(&path).await.unwrap();
        let worker = WorkerId::random();
        assert_eq!(
            claim::<LateReply>(&store, &worker, 14).await.len(),
            0,
            "still leased to the dead"
        );
        assert_eq!(
            claim::<LateReply>(&store, &worker, 15 * killed).await.len(),
            usize::try_from(killed).unwrap()
        );
        store.database().close().await;
    }
}

#[tokio::test]
async fn a_read_only_file_is_reported() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    open(&path).await.unwrap().database().close().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(in_second_process(&path, without_privilege(&path)), "Err(ReadOnly)");
}
