//! A proxy to a server that fails over: connections fall silent, and connections made later are served.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// The proxy that clients of the server connect to.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    era: watch::Sender<Era>,
}

/// A connection is served in the era in which it was made. After that it is silent: nothing is passed on, and it is not
/// closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Era {
    Before,
    /// The old server is gone and the new one not yet there.
    Between,
    After,
}

impl Proxy {
    pub(crate) async fn start(server: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (era, now) = watch::channel(Era::Before);
        tokio::spawn(async move {
            // Serves until the run is over.
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, (Ipv4Addr::LOCALHOST, server).into(), now.clone()));
            }
        });
        Ok(Self { port, era })
    }

    /// The port on 127.0.0.1 where it listens.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// All connections fall silent, including those made from now on.
    pub(crate) fn fall_silent(&self) {
        self.era.send_replace(Era::Between);
    }

    /// Connections made from now on are served.
    pub(crate) fn take_over(&self) {
        self.era.send_replace(Era::After);
    }
}

/// Serves one connection. If the client or the server hangs up while it is served, the proxy hangs up too.
async fn serve(mut client: TcpStream, server: SocketAddr, mut era: watch::Receiver<Era>) -> io::Result<()> {
    let own = *era.borrow_and_update();
    let passes = async {
        if own == Era::Between {
            return std::future::pending().await;
        }
        let mut server = TcpStream::connect(server).await?;
        // Client and server wait for each other's small messages, so gathering them would add tens of milliseconds to
        // every call.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        copy_bidirectional(&mut client, &mut server).await.map(drop)
    };
    tokio::select! {
        passed = passes => return passed,
        _ = era.wait_for(|now| *now != own) => {}
    }
    // The connection stays open, so that no end of it notices.
    std::future::pending().await
}
