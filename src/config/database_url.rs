//! The address of the database: a SQLite file, memory, or a PostgreSQL server.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use thiserror::Error;
use url::Url;

/// The parameters that the driver knows, each with its other spellings.
const PARAMETERS: &[(&str, &[&str])] = &[
    (SSLMODE, &["ssl-mode"]),
    ("sslrootcert", &["ssl-root-cert", "ssl-ca"]),
    ("sslcert", &["ssl-cert"]),
    ("sslkey", &["ssl-key"]),
    ("statement-cache-capacity", &[]),
    ("host", &[]),
    ("hostaddr", &[]),
    ("port", &[]),
    ("dbname", &[]),
    ("user", &[]),
    ("password", &[]),
    ("application_name", &[]),
    ("options", &[]),
];
const SSLMODE: &str = "sslmode";
/// Used where the address has no `sslmode` and leads to another machine. The driver's default sends the password in
/// clear text to a server that declines TLS.
const DEFAULT_SSLMODE: &str = "verify-full";
/// Parameters of libpq, `PgBouncer` and Prisma that hosts put into the addresses they show. They have no effect here.
const IGNORED: &[&str] = &[
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "connection_limit",
    "fallback_application_name",
    "gssencmode",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "passfile",
    "pgbouncer",
    "pool_timeout",
    "require_auth",
    "schema",
    "sslcompression",
    "sslcrl",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslnegotiation",
    "sslpassword",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
];

/// The address of a database: `sqlite:<path>`, `sqlite::memory:` or `postgres://…`. `Debug` shows no password.
#[derive(Clone)]
pub struct DatabaseUrl {
    kind: DatabaseKind,
    ignored: Vec<&'static str>,
}

/// Where a database lives.
#[derive(Clone)]
pub enum DatabaseKind {
    /// SQLite in memory; lost when the process ends.
    Memory,
    /// A SQLite file, used by one process.
    File(PathBuf),
    /// The address of a PostgreSQL server that several processes may share, with parameters that the driver knows only,
    /// since it logs others.
    Postgres(SecretString),
}

/// The text is not the address of a database. Quotes nothing of it, since it may contain a password.
#[derive(Debug, Error)]
pub enum InvalidDatabaseUrl {
    #[error("is neither sqlite:<path to a file> nor an address such as postgres://user:password@host/database")]
    Form,
    #[error(
        "has a character in its user or password that must be percent-encoded: / as %2F, ? as %3F, # as %23, @ as %40, \
         % as %25"
    )]
    Encoding,
    #[error("has a parameter that this app does not know; it knows {}", known_parameters())]
    Parameter,
}

impl DatabaseUrl {
    /// The address of a SQLite file.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        DatabaseKind::File(path.into()).into()
    }

    /// Where the database lives.
    #[must_use]
    pub fn kind(&self) -> &DatabaseKind {
        &self.kind
    }

    /// Parameters of the address that were left out, since they have no effect.
    #[must_use]
    pub fn ignored_parameters(&self) -> &[&'static str] {
        &self.ignored
    }

    fn postgres(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        check_encoding(text)?;
        let mut url = Url::parse(text).map_err(|_| InvalidDatabaseUrl::Form)?;
        let mut ignored = Vec::new();
        let mut parameters = Vec::new();
        for (name, value) in url.query_pairs() {
            if let Some(name) = known(&name) {
                parameters.push((name, value.into_owned()));
            } else if let Some(name) = IGNORED.iter().find(|ignored| **ignored == name) {
                ignored.push(*name);
            } else {
                return Err(InvalidDatabaseUrl::Parameter);
            }
        }
        url.set_query(None);
        let has_sslmode = parameters.iter().any(|(name, _)| name == SSLMODE);
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(&parameters);
        }
        let options: PgConnectOptions = url.as_str().parse().map_err(|_| InvalidDatabaseUrl::Form)?;
        if !has_sslmode && !is_on_this_machine(&options) {
            url.query_pairs_mut().append_pair(SSLMODE, DEFAULT_SSLMODE);
        }
        Ok(Self {
            kind: DatabaseKind::Postgres(url.as_str().into()),
            ignored,
        })
    }
}

impl From<DatabaseKind> for DatabaseUrl {
    fn from(kind: DatabaseKind) -> Self {
        Self {
            kind,
            ignored: Vec::new(),
        }
    }
}

impl DatabaseKind {
    /// The database system, for log and `/readyz`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Memory | Self::File(_) => "sqlite",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = InvalidDatabaseUrl;

    fn from_str(text: &str) -> Result<Self, InvalidDatabaseUrl> {
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            // People copy this mode from sqlx's examples; it is the one this app uses anyway.
            let path = path.strip_suffix("?mode=rwc").unwrap_or(path);
            if path == ":memory:" {
                return Ok(DatabaseKind::Memory.into());
            }
            let plain = !path.is_empty() && !path.ends_with('/') && !path.contains(['?', '#', '%', '\0']);
            return plain.then(|| Self::file(path)).ok_or(InvalidDatabaseUrl::Form);
        }
        if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            return Self::postgres(text);
        }
        Err(InvalidDatabaseUrl::Form)
    }
}

/// A password with one of the characters that divide an address would otherwise be taken for a host, a path or a
/// parameter, and reach the log as such.
fn check_encoding(text: &str) -> Result<(), InvalidDatabaseUrl> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let encoded = user.as_bytes();
    let is_encoded = encoded
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'%')
        .all(|(at, _)| {
            let digits = encoded.get(at + 1..at + 3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        });
    if is_encoded && !behind.contains(['@', '#']) {
        Ok(())
    } else {
        Err(InvalidDatabaseUrl::Encoding)
    }
}

/// A parameter under the name by which the driver gets it.
fn known(name: &str) -> Option<String> {
    let is_option = name.starts_with("options[") && name.ends_with(']');
    let spelling = PARAMETERS
        .iter()
        .find(|(known, others)| *known == name || others.contains(&name));
    spelling
        .map(|(known, _)| (*known).to_owned())
        .or_else(|| is_option.then(|| name.to_owned()))
}

fn known_parameters() -> String {
    let names: Vec<&str> = PARAMETERS.iter().map(|(name, _)| *name).collect();
    names.join(", ")
}

fn is_on_this_machine(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    let ip = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || ip.is_ok_and(|ip| ip.is_loopback())
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DatabaseKind::Memory => f.write_str("sqlite::memory:"),
            DatabaseKind::File(path) => write!(f, "sqlite:{}", path.display()),
            DatabaseKind::Postgres(_) => f.write_str("postgres://[REDACTED]"),
        }
    }
}
