//! The dependency that is called: the database or the cache of the example service, with the service's own code.

use std::time::Duration;

use host::gateway::dependency::{Cache, Database, Fault};
use tokio::time::sleep;

/// The number of connections to PostgreSQL, less than that of the clients.
const POOL: usize = 4;

/// A dependency of a service.
pub(crate) enum Target {
    Postgres(Database),
    Redis(Box<Cache>),
}

impl Target {
    pub(crate) fn postgres(port: u16) -> Self {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(port).user("postgres").dbname("postgres");
        Self::Postgres(Database::new(config, POOL))
    }

    pub(crate) fn redis(port: u16) -> Self {
        Self::Redis(Box::new(Cache::new(redis::Client::open(("127.0.0.1", port)).expect("an address"))))
    }

    /// One call.
    pub(crate) async fn ask(&self) -> Result<(), Fault> {
        match self {
            Self::Postgres(database) => database.time().await.map(drop),
            Self::Redis(cache) => {
                cache.set("time", "now").await?;
                cache.get("time").await.map(drop)
            }
        }
    }

    /// Takes all connections for `time`, so that no client gets one.
    pub(crate) async fn exhaust(&self, time: Duration) {
        let Self::Postgres(database) = self else { return };
        let mut held = Vec::new();
        // Takes them one by one and waits for each, because the clients take them too.
        while held.len() < POOL {
            held.extend(database.pool().get().await.ok());
        }
        sleep(time).await;
    }
}
