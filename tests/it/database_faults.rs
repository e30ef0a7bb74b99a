//! A store that cannot be written to says why: it never panics, hangs, or takes a job that it would lose.

use std::fs;
use std::future::poll_fn;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::task::Poll;
use std::time::Duration;

use kapso_slack::config::DatabaseUrl;
use kapso_slack::jobs::{Added, Caps, Job, Kind, Payload, Store, StoreError, Worker};
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::support::databases::{Folder, at, claim, late, on_both, watch};

const PATIENCE: Duration = Duration::from_secs(30);

async fn open(path: impl AsRef<Path>) -> Result<Store, StoreError> {
    let url = DatabaseUrl::file(path.as_ref());
    timeout(PATIENCE, Store::open(&url)).await.expect("it does not hang")
}

#[tokio::test]
async fn a_folder_that_is_missing_or_a_folder_for_a_file_is_said() {
    let folder = Folder::new();
    for path in [
        folder.join("missing/jobs.db"),
        folder.to_path_buf(),
        "/proc/jobs.db".into(),
    ] {
        let error = open(&path).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Unopenable(_)),
            "{}: {error:?}",
            path.display()
        );
    }
}

#[tokio::test]
async fn a_file_that_is_no_database_or_a_damaged_one_is_left_as_it_is() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    fs::write(&path, "these are my notes, and no database".repeat(200)).unwrap();
    let notes = fs::read(&path).unwrap();
    assert_eq!(open(&path).await.unwrap_err(), StoreError::Corrupt);
    assert_eq!(fs::read(&path).unwrap(), notes);

    fs::remove_file(&path).unwrap();
    let store = open(&path).await.unwrap();
    store.add(&late(0), None).await.unwrap();
    store.close().await;
    let mut bytes = fs::read(&path).unwrap();
    bytes[4096..].fill(0x5a);
    fs::write(&path, bytes).unwrap();
    assert_eq!(open(&path).await.unwrap_err(), StoreError::Corrupt);
}

#[tokio::test]
async fn a_flood_fills_the_file_but_not_the_disk_and_room_is_used_again() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    let store = open(&path).await.unwrap();
    let mut huge = late(0);
    if let Payload::Late(late) = &mut huge.payload {
        late.response_url = "x".repeat(8 << 20).into();
    }
    let mut added = Vec::new();
    let full = loop {
        let job = Job::new(huge.payload.clone(), at(0));
        match store.add(&job, None).await {
            Ok(_) => added.push(job.id),
            Err(error) => break error,
        }
    };
    assert_eq!((full, added.len()), (StoreError::Full, 7), "64 MiB hold seven of 8 MiB");
    assert_eq!(
        store.owed(at(0)).await.unwrap().late.count,
        7,
        "what is there can be worked on"
    );
    assert!(store.forget(&added[0]).await.unwrap());
    store.add(&late(0), None).await.unwrap();
    store.tidy(at(-1)).await.unwrap();
    assert!(fs::metadata(&path).unwrap().len() <= 64 << 20);
}

#[tokio::test]
async fn a_file_deleted_or_replaced_under_the_store_takes_no_jobs() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    let store = open(&path).await.unwrap();
    store.add(&late(0), None).await.unwrap();
    fs::remove_file(&path).unwrap();
    assert_eq!(store.add(&late(0), None).await.unwrap_err(), StoreError::Gone);
    assert_eq!(store.owed(at(0)).await.unwrap_err(), StoreError::Gone);
    fs::write(&path, "").unwrap();
    assert_eq!(
        store.owed(at(0)).await.unwrap_err(),
        StoreError::Gone,
        "another file of that name"
    );
    store.close().await;
    let store = open(&path).await.unwrap();
    store.add(&late(0), None).await.unwrap();
}

#[tokio::test]
async fn an_operation_that_is_given_up_on_does_not_stand_in_the_way_of_the_next() {
    on_both(async |database| {
        let store = database.open().await;
        let caps = Caps { mine: 9, all: 9 };
        for polls in (0..30).chain([1, 2, 3]) {
            let job = late(0);
            let watch = watch("U1", &format!("s{polls}"));
            give_up(polls, store.add_watch(&watch, at(0), caps)).await;
            give_up(polls, store.add(&job, None)).await;
            store.forget(&job.id).await.unwrap();
        }
        let roomy = Caps { mine: 99, all: 99 };
        let next = store.add_watch(&watch("U2", "a"), at(0), roomy).await.unwrap();
        assert_eq!(next, Added::Added);
        let owed = store.owed(at(0)).await.unwrap();
        assert!(owed.watches.count <= 10, "never more than the caps allow: {owed:?}");
    })
    .await;
}

