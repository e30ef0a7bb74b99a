//! The side door, for those who run Shuttle's runtime themselves: the platform closed in January 2026.

use std::net::SocketAddr;
use std::pin::Pin;

use kapso_slack::app::App;
use kapso_slack::clock::Clock;
use kapso_slack::config::Environment;
use kapso_slack::telemetry;
use shuttle_runtime::{CustomError, Error, SecretStore};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::task::block_in_place;
use tokio_util::sync::CancellationToken;

// Shuttle's command line looks for this attribute written out in full.
#[shuttle_runtime::main]
async fn main(#[shuttle_runtime::Secrets] secrets: SecretStore) -> Result<Side, Error> {
    let environment = Environment::of_process()
        .map_err(CustomError::new)?
        .overlaid_with(secrets);
    let settings = environment.settings().map_err(CustomError::new)?;
    let log = environment.log().map_err(CustomError::new)?;
    telemetry::start(log.format, &log.filter);
    let app = App::build(settings, Clock::system()).await;
    // Shuttle shows the outermost message alone.
    Ok(Side(app.map_err(|error| CustomError::msg(telemetry::chain(&error)))?))
}

/// The service, at the address that Shuttle gives: `HOST` and `PORT` have no say here.
struct Side(App);

#[shuttle_runtime::async_trait]
impl shuttle_runtime::Service for Side {
    async fn bind(self, address: SocketAddr) -> Result<(), Error> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        tracing::info!(target: "kapso_slack", %address, "listening");
        let stop = CancellationToken::new();
        let serving = Box::pin(self.0.serve(listener, stop.clone().cancelled_owned()));
        let mut served = Served {
            stop,
            serving: Some(serving),
        };
        served.finish().await;
        Ok(())
    }
}

/// Serving that is finished, not cut off, when it is dropped. Shuttle listens for signals itself, answers one by
/// dropping its future, and ends the process right after.
struct Served {
    stop: CancellationToken,
    serving: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Served {
    async fn finish(&mut self) {
        if let Some(serving) = &mut self.serving {
            serving.await;
            self.serving = None;
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let Some(serving) = self.serving.take() else {
            return;
        };
        if std::thread::panicking() {
            return;
        }
        self.stop.cancel();
        block_in_place(|| Handle::current().block_on(serving));
    }
}
