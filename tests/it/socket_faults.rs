//! Faults of the socket while 200 commands are in flight: each of them gets exactly one reply.

use futures_util::future::join_all;
use http::StatusCode;
use kapso_slack::demo::{Fault, OpenFault, Person, SocketFault};

use crate::support::TestApp;
use crate::support::cards::SHOW;
use crate::support::sockets::{quick_socket_app, reconnects, value};

const COMMANDS: usize = 200;

/// Sends 200 commands that wait for Kapso, does something to the socket, lets Kapso answer, and does something more.
/// Each command gets one message; the fake fails the test if one gets a second.
async fn with_commands_in_flight(before: impl AsyncFnOnce(&TestApp), after: impl AsyncFnOnce(&TestApp)) {
    quick_socket_app()
        .run(async |app| {
            send_in_flight(app, before, after).await;
        })
        .await;
}

async fn send_in_flight(app: &mut TestApp, before: impl AsyncFnOnce(&TestApp), after: impl AsyncFnOnce(&TestApp)) {
    app.kapso.fail_next_request(Fault::Stall);
    let people: Vec<Person> = (0..COMMANDS)
        .map(|number| Person {
            channel: format!("C{number:010}"),
            ..Person::default()
        })
        .collect();
    let sending = join_all(people.iter().map(|person| app.send_as(person, SHOW)));
    let meanwhile = async {
        let socket = app.slack.socket();
        let all_delivered = |count| (count == COMMANDS).then_some(());
        socket.wait_until(|socket| all_delivered(socket.unacknowledged())).await;
        app.kapso.wait_for_requests(1).await;
        before(app).await;
        app.kapso.release_stalled_requests();
        after(app).await;
    };
    let (sent, ()) = tokio::join!(sending, meanwhile);
    for sent in sent {
        assert_eq!(sent.status, Some(StatusCode::OK), "an acknowledgement is missing");
        if sent.message.is_none() {
            app.late_reply(sent.exchange).await;
        }
    }
    // Nothing more comes.
    app.shut_down().await;
    assert_eq!(app.slack.conversation().len(), COMMANDS);
    assert_eq!(app.slack.failures().len(), 0);
}

async fn nothing(_: &TestApp) {}

/// The first of the connections.
fn one(app: &TestApp, fault: SocketFault) {
    let connection = app.slack.socket().connections()[0];
    app.slack.socket().fault(connection, fault);
}

fn all(app: &TestApp, fault: &SocketFault) {
    app.slack.socket().fault_all(fault);
}

async fn replaced(app: &TestApp, opened: u64) {
    app.slack.socket().wait_for_opened(opened).await;
}

macro_rules! faults {
    ($($name:ident: $before:expr, $after:expr;)+) => {
        $(#[tokio::test]
        async fn $name() {
            with_commands_in_flight($before, $after).await;
        })+
    };
}

