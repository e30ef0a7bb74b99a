//! Every finding: what it is, why it matters, how to mend it.

/// Whether a set-up with the finding works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It does not work, or a part of it does not.
    Problem,
    /// It works, but probably not as intended.
    Warning,
}

/// What can be found, as documented.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// Identifies it in `--json` and in the documentation; never changes.
    pub code: &'static str,
    pub severity: Severity,
    pub what: &'static str,
    pub why: &'static str,
    pub fix: &'static str,
}

/// Something that was found.
#[derive(Clone, Debug)]
pub struct Finding {
    pub kind: &'static Kind,
    /// Where it was found, and with which details. Contains no secret, and no text of a server as it was sent.
    pub detail: String,
}

impl Kind {
    pub(super) fn with(&'static self, detail: impl Into<String>) -> Finding {
        Finding {
            kind: self,
            detail: detail.into(),
        }
    }
}

impl Finding {
    /// What was found, in one line.
    #[must_use]
    pub fn what(&self) -> String {
        format!("{} ({})", self.kind.what, self.detail)
    }
}

/// Declares a constant for each kind, and `KINDS`, the table of all of them.
macro_rules! kinds {
    ($($name:ident = $code:literal, $severity:ident, $what:literal, $why:literal, $fix:literal;)+) => {
        $(pub(super) const $name: &Kind = &Kind {
            code: $code,
            severity: Severity::$severity,
            what: $what,
            why: $why,
            fix: $fix,
        };)+

        /// Every finding that `doctor` can have.
        pub const KINDS: &[&Kind] = &[$($name,)+];
    };
}

