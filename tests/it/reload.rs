//! SIGHUP: the file and the secrets are read again, and a broken configuration changes nothing.

use kapso_slack::clock::Clock;
use kapso_slack::demo::{FakeKapso, plain};

use crate::support::program::Fakes;
use crate::support::{ID, KEY, port};

const ONE: &str = "[projects.support]\napi_key_file = \"key\"\n";

#[tokio::test]
async fn a_key_is_replaced_without_a_restart_and_a_broken_file_changes_nothing() {
    let fakes = Fakes::start().await;
    // The project with the new key.
    let rotated = FakeKapso::start(port().await, "kapso-key-rotated", Clock::system()).unwrap();
    let first = rotated.add_project(KEY);
    for kapso in [&first, &rotated] {
        kapso.add_session(ID);
    }
    let folder = crate::support::databases::Folder::new();
    let write = |name: &str, content: &str| std::fs::write(folder.join(name), content).unwrap();
    write("config.toml", ONE);
    write("key", KEY);
    let config = folder.join("config.toml");
    let mut service = fakes
        .service()
        .with("KAPSO_API_KEY", "")
        .with("CONFIG_FILE", config.to_str().unwrap())
        .with("KAPSO_BASE_URL", rotated.base_url().as_str())
        .start();
    let app = service.wait_until_serving().await;
    let show = async || {
        let sent = fakes.send_command(&app, &format!("/sandbox {ID}")).await;
        plain::text(&sent.message.unwrap().message)
    };
    assert!(show().await.contains("Waiting for activation"));
    assert_eq!((first.requests().len(), rotated.requests().len()), (1, 0));

    write("key", "kapso-key-rotated");
    service.send_signal("HUP").await;
    service.wait_for_line("the configuration was read again").await;
    assert!(show().await.contains("Waiting for activation"));
    assert_eq!(
        (first.requests().len(), rotated.requests().len()),
        (1, 1),
        "with the new key"
    );

    write("config.toml", &format!("{ONE}chanels = [\"C012AB3CD\"]\n"));
    service.send_signal("HUP").await;
    let line = service
        .wait_for_line("the configuration was not read again; the earlier one stays in force")
        .await;
    assert!(line.contains("line 3: `chanels` is not a key of a project"), "{line}");
    assert!(!line.contains("kapso-key"), "{line}");
    assert!(show().await.contains("Waiting for activation"), "it goes on");
    service.send_signal("TERM").await;
    assert_eq!(service.wait_for_exit().await.code, Some(0));
}
