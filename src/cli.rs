//! The command line: `serve`, `demo`, `manifest`, `doctor`, `healthcheck`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program prints")]

use std::convert::Infallible;
use std::error::Error;
use std::future;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;
use url::Url;

use crate::app::{self, App, Reloader};
use crate::clock::Clock;
use crate::config::{self, Environment};
use crate::doctor::Limits;
use crate::manifest::Transport;
use crate::telemetry::chain;
use crate::{doctor, manifest, routes, telemetry};

/// Deadline of `healthcheck` for connecting, writing and reading, each.
const HEALTHCHECK_DEADLINE: Duration = Duration::from_secs(2);

/// Kapso's WhatsApp sandbox, in Slack.
#[derive(Parser)]
#[command(name = "kapso-slack", version)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the service (the default)
    Serve,
    /// Run the service between a fake Slack and a fake Kapso: no accounts, no configuration
    #[cfg(feature = "demo")]
    Demo {
        /// The port on 127.0.0.1
        #[arg(long, default_value_t = crate::demo::PORT)]
        port: u16,
        /// Send commands and button presses through Socket Mode instead of HTTP
        #[arg(long, conflicts_with = "typed")]
        socket: bool,
        /// Run the service without a bot token: without direct messages
        #[arg(long, conflicts_with = "typed")]
        no_bot: bool,
        /// Open the playground in a browser
        #[arg(long, conflicts_with = "typed")]
        open: bool,
        /// Type a command into the demo that is running, such as "/sandbox help", and print the answer
        #[arg(long = "type", value_name = "COMMAND")]
        typed: Option<String>,
    },
    /// Print the Slack app manifest for a deployment, and the link that creates the app from it
    Manifest {
        /// The https address at which Slack reaches the service (default: `PUBLIC_URL`)
        #[arg(long)]
        url: Option<String>,
        /// For an app that uses Socket Mode, which needs no address
        #[arg(long, conflicts_with = "url")]
        socket: bool,
        /// For an app that sends direct messages: with the scope chat:write and a Messages tab
        #[arg(long)]
        bot: bool,
    },
    /// Check the set-up from end to end, and say how to mend what is wrong; exit code 1 if anything is
    Doctor {
        /// Print the report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask the service on this machine whether it is alive; exit code 0 or 1
    Healthcheck,
}

/// Runs the verb that the command line names.
#[must_use]
pub fn run() -> ExitCode {
    let result = match Cli::parse().verb.unwrap_or(Verb::Serve) {
        Verb::Serve => serve(),
        #[cfg(feature = "demo")]
        Verb::Demo {
            port,
            socket,
            no_bot,
            open,
            typed,
        } => crate::demo::run(&crate::demo::Options {
            port,
            socket,
            bot: !no_bot,
            open,
            typed,
        }),
        Verb::Manifest { url, socket, bot } => print_manifest(url, socket, bot),
        Verb::Doctor { json } => return examine(json),
        Verb::Healthcheck => healthcheck(),
    };
    result.map_or_else(|error| fail(&*error), |()| ExitCode::SUCCESS)
}

fn fail(error: &dyn Error) -> ExitCode {
    eprintln!("kapso-slack: {}", chain(error));
    ExitCode::FAILURE
}

fn serve() -> Result<(), Box<dyn Error>> {
    let environment = Environment::of_process()?;
    let settings = environment.settings()?;
    let log = environment.log()?;
    let _log = telemetry::start(log.format, &log.filter);
    for problem in environment.warnings() {
        tracing::warn!(problem, "check the configuration");
    }
    // One thread: nearly all work is waiting, and a second thread costs more in wake-ups than it saves
    // (docs/measurements.md).
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let shutdown = app::shutdown_signal()?;
        let reload_signals = app::reload_signals()?;
        let listen = settings.listen;
        let (checked, clock) = (settings.clone(), Clock::system());
        let app = App::build(settings, clock.clone()).await?;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| format!("HOST, PORT: cannot listen on {listen}: {error}"))?;
        tracing::info!(
            address = %listener.local_addr()?,
            metrics = app.metrics_addr().map(tracing::field::display),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
        notify_service_manager(NotifyState::Ready);
        let shutdown = async {
            shutdown.await;
            notify_service_manager(NotifyState::Stopping);
        };
        let checks = async {
            doctor::warn_at_start(&checked, &clock).await;
            future::pending::<Infallible>().await
        };
        let reloader = app.reloader();
        // The checks delay neither the first request nor the shutdown.
        tokio::select! {
            () = app.serve(listener, shutdown) => {}
            never = checks => match never {},
            never = reload_on(reload_signals, &reloader) => match never {},
        }
        Ok::<_, Box<dyn Error>>(())
    })?;
    // A DNS lookup that is still running must not delay the exit.
    runtime.shutdown_background();
    Ok(())
}