faults! {
    no_fault: nothing, nothing;
    a_warning_on_one_connection: async |app| {
        one(app, SocketFault::Disconnect("warning"));
        replaced(app, 3).await;
    }, nothing;
    a_warning_on_every_connection: async |app| {
        all(app, &SocketFault::Disconnect("warning"));
        replaced(app, 4).await;
    }, nothing;
    a_warning_when_kapso_has_answered: nothing, async |app| all(app, &SocketFault::Disconnect("warning"));
    a_refresh_request: async |app| {
        all(app, &SocketFault::Disconnect("refresh_requested"));
        replaced(app, 4).await;
    }, nothing;
    too_many_websockets: async |app| {
        one(app, SocketFault::Disconnect("too_many_websockets"));
        replaced(app, 3).await;
    }, nothing;
    a_disconnect_for_an_unknown_reason: async |app| {
        one(app, SocketFault::Disconnect("maintenance"));
        replaced(app, 3).await;
    }, nothing;
    one_tcp_connection_ends: async |app| one(app, SocketFault::Drop), nothing;
    every_tcp_connection_ends: async |app| all(app, &SocketFault::Drop), nothing;
    every_tcp_connection_ends_when_kapso_has_answered: nothing, async |app| all(app, &SocketFault::Drop);
    every_tcp_connection_is_reset: async |app| all(app, &SocketFault::Reset), nothing;
    every_tcp_connection_is_reset_when_kapso_has_answered: nothing, async |app| all(app, &SocketFault::Reset);
    one_connection_is_half_open: async |app| one(app, SocketFault::HalfOpen), nothing;
    every_connection_is_half_open: async |app| all(app, &SocketFault::HalfOpen), nothing;
    slack_closes_normally: async |app| all(app, &SocketFault::Close(1000)), nothing;
    slack_goes_away: async |app| all(app, &SocketFault::Close(1001)), nothing;
    slack_says_that_a_frame_was_too_long: async |app| all(app, &SocketFault::Close(1009)), nothing;
    slack_has_an_internal_error: nothing, async |app| all(app, &SocketFault::Close(1011));
    the_connection_ends_after_one_acknowledgement: async |app| all(app, &SocketFault::DropAfterAcknowledgement), nothing;
    no_acknowledgement_arrives: async |app| all(app, &SocketFault::Deaf), async |app| {
        // The app finds out that nothing comes from Slack, and only then Slack finds out, too.
        replaced(app, 4).await;
        all(app, &SocketFault::Drop);
    };
    text_that_is_no_json: async |app| all(app, &SocketFault::Text("zebra".to_owned())), nothing;
    a_binary_frame: async |app| all(app, &SocketFault::Binary(100)), nothing;
    a_frame_that_is_too_long_for_us: async |app| all(app, &SocketFault::Binary(1024 * 1024 + 1)), nothing;
    bytes_that_are_no_frame: async |app| all(app, &SocketFault::Garbage(vec![0xff; 64])), nothing;
    half_a_frame: async |app| {
        all(app, &SocketFault::Garbage(vec![0x81, 0x7e, 0x10, 0x00, b'{']));
        all(app, &SocketFault::Drop);
    }, nothing;
    every_connection_ends_and_slack_is_down: async |app| {
        for _ in 0..3 {
            app.slack.socket().fail_next_open(OpenFault::Status(StatusCode::BAD_GATEWAY));
            app.slack.socket().fail_next_open(OpenFault::RefuseHandshake(503));
            app.slack.socket().fail_next_open(OpenFault::DropAtOnce);
        }
        all(app, &SocketFault::Drop);
    }, nothing;
    every_connection_ends_and_slack_has_too_many: async |app| {
        app.slack.socket().fail_next_open(OpenFault::DisconnectAtOnce("too_many_websockets"));
        app.slack.socket().fail_next_open(OpenFault::Error("internal_error"));
        app.slack.socket().fail_next_open(OpenFault::Body("{".to_owned()));
        all(app, &SocketFault::Drop);
    }, nothing;
    every_connection_ends_again_and_again: async |app| {
        for round in 1..=5 {
            all(app, &SocketFault::Drop);
            replaced(app, 2 + 2 * round).await;
        }
    }, nothing;
    a_warning_and_then_the_end_of_the_old_connection: async |app| {
        app.slack.socket().fail_next_open(OpenFault::DropAtOnce);
        all(app, &SocketFault::Disconnect("warning"));
        all(app, &SocketFault::Drop);
    }, nothing;
}

/// Slack delivers each command twice at the same time, under two envelope ids.
#[tokio::test]
async fn every_command_is_delivered_twice() {
    quick_socket_app()
        .run(async |app| {
            app.slack.socket().deliver_twice(true);
            app.kapso.fail_next_request(Fault::Stall);
            let sending = join_all((0..COMMANDS).map(|_| app.send(SHOW)));
            let meanwhile = async {
                let all_delivered = |count| (count == 2 * COMMANDS).then_some(());
                let socket = app.slack.socket();
                socket.wait_until(|socket| all_delivered(socket.unacknowledged())).await;
                app.kapso.wait_for_requests(1).await;
                app.kapso.release_stalled_requests();
            };
            let (sent, ()) = tokio::join!(sending, meanwhile);
            for sent in sent {
                assert!(sent.message.is_some(), "{sent:?}");
            }
            app.shut_down().await;
            assert_eq!(app.slack.conversation().len(), COMMANDS);
        })
        .await;
}

