//! The HTTP server of `FakeKapso`: its connections and faults.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::endpoints;
use super::exchange::milliseconds;
use super::faults::Fault;
use super::sandbox::{BASE_PATH, Body, KapsoRequest, Sandbox, Sandboxes, json_response};

pub(super) async fn serve(listener: TcpListener, sandboxes: Sandboxes) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection(stream, sandboxes.clone()));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, sandboxes: Sandboxes) {
    let service = service_fn(|request: Request<Incoming>| {
        let sandbox = sandboxes.of(&request);
        async move { handle(&sandbox, request).await }
    });
    // Some faults close the connection with an error on purpose.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn handle(sandbox: &Sandbox, request: Request<Incoming>) -> io::Result<Response<Body>> {
    // The service checks at its start whether the host can be reached. That is no request to the API.
    if request.method() == Method::HEAD && request.uri().path() == "/" {
        return Ok(json_response(StatusCode::OK, Bytes::new()));
    }
    let line = format!("{} {}", request.method(), request.uri());
    let now = sandbox.clock.now().as_millisecond();
    let began = Instant::now();
    let released = sandbox.subscribe_releases();
    let (index, fault, used, limit) = {
        let mut state = sandbox.state();
        let index = state.requests.len();
        state.requests.push(KapsoRequest {
            at_ms: now,
            line: line.replacen(BASE_PATH, "", 1),
            status: None,
            took_ms: None,
            began,
        });
        let latest_first = state.requests.iter().rev();
        let used = latest_first.take_while(|request| request.at_ms + 60_000 > now).count();
        let fault = state.next_faults.pop_front().or_else(|| state.standing_fault.clone());
        (index, fault, u32::try_from(used).unwrap_or(u32::MAX), state.rate_limit)
    };
    sandbox.notify();
    let response = respond(sandbox, fault, request, released, used, limit).await?;
    // After a reset, another request can have this index.
    let mut state = sandbox.state();
    if let Some(request) = state.requests.get_mut(index).filter(|request| request.began == began) {
        request.status = Some(response.status().as_u16());
        request.took_ms = Some(milliseconds(began.elapsed()));
    }
    drop(state);
    sandbox.notify();
    Ok(response)
}

async fn respond(
    sandbox: &Sandbox,
    fault: Option<Fault>,
    request: Request<Incoming>,
    mut released: watch::Receiver<u64>,
    used: u32,
    limit: u32,
) -> io::Result<Response<Body>> {
    let mut response = match fault {
        Some(Fault::CloseConnection) => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some(Fault::TruncateBody) => return Ok(truncated()),
        Some(Fault::Answer { status, headers, body }) => {
            let mut response = json_response(status, body);
            for (name, value) in headers {
                response
                    .headers_mut()
                    .insert(name, value.parse().map_err(io::Error::other)?);
            }
            return Ok(response);
        }
        Some(Fault::Delay(delay)) => {
            tokio::time::sleep(delay).await;
            endpoints::handle(sandbox, request, used, limit).await
        }
        Some(Fault::Stall) => {
            let releases_before = *released.borrow();
            let _ = released.wait_for(|releases| *releases > releases_before).await;
            endpoints::handle(sandbox, request, used, limit).await
        }
        None => endpoints::handle(sandbox, request, used, limit).await,
    };
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", limit.into());
    headers.insert("x-ratelimit-remaining", limit.saturating_sub(used).into());
    if response.status() == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(header::RETRY_AFTER, 60.into());
    }
    Ok(response)
}

/// The first bytes of a session, followed by an error that closes the connection.
fn truncated() -> Response<Body> {
    let start = Frame::data(Bytes::from_static(br#"{"data":{"id":"#));
    let end = Err(io::ErrorKind::ConnectionAborted.into());
    Response::new(StreamBody::new(stream::iter([Ok(start), end])).boxed())
}