/// Reads the environment's files again at each SIGHUP. If something is wrong, everything stays as it is.
async fn reload_on(mut signals: Signal, reloader: &Reloader) -> Infallible {
    loop {
        if signals.recv().await.is_none() {
            return future::pending().await;
        }
        match Environment::of_process().and_then(|environment| environment.settings()) {
            Ok(settings) => {
                let projects = settings.projects.len();
                reloader.replace(settings);
                tracing::info!(projects, "the configuration was read again");
            }
            Err(problems) => tracing::error!(
                problem = %problems,
                "the configuration was not read again; the earlier one stays in force"
            ),
        }
    }
}

/// Tells systemd, or whoever started the process with `NOTIFY_SOCKET`; does nothing if that is not set.
fn notify_service_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "the service manager was not told");
    }
}

/// Prints the report of `doctor`.
fn examine(json: bool) -> ExitCode {
    let report = || {
        let environment = Environment::of_process()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (clock, limits) = (Clock::system(), Limits::default());
        let report = runtime.block_on(doctor::examine(&environment, &clock, &limits))?;
        // A DNS lookup that is still running must not delay the exit.
        runtime.shutdown_background();
        Ok::<_, Box<dyn Error>>(report)
    };
    match report() {
        Ok(report) => {
            if json {
                println!("{:#}", report.to_json());
            } else {
                print!("{}", report.to_text());
            }
            ExitCode::from(u8::from(!report.is_healthy()))
        }
        Err(error) => fail(&*error),
    }
}

fn print_manifest(url: Option<String>, socket: bool, bot: bool) -> Result<(), Box<dyn Error>> {
    let environment = Environment::of_process()?;
    for unread in environment.unread() {
        eprintln!("kapso-slack: warning: {unread}");
    }
    let (command, configured) = environment.manifest_settings()?;
    let url = match (socket, url) {
        (true, _) => None,
        (false, url) => Some(manifest_address(url, configured)?),
    };
    let transport = url.as_ref().map_or(Transport::SocketMode, Transport::Http);
    let mut manifest = manifest::for_deployment(transport, &command)?;
    if bot {
        manifest = manifest::with_bot(manifest);
    }
    // Only the manifest goes to standard output, so that it can be redirected to a file.
    println!("{manifest:#}");
    eprintln!(
        "\nCreate the app from it with one click:\n{}",
        manifest::one_click_link(&manifest)
    );
    if socket {
        eprintln!(
            "\nThen, in the app's settings: install the app, and under Basic Information, App-Level Tokens, generate a \
             token with the scope connections:write. It is the value of SLACK_APP_TOKEN."
        );
    }
    if bot {
        eprintln!(
            "\nThen install the app: the Bot User OAuth Token under OAuth & Permissions is the value of SLACK_BOT_TOKEN."
        );
    }
    Ok(())
}

/// The public address for a manifest: the one of the command line, or else the configured one.
fn manifest_address(url: Option<String>, configured: Option<Url>) -> Result<Url, Box<dyn Error>> {
    let url = match url {
        Some(url) => config::public_url(&url).map_err(|problem| format!("--url {problem}"))?,
        None => configured.ok_or(
            "the address at which Slack reaches the service is missing: add --url https://… (or set PUBLIC_URL), or \
             --socket for Socket Mode, which needs none",
        )?,
    };
    if url.scheme() != "https" {
        return Err("a manifest needs an https address: Slack reaches no other".into());
    }
    if !config::is_public(&url) {
        return Err(
            "a manifest needs an address that Slack can reach, not one of this machine or a private network".into(),
        );
    }
    Ok(url)
}

fn healthcheck() -> Result<(), Box<dyn Error>> {
    let address = Environment::of_process()?.own_address()?;
    match status_line(address) {
        Ok(line) if line.starts_with("HTTP/1.1 200 ") => Ok(()),
        Ok(_) => Err(format!("{address} answers, but not like this service").into()),
        Err(error) => Err(format!("{address} does not answer: {error}").into()),
    }
}

/// Requests `/healthz` over a plain socket: an async runtime and an HTTP client would cost more than the request.
fn status_line(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, HEALTHCHECK_DEADLINE)?;
    stream.set_read_timeout(Some(HEALTHCHECK_DEADLINE))?;
    stream.set_write_timeout(Some(HEALTHCHECK_DEADLINE))?;
    write!(
        stream,
        "GET {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n",
        routes::HEALTHZ
    )?;
    let mut start = [0; 16];
    stream.read_exact(&mut start)?;
    Ok(String::from_utf8_lossy(&start).into_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
