//! A server that speaks TLS in front of one that does not, with a certificate of an authority for tests.
//!
//! The certificates are for the names `kapso.example`, `hooks.slack.example`, `slack.example`, `sandbox.example` and
//! `localhost`; a program trusts them if `SSL_CERT_FILE` is [`AUTHORITY`].

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use crate::support::port;

/// The file of the authority.
pub const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/tls/authority.pem");
/// A certificate that is valid until 2120.
pub const VALID: &[u8] = include_bytes!("tls/server.pem");
/// A certificate that was valid for a day in 2020.
pub const EXPIRED: &[u8] = include_bytes!("tls/expired.pem");
const KEY: &[u8] = include_bytes!("tls/server.key.pem");

/// A running server.
pub struct TlsServer {
    pub address: SocketAddr,
    _serving: AbortOnDropHandle<()>,
}

impl TlsServer {
    /// Serves what the server at `behind` serves, with this certificate.
    pub async fn start(behind: &Url, certificate: &[u8]) -> Self {
        let behind = behind.socket_addrs(|| None).unwrap()[0];
        let listener = port().await;
        let address = listener.local_addr().unwrap();
        let acceptor = acceptor(certificate);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust the certificate closes the connection.
                    if let Ok(mut stream) = acceptor.accept(stream).await
                        && let Ok(mut behind) = TcpStream::connect(behind).await
                    {
                        // Without this, the second of two small writes may wait 40 ms for the acknowledgement of the first.
                        let _ = stream.get_ref().0.set_nodelay(true);
                        let _ = behind.set_nodelay(true);
                        let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                    }
                });
            }
        });
        Self {
            address,
            _serving: AbortOnDropHandle::new(serving),
        }
    }
}

fn acceptor(certificate: &[u8]) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(certificate).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(KEY).unwrap())
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
