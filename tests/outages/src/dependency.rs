//! What is called through the breaker: a query to PostgreSQL by a pool, a command to Redis, and what their errors mean.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Pool, PoolError, RecyclingMethod, Runtime, TimeoutType};
use microbreaker::{FailureKind, Outcome};
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_postgres::NoTls;

/// How long a call may take, its connection included.
pub(crate) const PATIENCE: Duration = Duration::from_millis(150);

/// Connections to PostgreSQL: fewer than there are clients.
pub(crate) const POOL: usize = 4;

/// A dependency of a service.
pub(crate) enum Dependency {
    Postgres(Pool),
    Redis(Box<Redis>),
}

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum Fault {
    /// No answer in time.
    Late,
    Postgres(PoolError),
    Redis(redis::RedisError),
}

impl Dependency {
    pub(crate) fn postgres(port: u16) -> Self {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(port).user("postgres").dbname("postgres").connect_timeout(PATIENCE);
        let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
        let pool = Pool::builder(manager)
            .max_size(POOL)
            // A turn in the pool is waited for less long than an answer: so a call that had a connection, and not one
            // that waited for it, says whether the database answers.
            .wait_timeout(Some(PATIENCE / 3))
            .create_timeout(Some(PATIENCE))
            .runtime(Runtime::Tokio1)
            .build();
        Self::Postgres(pool.expect("a pool with a runtime"))
    }

    pub(crate) fn redis(port: u16) -> Self {
        let client = redis::Client::open(("127.0.0.1", port)).expect("an address");
        Self::Redis(Box::new(Redis { client, connection: Mutex::new(None) }))
    }

    /// One call, over in [`PATIENCE`].
    pub(crate) async fn ask(&self) -> Result<(), Fault> {
        let call = async {
            match self {
                Self::Postgres(pool) => {
                    let connection = pool.get().await.map_err(Fault::Postgres)?;
                    let row = connection.query_one("SELECT 1", &[]).await;
                    row.map(drop).map_err(|error| Fault::Postgres(PoolError::Backend(error)))
                }
                Self::Redis(redis) => redis.ping().await.map_err(Fault::Redis),
            }
        };
        timeout(PATIENCE, call).await.unwrap_or(Err(Fault::Late))
    }

    /// Takes all connections for `time`, so that nobody else gets one.
    pub(crate) async fn exhaust(&self, time: Duration) {
        let Self::Postgres(pool) = self else { return };
        let mut held = Vec::new();
        // With patience: others want them too.
        while held.len() < POOL {
            held.extend(pool.get().await.ok());
        }
        tokio::time::sleep(time).await;
    }
}

/// A connection that all clients share, made anew after it broke.
pub(crate) struct Redis {
    client: redis::Client,
    connection: Mutex<Option<MultiplexedConnection>>,
}

impl Redis {
    async fn ping(&self) -> Result<(), redis::RedisError> {
        let mut connection = {
            let mut present = self.connection.lock().await;
            if let Some(connection) = &*present {
                connection.clone()
            } else {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(PATIENCE))
                    .set_response_timeout(Some(PATIENCE));
                let new = self.client.get_multiplexed_async_connection_with_config(&config).await?;
                present.insert(new).clone()
            }
        };
        let answer = redis::cmd("PING").query_async::<()>(&mut connection).await;
        if answer.as_ref().is_err_and(redis::RedisError::is_unrecoverable_error) {
            *self.connection.lock().await = None;
        }
        answer
    }
}

/// What a call came to, for the breaker.
pub(crate) fn classify(result: &Result<(), Fault>) -> Outcome {
    match result {
        Ok(()) => Outcome::Success,
        // Nobody had a connection to spare: it was our pool that could not, not the database.
        Err(Fault::Postgres(PoolError::Timeout(TimeoutType::Wait))) => Outcome::Ignored,
        Err(Fault::Late | Fault::Postgres(PoolError::Timeout(_))) => Outcome::Failure(FailureKind::Timeout),
        // It answered, and said no: the query's fault.
        Err(Fault::Postgres(PoolError::Backend(error)))
            if error.code().is_some_and(|code| !UNWELL.contains(&&code.code()[..2])) =>
        {
            Outcome::Alive
        }
        Err(Fault::Postgres(PoolError::Backend(error))) => Outcome::Failure(match error.code() {
            Some(_) => FailureKind::Server,
            None if error.is_closed() => FailureKind::Reset,
            None => FailureKind::Refused,
        }),
        Err(Fault::Postgres(_)) => Outcome::Failure(FailureKind::Other),
        Err(Fault::Redis(error)) if error.is_timeout() => Outcome::Failure(FailureKind::Timeout),
        Err(Fault::Redis(error)) if error.is_connection_refusal() => Outcome::Failure(FailureKind::Refused),
        Err(Fault::Redis(error)) if error.is_io_error() => Outcome::Failure(FailureKind::Reset),
        Err(Fault::Redis(_)) => Outcome::Failure(FailureKind::Server),
    }
}

/// The classes of SQLSTATE that speak against the server: connection exceptions, insufficient resources, operator
/// intervention (it shuts down or starts up), system errors, internal errors.
const UNWELL: [&str; 5] = ["08", "53", "57", "58", "XX"];
