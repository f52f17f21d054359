//! A client that is created when it is first needed, behind the breaker that guards its calls.
//!
//! A [`Lazy`] is for clients whose creation reaches the peer and can fail, such as a database connection: one caller
//! connects and the others wait or are rejected. After a caller has discarded a lost connection, the next call connects
//! anew.

use core::fmt;
use core::future::Future;
use core::ptr;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use async_lock::Mutex;

use crate::breaker::gate::{GateHolder, Report};
use crate::breaker::timed::Timed;
use crate::terms::outcome::{AnyError, Classify, FailureKind, Outcome};
use crate::terms::rejected::{Error, Rejected};

/// A client `T`, created at the first admitted call, and the [gate](crate::Gate) that its creation and its calls go through: a
/// breaker by reference, by `Arc`, and so on. It works on any runtime.
///
/// One caller creates the client and the others wait for it. If the breaker would admit no call when a caller comes,
/// that caller is rejected at once and does not wait for a creation that may hang. A caller asks the breaker for its
/// permit only when it is its turn to create. So if failures have opened the circuit meanwhile, the callers that waited
/// are rejected instead of trying one after the other. A creation that fails is a failure of the peer, and the next
/// caller tries again. Once there is a client, getting it takes no lock and writes only the count of the `Arc` that it
/// gives.
///
/// ```
/// use microbreaker::lazy::Lazy;
/// use microbreaker::{Breaker, Config, Error, ManualClock, Streak};
///
/// static CLOCK: ManualClock = ManualClock::new();
/// static BREAKER: Breaker<Streak, &ManualClock> = Breaker::new(Config::database(), &CLOCK);
/// static DB: Lazy<Client, &Breaker<Streak, &ManualClock>> = Lazy::new(&BREAKER);
///
/// struct Client;
/// enum Fault { Connection, Query }
/// impl Client {
///     async fn connect() -> Result<Self, Fault> { Ok(Self) }
///     async fn query(&self) -> Result<u32, Fault> { Ok(1) }
/// }
///
/// async fn rows() -> Result<u32, Error<Fault>> {
///     DB.call(Client::connect, async |client| {
///         let result = client.query().await;
///         if let Err(Fault::Connection) = result {
///             DB.discard(&client); // the next call connects anew
///         }
///         result
///     }).await
/// }
/// # let _ = rows();
/// ```
pub struct Lazy<T, G> {
    breaker: G,
    client: ArcSwapOption<T>,
    /// The caller that holds this may create.
    turn: Mutex<()>,
}

impl<T, G> Lazy<T, G> {
    /// A client behind this gate that is not created yet.
    pub const fn new(breaker: G) -> Self {
        Self { breaker, client: ArcSwapOption::const_empty(), turn: Mutex::new(()) }
    }

    /// The gate that calls go through: as a rule, the breaker.
    pub const fn breaker(&self) -> &G {
        &self.breaker
    }

    /// The client, if there is one. The breaker is not asked.
    pub fn current(&self) -> Option<Arc<T>> {
        self.client.load_full()
    }

    /// Drops the client after an error from which it cannot recover, so that the next call creates another one. `false`
    /// if `client` is not the present client: of many calls that failed by one client, only the first drops it, and
    /// none of them drops a newer client.
    ///
    /// A caller that still has the client keeps its own `Arc` of it.
    pub fn discard(&self, client: &Arc<T>) -> bool {
        let present = Arc::as_ptr(client);
        // The caller's own count keeps the client alive, so that no newer client can have its address meanwhile.
        let before = self.client.compare_and_swap(present, None);
        before.as_ref().is_some_and(|before| ptr::eq(Arc::as_ptr(before), present))
    }
}

impl<T, G: GateHolder + Clone> Lazy<T, G> {
    /// The client. If there is none, it is created on a permit of its own, which is reported as a success or a failure.
    /// A client that exists is given out whatever the state of the circuit is; guard the calls that you make with it.
    ///
    /// Use this if the creation reaches the peer (a connection, a login). A creation that does not reach the peer says
    /// nothing about its health: use [`call`](Self::call), which reports the call instead.
    ///
    /// Cancel safety: if the future is dropped while it waits, nothing has happened. If it is dropped while it creates,
    /// the permit is dropped (see [`Permit`](crate::Permit)) and the next caller may create.
    pub async fn get<E, F>(&self, create: impl FnOnce() -> F) -> Result<Arc<T>, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        let (client, permit) = self.obtain(create).await?;
        if let Some(permit) = permit {
            permit.stop().record(Outcome::Success);
        }
        Ok(client)
    }

    /// Makes a call with the client. If there is no client, it is created first, on the permit of the call. `Ok` is a
    /// success and `Err` a failure, also of the creation; if the creation fails, the call is not made.
    ///
    /// The call that creates the client holds its permit during the creation, so the creation counts towards its time.
    /// The wait for another caller's creation does not count.
    ///
    /// Cancel safety: as for [`get`](Self::get). A client that was created stays.
    pub async fn call<R, E, F, A>(
        &self,
        create: impl FnOnce() -> F,
        call: impl FnOnce(Arc<T>) -> A,
    ) -> Result<R, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        A: Future<Output = Result<R, E>>,
    {
        self.call_with(&AnyError, create, call).await
    }

    /// [`call`](Self::call), with a classification of the call's result. A creation that fails is a failure in any
    /// case.
    pub async fn call_with<R, E, F, A>(
        &self,
        classify: &impl Classify<Result<R, E>>,
        create: impl FnOnce() -> F,
        call: impl FnOnce(Arc<T>) -> A,
    ) -> Result<R, Error<E>>
    where
        F: Future<Output = Result<T, E>>,
        A: Future<Output = Result<R, E>>,
    {
        let (client, permit) = self.obtain(create).await?;
        let permit = match permit {
            Some(permit) => permit,
            None => self.permit()?,
        };
        let result = call(client).await;
        permit.stop().record(classify.classify(&result));
        result.map_err(Error::Inner)
    }

    /// A permit for a call, whose time begins to run.
    fn permit(&self) -> Result<Timed<G::Permit>, Rejected> {
        self.breaker.clone().enter().map(Timed::start)
    }

    /// The client. If it was created just now, the permit comes with it and is still to be reported.
    async fn obtain<E, F>(&self, create: impl FnOnce() -> F) -> Result<(Arc<T>, Option<Timed<G::Permit>>), Error<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        if let Some(client) = self.current() {
            return Ok((client, None));
        }
        // A caller that would not be admitted does not wait: the creation under way may hang, for example as the only
        // probe.
        if let Err(rejected) = self.breaker.look() {
            // `enter` was not called, so the observer has not been notified.
            self.breaker.notify_rejected(rejected.reason());
            return Err(Error::Rejected(rejected));
        }
        let _turn = self.turn.lock().await;
        // The caller before may have created it.
        if let Some(client) = self.current() {
            return Ok((client, None));
        }
        let permit = self.permit()?;
        match create().await {
            Ok(client) => {
                let client = Arc::new(client);
                self.client.store(Some(Arc::clone(&client)));
                Ok((client, Some(permit)))
            }
            Err(error) => {
                permit.stop().record(Outcome::Failure(FailureKind::Other));
                Err(Error::Inner(error))
            }
        }
    }
}

impl<T, G> fmt::Debug for Lazy<T, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").field("created", &self.current().is_some()).finish_non_exhaustive()
    }
}
