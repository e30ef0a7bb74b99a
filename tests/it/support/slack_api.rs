//! The methods of Slack's Web API that `doctor` calls.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::{any, post};
use http::{HeaderMap, StatusCode, header};
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::support::port;

/// A status and a body.
pub type Answer = (StatusCode, String);

/// Answers every call with `{"ok":true}`, unless told otherwise.
pub struct SlackApi {
    /// The value for `SLACK_API_URL`.
    pub url: Url,
    state: Arc<Methods>,
    _serving: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Methods {
    auth_test: Mutex<Option<Answer>>,
    blocks_validate: Mutex<Option<Answer>>,
    /// The `x-oauth-scopes` of each response; none if empty.
    scopes: Mutex<String>,
    tokens: Mutex<Vec<String>>,
    blocks: Mutex<Vec<serde_json::Value>>,
}

impl SlackApi {
    pub async fn start() -> Self {
        let listener = port().await;
        let url = format!("http://{}/api", listener.local_addr().unwrap())
            .parse()
            .unwrap();
        let state = Arc::<Methods>::default();
        let routes = Router::new()
            .route("/", any(StatusCode::OK))
            .route("/api/auth.test", post(auth_test))
            .route("/api/blocks.validate", post(blocks_validate))
            .with_state(Arc::clone(&state));
        let serving = tokio::spawn(async move { axum_serve(listener, routes).await });
        Self {
            url,
            state,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// Answers `auth.test` so from now on.
    pub fn answer_auth_test(&self, status: StatusCode, body: &str) {
        *self.state.auth_test.lock().unwrap() = Some((status, body.to_owned()));
    }

    /// Says from now on that the token has these scopes.
    pub fn grant_scopes(&self, scopes: &str) {
        scopes.clone_into(&mut self.state.scopes.lock().unwrap());
    }

    /// Answers `blocks.validate` so from now on.
    pub fn answer_blocks_validate(&self, status: StatusCode, body: &str) {
        *self.state.blocks_validate.lock().unwrap() = Some((status, body.to_owned()));
    }

    /// The `Authorization` of each `auth.test`.
    pub fn tokens(&self) -> Vec<String> {
        self.state.tokens.lock().unwrap().clone()
    }

    /// The blocks of each `blocks.validate`.
    pub fn blocks(&self) -> Vec<serde_json::Value> {
        self.state.blocks.lock().unwrap().clone()
    }
}

/// Serves without `axum::serve`, which this project's features leave out.
pub async fn axum_serve(listener: tokio::net::TcpListener, routes: Router) {
    let bounds = kapso_slack::server::Bounds {
        head_deadline: std::time::Duration::from_secs(10),
        keep_alive: std::time::Duration::from_secs(10),
        connections: 100,
        draining: tokio_util::sync::CancellationToken::new(),
        closed: tokio_util::sync::CancellationToken::new(),
        tasks: tokio_util::task::TaskTracker::new(),
    };
    kapso_slack::server::serve(listener, routes, bounds).await;
}

fn answer(prepared: &Mutex<Option<Answer>>) -> Answer {
    let prepared = prepared.lock().unwrap().clone();
    prepared.unwrap_or((StatusCode::OK, r#"{"ok":true}"#.to_owned()))
}

async fn auth_test(
    State(state): State<Arc<Methods>>,
    headers: HeaderMap,
) -> (StatusCode, [(&'static str, String); 1], String) {
    let token = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.to_str().unwrap().to_owned());
    state.tokens.lock().unwrap().extend(token);
    let (status, body) = answer(&state.auth_test);
    (status, [("x-oauth-scopes", state.scopes.lock().unwrap().clone())], body)
}

async fn blocks_validate(State(state): State<Arc<Methods>>, headers: HeaderMap, body: String) -> Answer {
    // Slack rejects JSON, and takes exactly one of blocks, view and message.
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == "application/x-www-form-urlencoded");
    let form: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let blocks = match form.as_slice() {
        [(name, blocks)] if is_form && name == "blocks" => serde_json::from_str(blocks).ok(),
        _ => None,
    };
    let Some(blocks) = blocks else {
        return (StatusCode::OK, r#"{"ok":false,"error":"invalid_arguments"}"#.to_owned());
    };
    state.blocks.lock().unwrap().push(blocks);
    answer(&state.blocks_validate)
}
