//! Requests of other origins, security headers, and errors of the playground's endpoints.

use kapso_slack::app::client_builder;
use kapso_slack::clock::Clock;
use kapso_slack::demo::{self, RunningDemo};
use reqwest::{Method, StatusCode};

async fn playing() -> RunningDemo {
    demo::start(0, Clock::system(), |_| {}).await.unwrap()
}

#[tokio::test]
async fn requests_of_other_origins_are_rejected() {
    let playing = playing().await;
    let own = playing.url().origin().ascii_serialization();
    let authority = own.strip_prefix("http://").unwrap();
    let port = playing.url().port().unwrap();
    let by_name = format!("localhost:{port}");
    let rows = [
        ("the address itself", authority, None, true),
        ("its own page", authority, Some(own.as_str()), true),
        ("by name", &by_name, None, true),
        ("a name that resolves to this machine", "evil.example", None, false),
        ("the same with the port", "evil.example:3000", None, false),
        ("a host that begins like ours", "127.0.0.1.evil.example", None, false),
        ("another site", authority, Some("https://evil.example"), false),
        (
            "another page of this machine",
            authority,
            Some("http://127.0.0.1:1"),
            false,
        ),
        ("a page without an origin", authority, Some("null"), false),
        ("a page of the other name", &by_name, Some(own.as_str()), false),
    ];
    let http = client_builder().build().unwrap();
    for (what, host, origin, enters) in rows {
        for (method, path) in [
            (Method::GET, "state"),
            (Method::GET, ""),
            (Method::POST, "type"),
            (Method::POST, "clock"),
        ] {
            let url = playing.url().join(path).unwrap();
            let mut request = http.request(method.clone(), url).header("host", host).body("{}");
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let status = request.send().await.unwrap().status();
            assert_eq!(
                status != StatusCode::FORBIDDEN,
                enters,
                "{what}: {method} /{path}: {status}"
            );
        }
    }
}

#[tokio::test]
async fn every_response_has_security_headers() {
    let playing = playing().await;
    let http = client_builder().build().unwrap();
    for path in ["", "gallery", "state", "page/style.css", "page/page.js", "no-such-page"] {
        let answer = http.get(playing.url().join(path).unwrap()).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(rule), "/{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff", "/{path}");
    }
}

#[tokio::test]
async fn the_state_holds_no_secret() {
    let playing = playing().await;
    playing.server().run_command("/sandbox help").await;
    let http = client_builder().build().unwrap();
    let state = http.get(playing.url().join("state").unwrap()).send().await.unwrap();
    let state = state.text().await.unwrap();
    assert!(state.contains("base_string"), "{state}");
    assert!(!state.contains("not-a-secret"), "{state}");
}

#[tokio::test]
async fn invalid_requests_get_an_error_text() {
    let playing = playing().await;
    let rows = [
        ("type", r#"{"text": " "}"#, "there is nothing to send"),
        (
            "type",
            r#"{"text": "hello", "thread": 7}"#,
            "this message no longer exists",
        ),
        (
            "type",
            r#"{"text": "/sandbox help", "thread": 1}"#,
            "slash commands do not work in threads",
        ),
        (
            "shortcut",
            r#"{"message": 7, "callback_id": "look_up_session"}"#,
            "this message no longer exists",
        ),
        (
            "type",
            r#"{"text": "/weather 94070"}"#,
            "/weather is not a valid command here",
        ),
        ("type", "{", "not valid JSON"),
        (
            "press",
            r#"{"message": 7, "block": 0, "action_id": "refresh"}"#,
            "this button no longer exists",
        ),
        ("kapso/sessions/none/activate", "{}", "this session no longer exists"),
        (
            "kapso/sessions/active/rename",
            "{}",
            "activated, expired, superseded or deleted",
        ),
        ("kapso/fault", r#"{"fault": "tired"}"#, "unknown fault"),
        ("clock", r#"{"minutes": -15}"#, "the clock goes forward"),
    ];
    let http = client_builder().build().unwrap();
    for (path, body, words) in rows {
        let url = playing.url().join(path).unwrap();
        let answer = http
            .post(url)
            .header("content-type", "application/json")
            .body(body)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "/{path} {body}");
        let answer = answer.text().await.unwrap();
        assert!(answer.contains(words), "/{path} {body}: {answer}");
    }
}

#[tokio::test]
async fn a_plain_text_command_gets_the_reply_as_text() {
    let playing = playing().await;
    let http = client_builder().build().unwrap();
    let types = async |words: &'static str| {
        let url = playing.url().join("type").unwrap();
        let answer = http.post(url).body(words).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    };
    let (status, text) = types("/sandbox help").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        text.contains("What you can type") || text.contains("/sandbox <session id>"),
        "{text}"
    );
    let (status, text) = types("help").await;
    assert_eq!(
        (status, text.as_str()),
        (
            StatusCode::BAD_REQUEST,
            "a command begins with a slash, such as /sandbox help"
        )
    );
}
