//! A service manager such as systemd is told when the service is ready, and when it stops (`Type=notify`).

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::support::program::{Fakes, Folder};

/// Longer than a message takes, however busy the machine is.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The next message to a service manager.
fn next_message(socket: &UnixDatagram) -> String {
    let mut message = [0; 256];
    let length = socket.recv(&mut message).unwrap();
    String::from_utf8(message[..length].to_vec())
        .unwrap()
        .trim_end()
        .to_owned()
}

#[tokio::test]
async fn the_service_manager_hears_when_it_listens_and_when_it_stops() {
    let folder = Folder::new();
    let path = format!("{}/notify", folder.path());
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    let fakes = Fakes::start().await;
    let mut service = fakes.service().with("NOTIFY_SOCKET", &path).start();

    assert_eq!(next_message(&socket), "READY=1");
    // It was told after the service began to listen, so that a unit that is ordered after this one can connect.
    let app = service.wait_until_listening().await;
    assert!(fakes.command_text(&app, "/sandbox help").await.contains("/sandbox"));

    service.send_signal("TERM").await;
    assert_eq!(next_message(&socket), "STOPPING=1");
    assert_eq!(service.wait_for_exit().await.code, Some(0));
}

#[tokio::test]
async fn a_service_manager_that_cannot_be_told_is_logged_and_changes_nothing() {
    let fakes = Fakes::start().await;
    let mut service = fakes.service().with("NOTIFY_SOCKET", "/nowhere/notify").start();
    let app = service.wait_until_listening().await;
    let line = service.wait_for_line("the service manager was not told").await;
    assert!(line.contains("WARN"), "{line}");
    assert!(fakes.command_text(&app, "/sandbox help").await.contains("/sandbox"));
    service.send_signal("TERM").await;
    assert_eq!(service.wait_for_exit().await.code, Some(0));
}
