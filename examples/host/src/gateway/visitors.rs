//! Visitors of the gateway, so that there is something to watch. One reads streams of the upstream, and one asks for
//! the time of the database.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::Uri;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::upstream::STREAM;

/// The time between two visits.
const PAUSE: Duration = Duration::from_millis(20);

/// Visitors that come until they are dropped.
pub(crate) struct Visitors(#[expect(dead_code, reason = "its drop ends them")] JoinSet<()>);

impl Visitors {
    /// Lets visitors into the gateway that listens at this address.
    pub(crate) fn start(address: SocketAddr, has_database: bool) -> io::Result<Self> {
        let paths = [Some(format!("/upstream{STREAM}")), has_database.then(|| "/time".to_owned())];
        let mut visitors = JoinSet::new();
        for path in paths.into_iter().flatten() {
            let uri: Uri = format!("http://{address}{path}").parse().map_err(io::Error::other)?;
            visitors.spawn(visit(uri));
        }
        Ok(Self(visitors))
    }
}

/// Comes again and again, and reads each answer to its end.
async fn visit(uri: Uri) {
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
    loop {
        if let Ok(response) = client.get(uri.clone()).await {
            // If an answer breaks off, the gateway counts it.
            let _ = response.into_body().collect().await;
        }
        sleep(PAUSE).await;
    }
}
