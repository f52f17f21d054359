//! A way to a server that fails over: connections die without a word, and later others are served.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Where clients of the server connect to.
#[derive(Debug)]
pub(crate) struct Proxy {
    port: u16,
    era: watch::Sender<Era>,
}

/// A connection is served in the era that it was made in, and silent ever after: nothing is passed on and nothing closed.
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
            // Until the run is over.
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(serve(client, (Ipv4Addr::LOCALHOST, server).into(), now.clone()));
            }
        });
        Ok(Self { port, era })
    }

    /// Where it listens, on 127.0.0.1.
    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// All connections fall silent, also those that are made from now on.
    pub(crate) fn fall_silent(&self) {
        self.era.send_replace(Era::Between);
    }

    /// Those made from now on are served.
    pub(crate) fn take_over(&self) {
        self.era.send_replace(Era::After);
    }
}

/// Ends, and hangs up, when one of both has while it was served.
async fn serve(mut client: TcpStream, server: SocketAddr, mut era: watch::Receiver<Era>) -> io::Result<()> {
    let own = *era.borrow_and_update();
    let passes = async {
        if own == Era::Between {
            return std::future::pending().await;
        }
        let mut server = TcpStream::connect(server).await?;
        // Each waits for the other's small messages: gathering them would add tens of milliseconds to every call.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        copy_bidirectional(&mut client, &mut server).await.map(drop)
    };
    tokio::select! {
        passed = passes => return passed,
        _ = era.wait_for(|now| *now != own) => {}
    }
    // Held, for nobody is to notice.
    std::future::pending().await
}
