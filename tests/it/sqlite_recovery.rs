//! A SQLite store that breaks stands in nobody's way, says why, and works again once it can, without a restart.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use kapso_slack::config::DatabaseUrl;
use kapso_slack::db::{Database, DatabaseError};
use kapso_slack::demo::{Fault, plain};
use kapso_slack::dispatch::LateReply;
use kapso_slack::queue::{Job, JobRows};
use serde_json::{Value, json};

use crate::support::databases::{Folder, late};
use crate::support::late_replies::start_late_reply;
use crate::support::program::Fakes;
use crate::support::second_process::{SecondProcess, without_privilege};
use crate::support::store_health::{BROKEN, WORKS, expect_broken_store, expect_working_store};
use crate::support::{ID, TestApp, TestAppBuilder, test_app};

const SHOW: &str = "/sandbox 123e4567-e89b-12d3-a456-426614174000";

/// A service whose look-ups all ask Kapso, and whose store is that file. It waits for the store longer than usual: a
/// busy machine may take more than 300 ms for a write.
fn with_file(path: &Path) -> TestAppBuilder {
    test_app()
        .with_short_budget()
        .without_cache()
        .set(|settings| settings.timing.enqueue = Duration::from_secs(30))
        .with("DATABASE_URL", format!("sqlite:{}", path.display()))
}

/// A late reply is written into the file before its command is acknowledged.
async fn expect_stored_reply(app: &TestApp, path: &Path) {
    let exchange = start_late_reply(app).await;
    assert!(contains(path, "/response/"), "the reply is stored");
    app.kapso.release_stalled_requests();
    app.late_reply(exchange).await;
}

/// Whether a database has these words, in its file or in what was written to it last.
fn contains(path: &Path, words: &str) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    // By another process: to close the file here would end the lock that the store in this process has on it.
    let found = Command::new("grep")
        .args(["--quiet", "--fixed-strings", "--", words])
        // In this order, since what was written last goes from the one to the other.
        .args([Path::new(&log), path])
        .status();
    found.unwrap().success()
}

/// How the last of the commands was delivered.
async fn last_delivery(app: &TestApp, count: usize) -> Value {
    app.wait_for_commands(count).await[count - 1]["answer"].clone()
}

#[tokio::test]
async fn a_missing_folder_can_be_created_later() {
    let folder = Folder::new();
    let path = folder.join("missing/jobs.db");
    with_file(&path)
        .run(async |app| {
            expect_broken_store(app, "cannot be opened").await;
            fs::create_dir(folder.join("missing")).unwrap();
            expect_working_store(app, 1).await;
            expect_stored_reply(app, &path).await;
        })
        .await;
}

#[tokio::test]
async fn a_foreign_file_can_be_moved_away() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    fs::write(&path, "these are my notes, and no database".repeat(200)).unwrap();
    with_file(&path)
        .run(async |app| {
            expect_broken_store(app, "is damaged").await;
            fs::rename(&path, folder.join("notes")).unwrap();
            expect_working_store(app, 1).await;
            expect_stored_reply(app, &path).await;
        })
        .await;
}

#[tokio::test]
async fn a_file_damaged_during_use_can_be_moved_away() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    // More than SQLite remembers.
    let store = JobRows::new(Database::open(&DatabaseUrl::file(&path)).await.unwrap());
    for due in 0..1_500 {
        store.insert(&sized(late(due), 4_000), None).await.unwrap();
    }
    store.database().close().await;
    with_file(&path)
        .run(async |app| {
            expect_working_store(app, 1).await;
            // By another process, as above.
            let damage = Command::new("dd")
                .args([
                    "if=/dev/urandom",
                    "bs=4096",
                    "seek=1",
                    "count=1500",
                    "conv=notrunc",
                    "status=none",
                ])
                .arg(format!("of={}", path.display()))
                .status();
            assert!(damage.unwrap().success());
            let exchange = start_late_reply(app).await;
            app.kapso.release_stalled_requests();
            app.late_reply(exchange).await;
            assert_eq!(last_delivery(app, 1).await, "late");
            // Expired rows are deleted every minute, which reads the whole table.
            app.advance_clock(SignedDuration::from_secs(61));
            expect_broken_store(app, "is damaged").await;
            fs::rename(&path, folder.join("damaged")).unwrap();
            expect_working_store(app, 2).await;
            expect_stored_reply(app, &path).await;
        })
        .await;
}

#[tokio::test]
async fn a_file_locked_by_another_process_is_opened_later() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    let another = SecondProcess::open(&path, &[]);
    assert_eq!(another.said, "Ok(())");
    with_file(&path)
        .run(async |app| {
            expect_broken_store(app, "another process uses the database file").await;
            another.kill();
            expect_working_store(app, 1).await;
            expect_stored_reply(app, &path).await;
        })
        .await;
}

