//! `DATABASE_URL` of a PostgreSQL server: TLS unless told otherwise, and nothing of it in the log.

use kapso_slack::config::{DatabaseKind, DatabaseUrl};
use secrecy::ExposeSecret;

use crate::support::program::Fakes;
use crate::support::settings::{problem, settings, warnings};

/// The address that the driver gets.
fn driver_address(url: &str) -> String {
    match url.parse::<DatabaseUrl>().unwrap().kind() {
        DatabaseKind::Postgres(address) => address.expose_secret().to_owned(),
        _ => panic!("{url} is no server"),
    }
}

#[test]
fn off_loopback_the_servers_certificate_is_verified_unless_told_otherwise() {
    for (url, sent) in [
        (
            "postgres://u:p@db.example/k",
            "postgres://u:p@db.example/k?sslmode=verify-full",
        ),
        ("postgresql://u@10.0.0.1", "postgresql://u@10.0.0.1?sslmode=verify-full"),
        (
            "postgres://u@db.example/k?application_name=x",
            "postgres://u@db.example/k?application_name=x&sslmode=verify-full",
        ),
        (
            "postgres://u@localhost/k?host=db.example",
            "postgres://u@localhost/k?host=db.example&sslmode=verify-full",
        ),
        (
            "postgres://u@db.example/k?sslmode=disable",
            "postgres://u@db.example/k?sslmode=disable",
        ),
        (
            "postgres://u@db.example/k?ssl-mode=require",
            "postgres://u@db.example/k?sslmode=require",
        ),
        ("postgres://u@127.0.0.1:5433/k", "postgres://u@127.0.0.1:5433/k"),
        ("postgres://u@localhost/k", "postgres://u@localhost/k"),
        ("postgres://u@[::1]/k", "postgres://u@[::1]/k"),
        (
            "postgres://u@%2Frun%2Fpostgresql/k",
            "postgres://u@%2Frun%2Fpostgresql/k",
        ),
        (
            "postgres://u@db.example/k?host=/run/postgresql",
            "postgres://u@db.example/k?host=%2Frun%2Fpostgresql",
        ),
    ] {
        assert_eq!(driver_address(url), sent, "{url}");
    }
}

#[test]
fn a_password_that_must_be_percent_encoded_is_refused_with_that_sentence() {
    for url in [
        "postgres://kapso:hun?ter2@db.example/kapso",
        "postgres://kapso:hun#ter2@db.example/kapso",
        "postgres://kapso:hun/ter2@db.example/kapso",
        "postgres://kapso:12?hunter2@db.example/kapso",
        "postgres://kapso:12/hunter2@db.example/kapso",
        "postgres://kapso:12#hunter2@db.example/kapso",
        "postgres://kapso:hunter2@db.example/kapso#hunter2",
        "postgres://kapso:100%hunter2@db.example/kapso",
    ] {
        assert_eq!(
            problem(&[("DATABASE_URL", url)]),
            "DATABASE_URL: has a character in its user or password that must be percent-encoded: \
             / as %2F, ? as %3F, # as %23, @ as %40, % as %25",
            "{url}"
        );
    }
    for url in [
        "postgres://kapso:hun%3Fter2@db.example/kapso",
        "postgres://kapso:hun@ter2@db.example/kapso",
        "postgres://kapso:hun:ter2@db.example/kapso",
    ] {
        assert!(settings(&[("DATABASE_URL", url)]).is_ok(), "{url}");
    }
}

#[test]
fn an_unknown_parameter_is_refused_and_not_quoted() {
    for url in [
        "postgres://kapso@db.example/kapso?hunter2=x",
        "postgres://kapso@db.example/kapso?sslmode=require&Hunter2",
    ] {
        let problem = problem(&[("DATABASE_URL", url)]);
        assert!(
            problem.starts_with("DATABASE_URL: has a parameter that this app does not know; it knows sslmode, "),
            "{problem}"
        );
        assert!(!problem.to_lowercase().contains("hunter2"), "{problem}");
    }
}

#[test]
fn parameters_of_other_programs_are_left_out_with_a_warning() {
    let url = "postgres://u:p@db.example/k?channel_binding=require&sslpassword=hunter2&connect_timeout=3";
    assert_eq!(driver_address(url), "postgres://u:p@db.example/k?sslmode=verify-full");
    let variables = [
        ("SLACK_SIGNING_SECRET", "8f742231b10e8888abcd990e0e0e85a5"),
        ("KAPSO_API_KEY", "abc"),
        ("DATABASE_URL", url),
    ];
    assert_eq!(
        warnings(&variables),
        ["DATABASE_URL: its parameters channel_binding, sslpassword, connect_timeout have no effect in this app"]
    );
}

#[tokio::test]
async fn nothing_of_it_reaches_the_log() {
    let fakes = Fakes::start().await;
    for url in [
        "postgres://kapso:hunter2@127.0.0.1:1/kapso?sslpassword=hunter2&sslmode=disable",
        "postgres://kapso:hunter2@127.0.0.1:1/kapso?password=hunter2&options=-c%20x=hunter2",
    ] {
        let mut service = fakes
            .service()
            .with("DATABASE_URL", url)
            .with("RUST_LOG", "trace,sqlx=trace,sqlx_postgres::options::parse=trace")
            .start();
        service.wait_until_listening().await;
        service.wait_for_line("the store does not work").await;
        service.send_signal("TERM").await;
        let ended = service.wait_for_exit().await;
        assert!(!ended.stdout.contains("hunter2"), "{}", ended.stdout);
        assert_eq!(ended.stderr, "");
    }
    let ended = fakes
        .service()
        .with("DATABASE_URL", "postgres://kapso:12?hunter2@127.0.0.1:1/kapso")
        .wait_for_exit()
        .await;
    assert_eq!(ended.code, Some(1));
    assert!(!format!("{ended:?}").contains("hunter2"), "{ended:?}");
}
