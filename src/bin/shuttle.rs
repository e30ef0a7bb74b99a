//! Entry point for Shuttle's runtime, for those who run it themselves: the platform closed in January 2026.

use std::net::SocketAddr;
use std::pin::Pin;

use kapso_slack::app::App;
use kapso_slack::clock::Clock;
use kapso_slack::config::Environment;
use kapso_slack::telemetry::{self, RunningLog};
use shuttle_runtime::{CustomError, Error, SecretStore};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

// Shuttle's command line searches for this attribute as text, so it must have its full path.
#[shuttle_runtime::main]
async fn main(#[shuttle_runtime::Secrets] secrets: SecretStore) -> Result<ShuttleService, Error> {
    let environment = Environment::of_process()
        .map_err(CustomError::new)?
        .overlaid_with(secrets);
    let settings = environment.settings().map_err(CustomError::new)?;
    let log = environment.log().map_err(CustomError::new)?;
    let running_log = telemetry::start(log.format, &log.filter);
    for problem in environment.warnings() {
        tracing::warn!(target: "kapso_slack", problem, "check the configuration");
    }
    let app = App::build(settings, Clock::system()).await;
    // Shuttle shows only the outermost message.
    Ok(ShuttleService(
        app.map_err(|error| CustomError::msg(telemetry::chain(&error)))?,
        running_log,
    ))
}

/// The service, at the address that Shuttle assigns: `HOST` and `PORT` are ignored.
struct ShuttleService(App, RunningLog);

#[shuttle_runtime::async_trait]
impl shuttle_runtime::Service for ShuttleService {
    async fn bind(self, address: SocketAddr) -> Result<(), Error> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        tracing::info!(target: "kapso_slack", %address, "listening");
        let stop = CancellationToken::new();
        let future = Box::pin(self.0.serve(listener, stop.clone().cancelled_owned()));
        let mut serving = Serving {
            stop,
            future: Some(future),
            _log: self.1,
        };
        serving.finish().await;
        Ok(())
    }
}

/// The running service, which shuts down gracefully when it is dropped. On a signal, Shuttle drops the future of
/// `bind` and ends the process right after.
struct Serving {
    stop: CancellationToken,
    future: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// Dropped last, which writes the last lines.
    _log: RunningLog,
}

impl Serving {
    async fn finish(&mut self) {
        if let Some(future) = &mut self.future {
            future.await;
            self.future = None;
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let Some(future) = self.future.take() else {
            return;
        };
        if std::thread::panicking() {
            return;
        }
        self.stop.cancel();
        block_in_place(|| Handle::current().block_on(future));
    }
}
