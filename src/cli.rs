//! The command line: `serve`, `demo`, `manifest`, `doctor`, `healthcheck`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line program prints")]

use std::convert::Infallible;
use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use tokio::net::TcpListener;
use tokio::signal::unix::Signal;

use crate::app::{self, App, Reloader};
use crate::clock::Clock;
use crate::config::{self, Environment};
use crate::telemetry::chain;
use crate::{manifest, routes, telemetry};

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
    },
    /// Check a set-up (comes in a later version)
    Doctor,
    /// Ask the service on this machine whether it is alive; exit code 0 or 1
    Healthcheck,
}

/// Runs the verb that the command line names.
#[must_use]
pub fn run() -> ExitCode {
    let result = match Cli::parse().verb.unwrap_or(Verb::Serve) {
        Verb::Serve => serve(),
        #[cfg(feature = "demo")]
        Verb::Demo { port, open, typed } => crate::demo::run(crate::demo::Options { port, open, typed }),
        Verb::Manifest { url } => print_manifest(url),
        Verb::Doctor => Err("`doctor` comes in a later version; until then, docs/ says what to check".into()),
        Verb::Healthcheck => healthcheck(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kapso-slack: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
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
        let app = App::build(settings, Clock::system()).await?;
        let listener = TcpListener::bind(listen)
            .await
            .map_err(|error| format!("HOST, PORT: cannot listen on {listen}: {error}"))?;
        tracing::info!(
            address = %listener.local_addr()?,
            metrics = app.metrics_addr().map(tracing::field::display),
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
        let reloader = app.reloader();
        tokio::select! {
            () = app.serve(listener, shutdown) => {}
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
            return std::future::pending().await;
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

fn print_manifest(url: Option<String>) -> Result<(), Box<dyn Error>> {
    let environment = Environment::of_process()?;
    for unread in environment.unread() {
        eprintln!("kapso-slack: warning: {unread}");
    }
    let (command, configured) = environment.manifest_settings()?;
    let url = match url {
        Some(url) => config::public_url(&url).map_err(|problem| format!("--url {problem}"))?,
        None => configured.ok_or(
            "the address at which Slack reaches the service is missing: add --url https://… (or set PUBLIC_URL)",
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
    let manifest = manifest::for_deployment(&url, &command)?;
    // Only the manifest goes to standard output, so that it can be redirected to a file.
    println!("{manifest:#}");
    eprintln!(
        "\nCreate the app from it with one click:\n{}",
        manifest::one_click_link(&manifest)
    );
    Ok(())
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
