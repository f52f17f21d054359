//! The modem's language: commands of 3GPP TS 27.007 and, for sockets, those of u-blox. `atat` writes the commands,
//! parses the answers, and separates them from messages that come unasked.

use core::marker::PhantomData;

use atat::atat_derive::{AtatCmd, AtatResp, AtatUrc};
use atat::serde_at::{self, serde::de::DeserializeOwned};
use atat::{AtDigester, AtatCmd, Config, Error, Ingress, InternalError, ResponseSlot, UrcChannel, UrcSubscription};
use board::uart;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::mutex::Mutex;
use embedded_io_async::{ErrorType, Write};
use heapless::String;
use static_cell::StaticCell;

use crate::ledger;

const BUFFER: usize = 96;
const URCS: usize = 4;

#[derive(Clone, AtatResp)]
pub(crate) struct Nothing;

/// Ask whether the modem is there.
#[derive(AtatCmd)]
#[at_cmd("", Nothing, timeout_ms = 1_000)]
pub(crate) struct At;

/// Attach to the network. (A real modem may take minutes. The time limit here suits the story.)
#[derive(AtatCmd)]
#[at_cmd("+CGATT=1", Nothing, timeout_ms = 10_000)]
pub(crate) struct Attach;

/// Activate the context that carries the data.
#[derive(AtatCmd)]
#[at_cmd("+CGACT=1,1", Nothing, timeout_ms = 10_000)]
pub(crate) struct Activate;

/// Ask how long the network wants to be left alone: the remaining time of its timer T3396.
#[derive(AtatCmd)]
#[at_cmd("+CABTRDP", BackOff)]
pub(crate) struct ReadBackOff;

#[derive(Clone, AtatResp)]
pub(crate) struct BackOff {
    pub(crate) apn: String<24>,
    pub(crate) seconds: u32,
}

/// Open a UDP socket.
#[derive(AtatCmd)]
#[at_cmd("+USOCR=17", Socket, timeout_ms = 10_000)]
pub(crate) struct OpenSocket;

#[derive(Clone, AtatResp)]
pub(crate) struct Socket {
    pub(crate) number: u8,
}

/// Announce a datagram. The modem answers with a prompt. Then [`Data`] follows, and the modem's answer to that.
#[derive(AtatCmd)]
#[at_cmd("+USOST", Nothing, timeout_ms = 2_000)]
pub(crate) struct SendTo {
    pub(crate) socket: u8,
    pub(crate) address: String<15>,
    pub(crate) port: u16,
    pub(crate) length: usize,
}

#[derive(Clone, AtatResp)]
pub(crate) struct Sent {
    pub(crate) socket: u8,
    pub(crate) length: usize,
}

#[derive(AtatCmd)]
#[at_cmd("+USOCL", Nothing, timeout_ms = 2_000)]
pub(crate) struct CloseSocket {
    pub(crate) socket: u8,
}

/// Announce a text message. The modem answers with a prompt. Then [`Data`] that ends in control-Z follows, and the
/// modem's answer to that.
#[derive(AtatCmd)]
#[at_cmd("+CMGS", Nothing, timeout_ms = 2_000)]
pub(crate) struct SendText {
    pub(crate) number: String<16>,
}

#[derive(Clone, AtatResp)]
pub(crate) struct TextSent {
    #[expect(dead_code, reason = "that there is one is the answer")]
    pub(crate) reference: u8,
}

/// The bytes that follow a prompt, unchanged. `R` is the modem's answer to them.
pub(crate) struct Data<'a, R>(&'a [u8], PhantomData<R>);

impl<'a, R> Data<'a, R> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes, PhantomData)
    }
}

impl<R: atat::AtatResp + DeserializeOwned> AtatCmd for Data<'_, R> {
    type Response = R;
    const MAX_TIMEOUT_MS: u32 = 10_000;

    fn write(&self, buffer: &mut [u8]) -> usize {
        buffer[..self.0.len()].copy_from_slice(self.0);
        self.0.len()
    }

    fn parse(&self, answer: Result<&[u8], InternalError<'_>>) -> Result<R, Error> {
        serde_at::from_slice(answer?).map_err(|_| Error::Parse)
    }
}

/// What the modem says unasked.
#[derive(Clone, AtatUrc, defmt::Format)]
pub(crate) enum Urc {
    #[at_urc("+CREG")]
    Registration(Registration),
    #[at_urc("+UUPSDD")]
    ContextLost(Context),
    #[at_urc("RDY")]
    Ready,
    #[at_urc("NORMAL POWER DOWN")]
    PowerDown,
}

#[derive(Clone, AtatResp, defmt::Format)]
pub(crate) struct Registration {
    /// 0 none, 1 at home, 2 searching, 3 denied, 5 roaming.
    pub(crate) state: u8,
}

#[derive(Clone, AtatResp, defmt::Format)]
pub(crate) struct Context {
    pub(crate) profile: u8,
}

/// The sending half of the UART. It counts the bytes.
pub(crate) struct Counted(uart::Tx);

impl ErrorType for Counted {
    type Error = <uart::Tx as ErrorType>::Error;
}

impl Write for Counted {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Self::Error> {
        let sent = self.0.write(bytes).await?;
        ledger::update(|ledger| ledger.bytes += sent as u32);
        Ok(sent)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.0.flush().await
    }
}

/// The modem. One task at a time may use it.
pub(crate) type Client = atat::asynch::Client<'static, Counted, BUFFER>;
pub(crate) type Shared = Mutex<CriticalSectionRawMutex, Client>;
pub(crate) type Receiver = Ingress<'static, AtDigester<Urc>, Urc, BUFFER, URCS, 1>;
pub(crate) type Urcs = UrcSubscription<'static, Urc, URCS, 1>;

/// Connects `atat` to the UART.
pub(crate) fn connect(tx: uart::Tx) -> (&'static Shared, Receiver, Urcs) {
    static ANSWER: ResponseSlot<BUFFER> = ResponseSlot::new();
    static CHANNEL: UrcChannel<Urc, URCS, 1> = UrcChannel::new();
    static RECEIVED: StaticCell<[u8; BUFFER]> = StaticCell::new();
    static COMMAND: StaticCell<[u8; BUFFER]> = StaticCell::new();
    static CLIENT: StaticCell<Shared> = StaticCell::new();

    let client = Client::new(Counted(tx), &ANSWER, COMMAND.init([0; BUFFER]), Config::new());
    let receiver = Ingress::new(AtDigester::new(), RECEIVED.init([0; BUFFER]), &ANSWER, &CHANNEL);
    let urcs = CHANNEL.subscribe().expect("the only subscriber");
    (CLIENT.init(Mutex::new(client)), receiver, urcs)
}
