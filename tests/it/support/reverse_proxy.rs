//! A reverse proxy in front of the service that changes requests, as proxies should not.

use axum::Router;
use axum::extract::Request;
use http::HeaderMap;
use http_body_util::BodyExt;
use kapso_slack::app::client_builder;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::support::port;
use crate::support::slack_api::axum_serve;

/// A running proxy.
pub struct ReverseProxy {
    pub url: Url,
    _serving: AbortOnDropHandle<()>,
}

impl ReverseProxy {
    /// Forwards requests to `app`, changed by `change`.
    pub async fn start(app: &Url, change: fn(&mut HeaderMap, &mut Vec<u8>)) -> Self {
        let listener = port().await;
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let (app, http) = (app.clone(), client_builder().build().unwrap());
        let forward = async move |request: Request| {
            let (mut head, body) = request.into_parts();
            let mut body = body.collect().await.unwrap().to_bytes().to_vec();
            change(&mut head.headers, &mut body);
            head.headers.remove(http::header::HOST);
            head.headers.remove(http::header::CONTENT_LENGTH);
            let target = app.join(head.uri.path()).unwrap();
            let request = http.request(head.method, target).headers(head.headers).body(body);
            let response = request.send().await.unwrap();
            (response.status(), response.text().await.unwrap())
        };
        let routes = Router::new().fallback(forward);
        let serving = tokio::spawn(async move { axum_serve(listener, routes).await });
        Self {
            url,
            _serving: AbortOnDropHandle::new(serving),
        }
    }
}