/// The rest of a replaced connection's second is not enough for Kapso: the reply becomes a late one.
#[tokio::test]
async fn commands_on_a_replaced_connection_are_acknowledged_before_it_is_closed() {
    quick_socket_app()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let sending = join_all((0..COMMANDS).map(|_| app.expect_ack_only(SHOW)));
            let meanwhile = async {
                let all_delivered = |count| (count == COMMANDS).then_some(());
                let socket = app.slack.socket();
                socket.wait_until(|socket| all_delivered(socket.unacknowledged())).await;
                all(app, &SocketFault::Disconnect("warning"));
            };
            let (exchanges, ()) = tokio::join!(sending, meanwhile);
            let metrics = app.metrics().await;
            assert_eq!(
                value(&metrics, "kapso_slack_socket_redeliveries_total "),
                0,
                "each is delivered once"
            );
            assert_eq!(app.slack.socket().acknowledged(), COMMANDS as u64);
            app.kapso.release_stalled_requests();
            for exchange in exchanges {
                app.late_reply(exchange).await;
            }
            app.shut_down().await;
            assert_eq!(app.slack.conversation().len(), COMMANDS);
        })
        .await;
}

#[tokio::test]
async fn presses_survive_the_end_of_every_connection() {
    quick_socket_app()
        .without_cache()
        .run(async |app| {
            let card = app.command(SHOW).await;
            app.kapso.set_fault(Some(Fault::Stall));
            let pressing =
                join_all((0..50).map(|_| app.slack.press_button(&app.app_url, &app.person, &card, "refresh")));
            let meanwhile = async {
                for round in 1..=3 {
                    all(app, &SocketFault::Drop);
                    replaced(app, 2 + 2 * round).await;
                }
            };
            let (pressed, ()) = tokio::join!(pressing, meanwhile);
            assert!(
                pressed.iter().all(|sent| sent.status == Some(StatusCode::OK)),
                "{pressed:?}"
            );
            app.kapso.set_fault(None);
            app.kapso.release_stalled_requests();
            app.shut_down().await;
            assert_eq!(app.slack.post_count(), 50, "one for each press");
            // Each has replaced the card.
            let last = app.slack.conversation()[0].exchange;
            app.late_reply(last).await;
        })
        .await;
}

#[tokio::test]
async fn a_session_is_created_once_for_a_command_that_comes_again() {
    quick_socket_app()
        .with_creation()
        .run(async |app| {
            app.kapso.fail_next_request(Fault::Stall);
            let sending = app.send("/sandbox new +4915112345678");
            let meanwhile = async {
                app.kapso.wait_for_requests(1).await;
                all(app, &SocketFault::Drop);
                replaced(app, 4).await;
                app.kapso.release_stalled_requests();
            };
            let (sent, ()) = tokio::join!(sending, meanwhile);
            if sent.message.is_none() {
                app.late_reply(sent.exchange).await;
            }
            app.shut_down().await;
            assert_eq!(app.kapso.create_requests().len(), 1);
            assert_eq!(app.slack.conversation().len(), 1);
        })
        .await;
}

#[tokio::test]
async fn reconnects_are_counted_by_reason() {
    quick_socket_app()
        .run(async |app| {
            let connections = app.slack.socket().connections();
            app.slack
                .socket()
                .fault(connections[0], SocketFault::Disconnect("refresh_requested"));
            replaced(app, 3).await;
            app.slack.socket().fault(connections[1], SocketFault::HalfOpen);
            replaced(app, 4).await;
            app.slack.socket().fail_next_open(OpenFault::Error("internal_error"));
            let newest = app.slack.socket().connections().pop().unwrap();
            app.slack.socket().fault(newest, SocketFault::Close(1000));
            replaced(app, 5).await;
            let metrics = app.metrics().await;
            for (reason, count) in [
                ("refresh_requested", 1),
                ("silent", 1),
                ("not_opened", 1),
                ("warning", 0),
                ("link_disabled", 0),
            ] {
                assert_eq!(reconnects(&metrics, reason), count, "{reason}: {metrics}");
            }
        })
        .await;
}
