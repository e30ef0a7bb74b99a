//! Every environment variable that is read, with its default and its description for the documentation.

/// An environment variable, as the documentation describes it.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// The value used if the variable is unset; for variables that have no such value, words for the documentation.
    pub default: &'static str,
    /// Its meaning.
    pub what: &'static str,
}

/// Declares a constant for each variable, and `VARIABLES`, the table of all of them in this order.
macro_rules! variables {
    ($($name:ident = $default:literal, $what:literal;)+) => {
        $(pub(super) const $name: Variable = Variable {
            name: stringify!($name),
            default: $default,
            what: $what,
        };)+

        /// Every variable that is read. Those marked secret are also read from the file named in `NAME_FILE`.
        pub const VARIABLES: &[Variable] = &[$($name,)+ NAME_FILE];
    };
}

/// Stands for the `_FILE` variants of all secrets in the documentation; never read under this name.
const NAME_FILE: Variable = Variable {
    name: "NAME_FILE",
    default: "none",
    what: "for each secret NAME above: the file that holds it, such as SLACK_SIGNING_SECRET_FILE",
};

variables! {
    SLACK_SIGNING_SECRET = "required, unless `SLACK_APP_TOKEN` is set",
        "secret: the app's signing secret, or two separated by a comma while rotating; opens the way in over HTTP";
    SLACK_APP_TOKEN = "none",
        "secret: an app-level token (`xapp-…`) with the scope `connections:write`; opens the way in through Socket Mode, which needs no public address";
    SLACK_BOT_TOKEN = "none",
        "secret: the app's bot token (`xoxb-…`); used to send direct messages, to update shared cards, and to open the form of `new`; read again at SIGHUP";
    KAPSO_API_KEY = "required", "secret: the key of the Kapso project";
    CONFIG_FILE = "none",
        "a TOML file with several Kapso projects, in place of `KAPSO_API_KEY` and `DEFAULT_AGENT`";
    KAPSO_BASE_URL = "https://app.kapso.ai/api/v1", "the address of Kapso's API";
    HOST = "0.0.0.0", "the address to listen on";
    PORT = "8080", "the port to listen on";
    PUBLIC_URL = "none",
        "the https address at which Slack reaches the service: without it there are no QR codes; the default of `manifest --url`";
    SLACK_COMMAND = "/sandbox", "the command's name in help and in the manifest";
    REPLY_BUDGET_MS = "2000",
        "how many milliseconds a command may take before its reply comes as a separate message; 100 to 2800, and more than 2400 has the effect of 2400";
    SLACK_RESPONSE_HOSTS = "hooks.slack.com,hooks.slack-gov.com",
        "hosts that late replies may be posted to; an entry such as http://127.0.0.1:4000 allows exactly that origin, for tests";
    SLACK_API_URL = "https://slack.com/api", "the address of Slack's Web API; another one is for tests and GovSlack";
    SLACK_SOCKET_HOSTS = "slack.com,slack-msgs.com,slack-gov.com",
        "domains that the socket may lead to, with all hosts below them; an entry such as ws://127.0.0.1:4000 allows exactly that origin, for tests";
    HTTPS_PROXY = "none",
        "secret: the proxy for connections to Kapso and Slack, such as http://proxy.example.com:3128; `https_proxy` works, too";
    NO_PROXY = "none",
        "hosts, domains and networks that are reached without the proxy, separated by commas; `no_proxy` works, too";
    ALLOWED_TEAMS = "everyone", "workspaces (T…) or organisations (E…) that may use the app, separated by commas";
    ALLOWED_CHANNELS = "everyone", "channels (C…, G…, D…) it may be used in";
    ALLOWED_USERS = "everyone", "people (U…, W…) who may use it";
    CREATE_USERS = "nobody",
        "people (U…, W…) who may create sessions, of those who may use it; `*` for all of them";
    DEFAULT_AGENT = "none",
        "the ID of the agent of sessions that are created without naming one; Kapso's own document says that it requires one";
    DATABASE_URL = "sqlite:kapso-slack.db",
        "secret: database for pending replies and watches; `sqlite:<path>` for one process, `postgres://…` for several (for a server on another machine, `sslmode=verify-full` is used unless the address sets `sslmode`)";
    METRICS_ADDR = "closed", "address and port of a separate listener for `/metrics`, such as 127.0.0.1:9090";
    LOG_FORMAT = "text on a terminal, else json", "`text` or `json`";
    RUST_LOG = "info",
        "how much is logged, such as `debug` or `kapso_slack=debug`; libraries log warnings and errors only";
}