kinds! {
    CONFIGURATION_INVALID = "configuration_invalid", Problem,
        "The configuration is invalid",
        "The service does not start with it.",
        "Correct the variable that is named; the README lists all of them.";
    CONFIGURATION_SUSPICIOUS = "configuration_suspicious", Warning,
        "A setting is probably a mistake",
        "The service starts, but may not do what you expect.",
        "Check the variable that is named.";

    HOST_NOT_FOUND = "host_not_found", Problem,
        "A host name cannot be resolved",
        "Without DNS the service cannot connect to this host.",
        "Check the spelling of the address and this machine's DNS. In a network that allows only a proxy, set HTTPS_PROXY.";
    NO_CONNECTION = "no_connection", Problem,
        "A host does not accept connections",
        "Commands that need it fail, or replies are lost.",
        "Check the address and port, and whether a firewall blocks outgoing connections.";
    NO_ANSWER = "no_answer", Problem,
        "A host does not answer in time",
        "Commands that need it fail, or replies are lost.",
        "Check whether a firewall drops the connection, and try again later.";
    TLS_FAILED = "tls_failed", Problem,
        "A secure connection to a host cannot be made",
        "The service sends no secret over a connection that it cannot verify.",
        "If the certificate has expired or is for another name, renew it. If a company proxy inspects TLS, add its authority to this machine's, or name its file in SSL_CERT_FILE. Port 443 must speak TLS.";
    PROXY_NOT_REACHED = "proxy_not_reached", Problem,
        "The proxy cannot be reached",
        "All connections to Kapso and Slack go through it.",
        "Check the host and port in HTTPS_PROXY. For a direct connection, unset it or list the host in NO_PROXY.";
    PROXY_LOGIN = "proxy_login", Problem,
        "The proxy asks for a user name and password",
        "Without them, it connects to nothing.",
        "Set HTTPS_PROXY to http://user:password@host:port, with special characters percent-encoded.";
    PROXY_REFUSED = "proxy_refused", Problem,
        "The proxy refuses to connect to a host",
        "The service cannot reach this host through it.",
        "Ask whoever runs the proxy to allow CONNECT to this host on port 443, or list the host in NO_PROXY.";

    CLOCK_WRONG = "clock_wrong", Problem,
        "The clock of this machine is wrong",
        "Slack's requests are rejected once it is off by five minutes; before that, expiry times and watches are wrong.",
        "Synchronise the clock with NTP. In a virtual machine or container, that of the host counts.";

    KAPSO_KEY_REFUSED = "kapso_key_refused", Problem,
        "Kapso refuses the API key",
        "No session can be looked up.",
        "Copy the key from the project's settings in Kapso to KAPSO_API_KEY, and restart. Keys of deleted projects do not work.";
    KAPSO_MOVED = "kapso_moved", Problem,
        "Kapso has moved its sandbox API: it is not at this address any more",
        "No session can be looked up.",
        "Look up the present address in Kapso's documentation, and set KAPSO_BASE_URL. If there is none, update this app.";
    KAPSO_LIMITED = "kapso_limited", Warning,
        "The rate limit of the API key is used up",
        "Commands fail until requests are free again, usually within a minute.",
        "Check what else uses the same key.";
    KAPSO_ERROR = "kapso_error", Problem,
        "Kapso has an error",
        "Look-ups fail while it lasts.",
        "Try again later; check Kapso's status page.";
    KAPSO_UNEXPECTED = "kapso_unexpected", Problem,
        "What answers at KAPSO_BASE_URL is not Kapso's API as this app knows it",
        "No session can be looked up.",
        "Check KAPSO_BASE_URL. If it is right, a proxy may answer instead, or Kapso has changed its API: update this app.";

    DATABASE_IN_MEMORY = "database_in_memory", Warning,
        "The database is in memory",
        "Pending replies and watches are lost when the service stops.",
        "Set DATABASE_URL to a file, or to a PostgreSQL server.";
    DATABASE_IN_USE = "database_in_use", Problem,
        "Another process uses the database file",
        "Only one process can use it; the service could store nothing.",
        "Stop the other process. Several replicas need PostgreSQL.";
    DATABASE_NOT_WRITABLE = "database_not_writable", Problem,
        "The database file cannot be created or written",
        "Watches and new sessions are refused, and pending replies are lost at a restart.",
        "Check that the folder in DATABASE_URL exists, and that the user that runs the service may write to it and to the file.";
    DATABASE_FULL = "database_full", Problem,
        "The database, or its disk, has too little space",
        "When it is full, watches and new sessions are refused.",
        "Free some space on the disk, or move the file. The file itself may have 64 MiB.";
    DATABASE_DAMAGED = "database_damaged", Problem,
        "The database file is damaged, or is not a database",
        "The service cannot use it.",
        "Move the file away, with its -wal file: a new one is created, without the pending replies and watches.";
    DATABASE_NEWER = "database_newer", Problem,
        "The database was set up by a later version of this app",
        "This version does not use it.",
        "Run the later version again, or use another database.";
    DATABASE_UNREACHABLE = "database_unreachable", Problem,
        "The database server cannot be reached",
        "While it cannot be, watches and new sessions are refused.",
        "Check host and port in DATABASE_URL, and that the server runs. For errors with TLS, see docs/operating.md, Database.";
    DATABASE_REFUSED = "database_refused", Problem,
        "The database server refuses this user",
        "Watches and new sessions are refused.",
        "Check user, password and database name in DATABASE_URL, and that the user may create tables in its schema.";
    DATABASE_CLOCK = "database_clock", Problem,
        "The clocks of this machine and of the database server disagree",
        "This process leaves pending replies to other replicas.",
        "Synchronise both with NTP.";
    DATABASE_FAILED = "database_failed", Problem,
        "The database does not work",
        "Watches and new sessions are refused, and pending replies are lost at a restart.",
        "See docs/operating.md, Database. A pooler must use session mode, and the tables must be this app's own.";

    PUBLIC_NO_SERVICE = "public_no_service", Problem,
        "Nothing answers behind the public address",
        "Slack shows that the app did not respond.",
        "Start the service, and check that the proxy or tunnel forwards to its HOST and PORT.";
    PUBLIC_NOT_THIS_SERVICE = "public_not_this_service", Problem,
        "Something else answers at the public address",
        "Slack's requests and QR codes do not reach the service.",
        "PUBLIC_URL must lead to the service, with its path, and without a login or a redirect.";
    SIGNATURE_HEADERS_LOST = "signature_headers_lost", Problem,
        "Slack's signature does not reach the service",
        "The service rejects every request that it cannot verify.",
        "Let the proxy pass the headers X-Slack-Signature and X-Slack-Request-Timestamp on, once and unchanged.";
    BODY_CHANGED = "body_changed", Problem,
        "The proxy changes the body of requests",
        "The signature covers each byte of the body, so the service rejects every request.",
        "Let the proxy forward bodies without decoding, encoding or filtering them.";
    SIGNATURE_REJECTED = "signature_rejected", Problem,
        "The service rejects requests that are signed with this SLACK_SIGNING_SECRET",
        "It was started with another secret, or its clock is off by more than five minutes. If it runs on another machine, the proxy may also drop the signature or change the body.",
        "Restart the service with the secret that stands under Basic Information of your Slack app, and run doctor on the same machine.";

    APP_TOKEN_REFUSED = "app_token_refused", Problem,
        "Slack refuses the app-level token",
        "Without the socket, no command reaches the service.",
        "Generate a new token under Basic Information, App-Level Tokens, of your Slack app, set SLACK_APP_TOKEN, and restart. Without SLACK_SIGNING_SECRET, buttons on existing cards stop working then.";
    APP_TOKEN_SCOPE = "app_token_scope", Problem,
        "The app-level token may not open the socket",
        "Without the socket, no command reaches the service.",
        "Generate a token with the scope connections:write under Basic Information, App-Level Tokens, and set SLACK_APP_TOKEN.";
    SOCKET_MODE_OFF = "socket_mode_off", Problem,
        "Socket Mode is turned off in the app's settings",
        "Slack sends nothing through the socket.",
        "Turn it on under Socket Mode in the settings of your Slack app, or create the app from the manifest for Socket Mode.";
    SOCKET_FAILED = "socket_failed", Problem,
        "The socket to Slack cannot be opened",
        "While it is closed, no command reaches the service.",
        "Check that firewalls and proxies allow WebSockets (wss) to slack.com, slack-msgs.com and slack-gov.com and the hosts below them; then try again.";

    BOT_TOKEN_REFUSED = "bot_token_refused", Problem,
        "Slack refuses the bot token",
        "There are no direct messages, and watches last 28 minutes.",
        "Copy the Bot User OAuth Token (xoxb-…) from OAuth & Permissions of your Slack app to SLACK_BOT_TOKEN; install the app again if there is none.";
    BOT_TOKEN_SCOPE = "bot_token_scope", Problem,
        "The bot token lacks a scope",
        "There are no direct messages, and watches last 28 minutes.",
        "Add the scope chat:write under OAuth & Permissions of your Slack app, and install the app again.";
    CARD_REFUSED = "card_refused", Problem,
        "Slack does not accept the largest card of this version",
        "Cards may not be shown.",
        "Update this app, and report the finding with its details.";
    SLACK_UNEXPECTED = "slack_unexpected", Problem,
        "What answers as Slack's API is not Slack",
        "The service cannot use what it asks for there.",
        "A proxy or a portal may answer instead: check HTTPS_PROXY and the network.";
}
