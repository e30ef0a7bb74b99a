//! The checks of Kapso, Slack, the clock and the public address.

use futures_util::future::{join, join_all, join3};
use http::{HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use url::Url;

use super::findings::{
    APP_TOKEN_REFUSED, APP_TOKEN_SCOPE, BODY_CHANGED, BOT_TOKEN_REFUSED, BOT_TOKEN_SCOPE, CARD_REFUSED, CLOCK_WRONG,
    Finding, KAPSO_ERROR, KAPSO_KEY_REFUSED, KAPSO_LIMITED, KAPSO_MOVED, KAPSO_UNEXPECTED, PUBLIC_NO_SERVICE,
    PUBLIC_NOT_THIS_SERVICE, SIGNATURE_HEADERS_LOST, SIGNATURE_REJECTED, SLACK_UNEXPECTED, SOCKET_FAILED,
    SOCKET_MODE_OFF,
};
use super::network::{Place, parse_date, text};
use super::{Check, Examination, Outcome, database};
use crate::cards::{RenderContext, ReplyTarget, largest_card};
use crate::config::ResponseHost;
use crate::kapso::{ProbeError, probe};
use crate::qr::Addresses;
use crate::routes::{COMMANDS, HEALTHZ};
use crate::slack::button_value::{Origin, ValueSigner};
use crate::slack::direct_messages::SCOPE;
use crate::slack::request::{PLAIN_PROBE_BODY, PROBE_BODY};
use crate::slack::signature::{SIGNATURE_HEADER, TIMESTAMP_HEADER, sign};
use crate::slack::socket_mode;
use crate::slack::web_api::{CallError, call};

const KAPSO: &str = "Kapso";
const SLACK: &str = "Slack";
const SLACK_API: &str = "Slack's API";
const PUBLIC: &str = "the public address";
/// The body of `/healthz`.
const HEALTHY: &str = "ok\n";

/// Every check but that of the configuration.
pub(super) async fn all(examination: &Examination<'_>) -> Vec<Check> {
    let services = join(kapso(examination), slack(examination));
    let own = join(database::check(examination), public_address(examination));
    let api = join3(socket(examination), bot_token(examination), cards(examination));
    let (((kapso, kapso_time), (slack, slack_time)), (database, public_address), (socket, bot_token, cards)) =
        join3(services, own, api).await;
    let clock = clock(examination, kapso_time, slack_time);
    let check = |name, outcome| Check { name, outcome };
    vec![
        check("clock", clock),
        check("kapso", kapso),
        check("slack", slack),
        check("database", database),
        check("public_address", public_address),
        check("socket", socket),
        check("bot_token", bot_token),
        check("cards", cards),
    ]
}

/// What the checks find that need no secret and little time.
pub(super) async fn quick(examination: &Examination<'_>) -> Vec<Finding> {
    let kapso = examination.network.reach(Place {
        role: KAPSO,
        url: &examination.settings.kapso_base_url,
    });
    let (kapso, (slack, slack_time)) = join(kapso, slack(examination)).await;
    let (kapso_finding, kapso_time) = match kapso {
        Ok(time) => (None, time),
        Err(finding) => (Some(finding), None),
    };
    let outcomes = [slack, clock(examination, kapso_time, slack_time)];
    let found = outcomes.into_iter().flat_map(|outcome| match outcome {
        Outcome::Found(findings) => findings,
        Outcome::Passed(_) | Outcome::Skipped(_) => Vec::new(),
    });
    kapso_finding.into_iter().chain(found).collect()
}

/// The API, with the key of every project.
async fn kapso(examination: &Examination<'_>) -> (Outcome, Option<Timestamp>) {
    let settings = examination.settings;
    let network = &examination.network;
    let place = Place {
        role: KAPSO,
        url: &settings.kapso_base_url,
    };
    if let Err(finding) = network.resolve(place).await {
        return (finding.into(), None);
    }
    let probes = settings.projects.iter().map(async |project| {
        let probe = probe(&network.http, place.url, &project.api_key, network.deadline).await;
        (project.alias.as_ref(), probe)
    });
    let probes = join_all(probes).await;
    let time = probes
        .iter()
        .find_map(|(_, probe)| probe.date.as_ref().and_then(parse_date));
    let mut findings = Vec::new();
    for (alias, probe) in &probes {
        if let Err(error) = &probe.result {
            let mut finding = kapso_finding(examination, error, place);
            if let Some(alias) = alias {
                finding.detail = format!("project {alias}: {}", finding.detail);
            }
            findings.push(finding);
        }
    }
    let outcome = match (findings.is_empty(), probes.len()) {
        (false, _) => Outcome::Found(findings),
        (true, 1) => Outcome::passed("the key works, and the sandbox API answers"),
        (true, projects) => Outcome::passed(format!(
            "the keys of {projects} projects work, and the sandbox API answers"
        )),
    };
    (outcome, time)
}

fn kapso_finding(examination: &Examination<'_>, error: &ProbeError, place: Place<'_>) -> Finding {
    let kind = match error {
        ProbeError::Transport(error) => return examination.network.explain(error, place),
        ProbeError::KeyRejected(_) => KAPSO_KEY_REFUSED,
        ProbeError::Moved(_) => KAPSO_MOVED,
        ProbeError::RateLimited => KAPSO_LIMITED,
        ProbeError::Server(_) => KAPSO_ERROR,
        ProbeError::Unexpected(_) => KAPSO_UNEXPECTED,
    };
    kind.with(error.to_string())
}

/// The host that late replies are posted to.
async fn slack(examination: &Examination<'_>) -> (Outcome, Option<Timestamp>) {
    let hosts = examination.settings.response_hosts.first();
    let Some(url) = hosts.and_then(ResponseHost::url) else {
        return (Outcome::skipped("no host for late replies is configured"), None);
    };
    let reached = examination.network.reach(Place { role: SLACK, url: &url }).await;
    match reached {
        Ok(time) => (Outcome::passed("late replies can be posted"), time),
        Err(finding) => (finding.into(), None),
    }
}

/// Compares the clock with that of two services, of which one may be wrong itself.
fn clock(examination: &Examination<'_>, kapso: Option<Timestamp>, slack: Option<Timestamp>) -> Outcome {
    let now = examination.clock.now();
    let ahead = [(KAPSO, kapso), (SLACK, slack)]
        .into_iter()
        .filter_map(|(name, time)| Some((name, database::skew(now, time)?)));
    let Some((name, ahead)) = ahead.min_by_key(|(_, ahead)| ahead.abs()) else {
        return Outcome::skipped("neither Kapso nor Slack told the time");
    };
    let seconds = ahead.abs().as_secs();
    if ahead.abs() <= examination.limits.clock_skew {
        return Outcome::passed(format!("it agrees with {name}'s"));
    }
    let direction = if ahead > SignedDuration::ZERO {
        "ahead of"
    } else {
        "behind"
    };
    CLOCK_WRONG
        .with(format!("it is {seconds} s {direction} {name}'s"))
        .into()
}

/// The socket, up to Slack's hello.
async fn socket(examination: &Examination<'_>) -> Outcome {
    let settings = examination.settings;
    let Some(token) = &settings.app_token else {
        return Outcome::skipped("SLACK_APP_TOKEN is not set: Slack's requests come over HTTP");
    };
    let place = Place {
        role: SLACK_API,
        url: &settings.slack_api_url,
    };
    let network = &examination.network;
    if let Err(finding) = network.resolve(place).await {
        return finding.into();
    }
    let target = socket_mode::Target {
        http: &network.http,
        api: place.url,
        token,
        hosts: &settings.socket_hosts,
        proxy: &settings.proxy,
    };
    let error = match socket_mode::probe(target, network.deadline).await {
        Ok(Some(connections)) => {
            return Outcome::passed(match connections.saturating_sub(1) {
                1 => "Slack says hello; the app had 1 other connection".to_owned(),
                others => format!("Slack says hello; the app had {others} other connections"),
            });
        }
        Ok(None) => return Outcome::passed("Slack says hello"),
        Err(socket_mode::ProbeError::Transport(error)) => return network.explain(&error, place).into(),
        Err(error) => error,
    };
    let kind = match error {
        socket_mode::ProbeError::TokenRefused(_) => APP_TOKEN_REFUSED,
        socket_mode::ProbeError::ScopeMissing(_) => APP_TOKEN_SCOPE,
        socket_mode::ProbeError::TurnedOff => SOCKET_MODE_OFF,
        socket_mode::ProbeError::Transport(_) | socket_mode::ProbeError::Failed(_) => SOCKET_FAILED,
    };
    kind.with(error.to_string()).into()
}

/// The bot token, where it is set.
async fn bot_token(examination: &Examination<'_>) -> Outcome {
    let settings = examination.settings;
    let Some(token) = &settings.bot_token else {
        return Outcome::skipped("SLACK_BOT_TOKEN is not set: no direct messages");
    };
    let place = Place {
        role: SLACK_API,
        url: &settings.slack_api_url,
    };
    let network = &examination.network;
    if let Err(finding) = network.resolve(place).await {
        return finding.into();
    }
    match call(
        &network.http,
        place.url,
        "auth.test",
        Some(token),
        &[],
        network.deadline,
    )
    .await
    {
        Ok(granted) if granted.includes(SCOPE) => Outcome::passed("Slack accepts it"),
        Ok(_) => BOT_TOKEN_SCOPE.with(SCOPE).into(),
        Err(CallError::Refused(codes)) => BOT_TOKEN_REFUSED.with(codes).into(),
        Err(CallError::Transport(error)) => network.explain(&error, place).into(),
        Err(error @ (CallError::Status(_) | CallError::Unreadable)) => {
            SLACK_UNEXPECTED.with(format!("auth.test: {error}")).into()
        }
    }
}

/// Slack's own check of the largest card, without a token. Where it does not answer, that is no fault of this set-up.
async fn cards(examination: &Examination<'_>) -> Outcome {
    let network = &examination.network;
    let Some(blocks) = largest_card_blocks(examination) else {
        return Outcome::skipped("there is no card to check");
    };
    let form = [("blocks", blocks.as_str())];
    let api = &examination.settings.slack_api_url;
    match call(&network.http, api, "blocks.validate", None, &form, network.deadline).await {
        Ok(_) => Outcome::passed("Slack accepts the largest card"),
        Err(CallError::Refused(codes)) if codes.starts_with("invalid_blocks") => CARD_REFUSED.with(codes).into(),
        Err(error) => Outcome::skipped(format!("blocks.validate did not answer: {error}")),
    }
}

/// The blocks of the largest card, as JSON.
fn largest_card_blocks(examination: &Examination<'_>) -> Option<String> {
    let settings = examination.settings;
    // Nobody sees the card, so an example will do where no address is configured.
    let public_url = settings.public_url.clone();
    let public_url = public_url.or_else(|| Url::parse("https://sandbox.example.com").ok())?;
    let keys = settings.signing_keys();
    let context = RenderContext {
        now: examination.clock.now(),
        command: &settings.command,
        request_id: "",
        target: ReplyTarget::Command,
        origin: &Origin::default(),
        project: None,
        signer: &ValueSigner::new(&keys),
        qr_addresses: Some(&Addresses::new(public_url, &keys)),
        may_create: true,
    };
    let message: Value = serde_json::from_str(&largest_card(&context)?.to_json()).ok()?;
    Some(message["blocks"].to_string())
}

/// The way from the public address to the service.
async fn public_address(examination: &Examination<'_>) -> Outcome {
    let Some(url) = &examination.settings.public_url else {
        return Outcome::skipped("PUBLIC_URL is not set");
    };
    let place = Place { role: PUBLIC, url };
    match reach_service(examination, place).await {
        Ok(detail) => Outcome::passed(detail),
        Err(finding) => finding.into(),
    }
}

async fn reach_service(examination: &Examination<'_>, place: Place<'_>) -> Result<&'static str, Finding> {
    let network = &examination.network;
    network.resolve(place).await?;
    let request = network.http.get(below(place.url, HEALTHZ)).timeout(network.deadline);
    let response = request.send().await.map_err(|error| network.explain(&error, place))?;
    let status = response.status();
    if status.is_server_error() {
        return Err(PUBLIC_NO_SERVICE.with(format!("GET {HEALTHZ}: status {}", status.as_u16())));
    }
    let not_this =
        |what: &str, status: StatusCode| PUBLIC_NOT_THIS_SERVICE.with(format!("{what}: status {}", status.as_u16()));
    if status != StatusCode::OK || text(response).await != HEALTHY {
        return Err(not_this(&format!("GET {HEALTHZ}"), status));
    }
    let status = send_probe(examination, place.url, PROBE_BODY)
        .await
        .map_err(|error| network.explain(&error, place))?;
    match status {
        None => Ok("the service answers"),
        Some(StatusCode::NO_CONTENT) => Ok("the service answers, and signed requests reach it unchanged"),
        Some(StatusCode::UNAUTHORIZED) => Err(why_rejected(examination, place).await),
        Some(status) if status.is_server_error() => {
            Err(PUBLIC_NO_SERVICE.with(format!("POST {COMMANDS}: status {}", status.as_u16())))
        }
        Some(status) => Err(not_this(&format!("POST {COMMANDS}"), status)),
    }
}