/// An answer that was stored in the file is in memory alone then.
#[tokio::test]
async fn a_deleted_file_is_created_again_and_no_reply_is_lost() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    with_file(&path)
        .run(async |app| {
            expect_working_store(app, 1).await;
            let pending = [start_late_reply(app).await, start_late_reply(app).await];
            fs::remove_file(&path).unwrap();
            expect_working_store(app, 2).await;
            app.wait_for_log_lines("was deleted or replaced", 1).await;
            assert_eq!(app.wait_for_log_lines(BROKEN, 1).await.len(), 1, "the log says it once");
            app.kapso.release_stalled_requests();
            for exchange in pending {
                app.late_reply(exchange).await;
            }
            assert_eq!(last_delivery(app, 2).await, "late");
            expect_stored_reply(app, &path).await;
            app.shut_down().await;
            let mut answered: Vec<_> = app.slack.conversation().iter().map(|posted| posted.exchange).collect();
            answered.retain(|exchange| pending.contains(exchange));
            answered.sort_unstable();
            assert_eq!(answered, pending, "one answer each");
        })
        .await;
}

/// Leases are renewed every 5 s, and the new file knows nothing of the old one's.
#[tokio::test]
async fn a_reply_survives_a_replaced_file_beyond_a_lease_renewal() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    with_file(&path)
        .run(async |app| {
            expect_working_store(app, 1).await;
            app.kapso.fail_next_request(Fault::Delay(Duration::from_millis(6_500)));
            let exchange = app.expect_ack_only(SHOW).await;
            // Another file in its place, such as a backup that was put back.
            let other = folder.join("other.db");
            Database::open(&DatabaseUrl::file(&other)).await.unwrap().close().await;
            fs::rename(&other, &path).unwrap();
            expect_working_store(app, 2).await;
            app.late_reply(exchange).await;
            assert_eq!(last_delivery(app, 1).await, "late");
        })
        .await;
}

/// Nobody would find it in the new file.
#[tokio::test]
async fn a_reply_whose_file_is_deleted_is_not_handed_over() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    with_file(&path)
        .set(|settings| settings.timing.shutdown.kapso = Duration::ZERO)
        .run(async |app| {
            expect_working_store(app, 1).await;
            let exchange = start_late_reply(app).await;
            fs::remove_file(&path).unwrap();
            app.begin_shutdown();
            let card = app.late_reply(exchange).await;
            assert!(
                plain::text(&card.message).starts_with("Kapso did not answer"),
                "{card:?}"
            );
            let line = &app.wait_for_commands(1).await[0];
            assert_eq!(
                (&line["outcome"], &line["answer"]),
                (&json!("no_answer"), &json!("late"))
            );
        })
        .await;
}

#[tokio::test]
async fn a_full_file_works_again_when_jobs_are_done() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    let app = with_file(&path);
    let soon: Timestamp = "2026-11-23T10:05:00Z".parse().unwrap();
    let store = JobRows::new(Database::open(&DatabaseUrl::file(&path)).await.unwrap());
    let mut small = sized(late(0), 3_000);
    small.due_at = soon;
    for _ in 0..20 {
        assert!(add_another(&store, &small).await);
    }
    for size in [8 << 20, 1 << 20, 1 << 16, 3_000] {
        let job = sized(late(0), size);
        while add_another(&store, &job).await {}
    }
    store.database().close().await;
    app.run(async |app| {
        expect_broken_store(app, "is full").await;
        app.advance_clock(SignedDuration::from_mins(6));
        expect_working_store(app, 1).await;
        expect_stored_reply(app, &path).await;
    })
    .await;
}

async fn add_another(store: &JobRows, job: &Job<LateReply>) -> bool {
    let another = Job::new(job.payload.clone(), job.created_at, job.due_at);
    match store.insert(&another, None).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error, DatabaseError::Full);
            false
        }
    }
}

/// A job that takes so much room, and goes nowhere.
fn sized(mut job: Job<LateReply>, bytes: usize) -> Job<LateReply> {
    job.payload.outgoing.response_url = "x".repeat(bytes).into();
    job
}

/// The real program, since the tests may run as root, who writes to what is read-only.
#[tokio::test]
async fn a_read_only_file_is_used_again_when_writable() {
    let fakes = Fakes::start().await;
    let folder = Folder::new();
    let path: PathBuf = folder.join("jobs.db");
    Database::open(&DatabaseUrl::file(&path)).await.unwrap().close().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let mut service = fakes
        .service_with_prefix(without_privilege(&path))
        .with("REPLY_BUDGET_MS", "100")
        .with("DATABASE_URL", &format!("sqlite:{}", path.display()))
        .start();
    let app = service.wait_until_listening().await;
    let line = service.wait_for_line(BROKEN).await;
    assert!(line.contains("the database is read-only"), "{line}");
    fakes.kapso.fail_next_request(Fault::Stall);
    let sent = fakes.send_command(&app, &format!("/sandbox {ID}")).await;
    assert!(sent.message.is_none());
    fakes.kapso.release_stalled_requests();
    let card = fakes.slack.wait_for_reply(sent.exchange).await;
    assert!(plain::text(&card.message).contains("Waiting for activation"));
    assert!(fakes.readiness(&app).await.contains("read-only"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    service.wait_for_line(WORKS).await;
    assert!(fakes.readiness(&app).await.contains("\"ready\""));
    service.send_signal("TERM").await;
    let ended = service.wait_for_exit().await;
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.matches(BROKEN).count(), 1, "the log says it once");
}
