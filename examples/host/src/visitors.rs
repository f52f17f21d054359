//! Visitors of the gateway while the script runs: one reads streams of the upstream, one asks the database for the time.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use microbreaker::Reading;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::args::Backends;
use crate::gateway::{Gateway, Patience, Plan};
use crate::upstream::STREAM;

/// Between two visits.
const PAUSE: Duration = Duration::from_millis(20);

/// A gateway that serves, and its visitors.
pub(crate) struct Visited {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    gateway: JoinHandle<io::Result<Vec<Reading>>>,
    visitors: JoinSet<()>,
}

impl Visited {
    /// Opens a gateway on a port that the system chooses, and lets visitors in.
    pub(crate) async fn start(upstream: Uri, backends: Backends) -> io::Result<Self> {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let has_database = backends.postgres.is_some();
        let plan = Plan { listen, upstream, backends, settings: None, state: None, patience: Patience::USUAL };
        let gateway = Gateway::bind(plan).await?;
        let address = gateway.address();
        let (stop, stopped) = watch::channel(false);
        let mut until = stopped.clone();
        let gateway = tokio::spawn(gateway.serve(async move {
            // Also when the sender is gone.
            let _ = until.wait_for(|stopped| *stopped).await;
        }));
        let mut visitors = JoinSet::new();
        for path in [Some(format!("/upstream{STREAM}")), has_database.then(|| "/time".to_owned())].into_iter().flatten()
        {
            let uri: Uri = format!("http://{address}{path}").parse().map_err(io::Error::other)?;
            visitors.spawn(visit(uri, stopped.clone()));
        }
        Ok(Self { address, stop, gateway, visitors })
    }

    /// Where to watch.
    pub(crate) fn page(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Sends the visitors home and closes the gateway; what its breakers saw.
    pub(crate) async fn stop(self) -> io::Result<Vec<Reading>> {
        let _ = self.stop.send(true);
        self.visitors.join_all().await;
        // Somebody may still watch the page.
        match timeout(Duration::from_secs(1), self.gateway).await {
            Ok(served) => served.map_err(io::Error::other)?,
            Err(_) => Ok(Vec::new()),
        }
    }
}

/// Comes again and again, and reads whatever there is to its end.
async fn visit(uri: Uri, mut stopped: watch::Receiver<bool>) {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    while !*stopped.borrow() {
        if let Ok(response) = client.get(uri.clone()).await {
            // An answer that breaks off is the gateway's to count.
            let _ = response.into_body().collect().await;
        }
        // Over early if told to stop.
        let _ = timeout(PAUSE, stopped.changed()).await;
    }
}