/// Why a signed request was rejected that went through the public address.
async fn why_rejected(examination: &Examination<'_>, place: Place<'_>) -> Finding {
    let own = examination.own_url("/");
    let direct = match &own {
        Some(own) => send_probe(examination, own, PROBE_BODY).await.ok().flatten(),
        None => None,
    };
    match direct {
        Some(StatusCode::NO_CONTENT) => {}
        Some(StatusCode::UNAUTHORIZED) => return SIGNATURE_REJECTED.with("without the proxy, too"),
        _ => return SIGNATURE_REJECTED.with("and no service runs on this machine to compare with"),
    }
    match send_probe(examination, place.url, PLAIN_PROBE_BODY).await {
        Ok(Some(StatusCode::NO_CONTENT)) => BODY_CHANGED.with("a body that needs no encoding arrives unchanged"),
        _ => SIGNATURE_HEADERS_LOST.with("without the proxy, the same request is accepted"),
    }
}

/// Sends a signed request that does nothing, and returns the status of the response; `None` if no secret is configured.
async fn send_probe(
    examination: &Examination<'_>,
    base: &Url,
    body: &'static str,
) -> Result<Option<StatusCode>, reqwest::Error> {
    const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
    let Some(secret) = examination.settings.signing_secrets.first() else {
        return Ok(None);
    };
    let timestamp = examination.clock.now().as_second().to_string();
    let network = &examination.network;
    let request = network
        .http
        .post(below(base, COMMANDS))
        .header(header::CONTENT_TYPE, FORM)
        .header(SIGNATURE_HEADER, sign(secret, &timestamp, body.as_bytes()))
        .header(TIMESTAMP_HEADER, timestamp)
        .timeout(network.deadline)
        .body(body);
    Ok(Some(request.send().await?.status()))
}

/// A path of the service at `base`.
fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}
