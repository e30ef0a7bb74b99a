//! The rights of the database's file, which holds response URLs, and of the secrets in `compose.yaml`.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::databases::Database;
use crate::support::program::Fakes;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn an_existing_database_file_that_others_may_read_is_restricted() {
    let database = Database::sqlite();
    let file = Path::new(database.address.strip_prefix("sqlite:").unwrap());
    database.open().await.close().await;
    assert_eq!(mode(file), 0o600, "a new file");
    let log = file.with_extension("db-wal");
    fs::write(&log, "").unwrap();
    for path in [file, &log] {
        fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
    }
    let opened = database.open().await;
    assert_eq!(mode(file), 0o600);
    assert_eq!(mode(&log), 0o600);
    opened.close().await;
}

#[tokio::test]
async fn restricting_it_is_logged_once() {
    let fakes = Fakes::start().await;
    let database = Database::sqlite();
    database.open().await.close().await;
    let file = database.address.strip_prefix("sqlite:").unwrap();
    fs::set_permissions(file, Permissions::from_mode(0o644)).unwrap();
    let mut service = fakes.service().with("DATABASE_URL", &database.address).start();
    service.wait_until_serving().await;
    service.send_signal("TERM").await;
    let ended = service.wait_for_exit().await;
    let says = "the database file was open to other users; now only its owner may open it";
    assert_eq!(ended.stdout.matches(says).count(), 1, "{}", ended.stdout);
}

#[test]
fn compose_gives_the_password_of_postgresql_to_no_app_container_as_a_variable() {
    let compose = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("compose.yaml")).unwrap();
    let part = |start: &str, end: &str| {
        let (_, part) = compose.split_once(start).unwrap();
        part.split_once(end).unwrap().0
    };
    assert!(part("x-inside: &inside", "x-replica").contains("\n  POSTGRES_PASSWORD: \"\"\n"));
    // Each app container gets `.env`, and so needs these variables over it.
    for service in [
        part("x-replica: &replica", "services:"),
        part("  kapso-slack:\n", "  replica-1:"),
    ] {
        assert!(
            service.contains("\n    environment:\n      <<: *inside")
                || service.contains("\n  environment:\n    <<: *inside")
        );
    }
    assert_eq!(compose.matches("env_file").count(), 1, "only in x-service");
}