/// Asks a future so many times whether it is done, and then drops it.
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
async fn memory_will_do_where_nothing_needs_to_last() {
    let store = Store::open(&"sqlite::memory:".parse().unwrap()).await.unwrap();
    store.add(&late(0), None).await.unwrap();
    assert_eq!(claim(&store, Kind::Late, &Worker::random(), 0).await.len(), 1);
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    on_both(async |database| {
        database.open().await.close().await;
        database.run("UPDATE kapso_slack_schema SET version = 99").await;
        let error = Store::open(&database.url).await.unwrap_err();
        assert_eq!(error, StoreError::Newer { found: 99, known: 1 });
    })
    .await;
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    let folder = Folder::new();
    let path = folder.join("my jobs?#%41.db");
    let store = open(&path).await.unwrap();
    store.add(&late(0), None).await.unwrap();
    let files: Vec<_> = fs::read_dir(&*folder).unwrap().map(|file| file.unwrap()).collect();
    assert!(files.iter().any(|file| file.path() == path), "{files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o077, 0, "{file:?}");
    }
}

/// What [`another_process`] opens, and whether it then waits for its end.
const PATH: &str = "IT_STORE_PATH";

/// The other process of the tests below: opens a store, adds a job, says what came of it, waits for its end.
#[tokio::test]
#[ignore = "run by other tests, in a process of its own"]
#[expect(clippy::print_stdout, reason = "it speaks to the test that started it")]
async fn another_process() {
    let path = std::env::var(PATH).expect("what to open");
    let result = match open(path).await {
        Ok(store) => store.add(&late(0), Some((&Worker::random(), at(15)))).await.map(drop),
        Err(error) => Err(error),
    };
    println!("\nresult: {result:?}");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

/// Another process that has a file open, or has failed to open it.
pub struct Another {
    pub said: String,
    child: Child,
}

impl Another {
    /// Runs [`another_process`] on a file, by way of the command `before`, and waits until it has spoken.
    pub fn opens(path: &Path, before: &[&str]) -> Self {
        let this = std::env::current_exe().unwrap();
        let mut words = before.iter().map(AsRef::as_ref).chain([this.as_os_str()]);
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .args([
                "--exact",
                "databases_broken::another_process",
                "--ignored",
                "--nocapture",
            ])
            .env(PATH, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let said = lines
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("result: ").map(str::to_owned));
        Self {
            said: said.expect("it says what came of it"),
            child,
        }
    }

    /// Killed without warning.
    pub fn dies(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn in_another_process(path: &Path, before: &[&str]) -> String {
    let another = Another::opens(path, before);
    let said = another.said.clone();
    another.dies();
    said
}

/// What a command is run by so that it may not write to what is read-only: root may, unless it gives that right up.
pub fn without_privilege(read_only: &Path) -> &'static [&'static str] {
    match fs::File::options().append(true).open(read_only) {
        Ok(_) => &["setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override"],
        Err(_) => &[],
    }
}

#[tokio::test]
async fn a_second_process_is_refused_while_the_first_has_the_file() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    let store = open(&path).await.unwrap();
    assert_eq!(in_another_process(&path, &[]), "Err(InUse)");
    assert_eq!(
        open(&path).await.unwrap_err(),
        StoreError::InUse,
        "nor twice in one process"
    );
    store.add(&late(0), None).await.unwrap();
    store.close().await;
    assert_eq!(in_another_process(&path, &[]), "Ok(())", "once it is free");
}

#[tokio::test]
async fn a_process_killed_without_warning_leaves_its_jobs_and_no_lock() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    for killed in 1..=3 {
        assert_eq!(in_another_process(&path, &[]), "Ok(())");
        let store = open(&path).await.unwrap();
        let worker = Worker::random();
        assert_eq!(
            claim(&store, Kind::Late, &worker, 14).await.len(),
            0,
            "still leased to the dead"
        );
        assert_eq!(
            claim(&store, Kind::Late, &worker, 15 * killed).await.len(),
            usize::try_from(killed).unwrap()
        );
        store.close().await;
    }
}

#[tokio::test]
async fn a_read_only_file_is_said() {
    let folder = Folder::new();
    let path = folder.join("jobs.db");
    open(&path).await.unwrap().close().await;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert_eq!(in_another_process(&path, without_privilege(&path)), "Err(ReadOnly)");
}
