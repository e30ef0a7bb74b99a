//! A thousand forced reconnects under load: no command is lost, and memory stays flat.

use std::fs;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use kapso_slack::demo::SocketFault;

use crate::support::sockets::{quick_socket_app, value};

const RECONNECTS: u64 = 1_000;
const COMMANDS_AT_ONCE: usize = 5;
/// By how much memory may grow between the 300th and the last reconnect, in KiB: the log and the fakes
/// remember a little of every command.
const GROWTH_MAX: u64 = 12 * 1024;

/// The memory that this process uses, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap().trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// In a process of its own, since other tests use memory, too.
#[test]
fn a_thousand_reconnects_lose_nothing() {
    let (_, module) = module_path!().split_once("::").unwrap();
    let run = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::soak"), "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&run.stdout);
    assert!(
        run.status.success() && output.contains("1 passed"),
        "{output}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
}

#[tokio::test]
#[ignore = "run by another test, in a process of its own"]
async fn soak() {
    quick_socket_app()
        .with_timeout(Duration::from_mins(5))
        .run(async |app| {
            let socket = app.slack.socket();
            let faults = [
                SocketFault::Drop,
                SocketFault::Disconnect("warning"),
                SocketFault::Reset,
                SocketFault::Close(1001),
                SocketFault::DropAfterAcknowledgement,
                SocketFault::Disconnect("refresh_requested"),
            ];
            let mut memory_before = None;
            let mut sent = 0;
            for fault in faults.iter().cycle() {
                if socket.opened() >= RECONNECTS + 2 {
                    break;
                }
                if socket.opened() > 300 && memory_before.is_none() {
                    memory_before = Some(memory());
                }
                let sending = join_all((0..COMMANDS_AT_ONCE).map(|_| app.send("/sandbox help")));
                let breaking = async {
                    let opened = socket.opened();
                    socket.fault_all(fault);
                    if !matches!(fault, SocketFault::DropAfterAcknowledgement) {
                        socket.wait_for_opened(opened + 2).await;
                    }
                };
                let (replies, ()) = tokio::join!(sending, breaking);
                sent += replies.len();
                for reply in replies {
                    assert!(reply.status.is_some(), "a command was lost: {reply:?}");
                    if reply.message.is_none() {
                        app.late_reply(reply.exchange).await;
                    }
                }
                assert_eq!(app.slack.conversation().len(), COMMANDS_AT_ONCE);
                app.slack.forget_conversation();
            }
            let grown = memory().saturating_sub(memory_before.unwrap());
            assert!(grown < GROWTH_MAX, "memory grew by {grown} KiB over {sent} commands");
            let envelopes = value(
                &app.metrics().await,
                "kapso_slack_socket_envelopes_total{type=\"slash_commands\"} ",
            );
            assert!(envelopes >= sent as u64, "{envelopes} of {sent}");
            app.shut_down().await;
            assert_eq!(app.slack.conversation().len(), 0, "nothing more came");
        })
        .await;
}
