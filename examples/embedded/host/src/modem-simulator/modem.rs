//! The modem, and the script of its faults.

use std::collections::VecDeque;
use std::fmt;

use crate::plan;

/// What happens to the modem.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The modem hangs.
    Silent,
    /// The modem works again, as after a restart.
    Back,
    /// The network drops the context, and has no resources for a new one.
    Congestion,
    /// The SIM card fails; is taken out; is put in.
    SimFails,
    SimOut,
    SimIn,
    PowerDown,
    PowerUp,
}

const SCRIPT: [(u32, Event); 10] = [
    (plan::GUARDED, Event::Silent),
    (plan::GUARDED + plan::OUTAGE, Event::Back),
    (plan::CONGESTED, Event::Congestion),
    (plan::SIM_FAILS, Event::SimFails),
    (plan::SIM_OUT, Event::SimOut),
    (plan::SIM_IN, Event::SimIn),
    (plan::POWER_DOWN, Event::PowerDown),
    (plan::POWER_UP, Event::PowerUp),
    (plan::UNGUARDED, Event::Silent),
    (plan::UNGUARDED + plan::OUTAGE, Event::Back),
];

/// The data that the modem expects after a prompt.
#[derive(Clone, Copy, Debug)]
enum Data {
    Datagram { length: usize },
    Text,
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The modem neither hears nor says anything.
    Dead,
    On,
    Attached,
    Context,
    Socket,
}

/// Whether the network accepts a context.
#[derive(Clone, Copy, Debug)]
enum Network {
    Free,
    /// The network refuses, and has not yet said for how long.
    Full,
    /// The network refuses until this time.
    FullUntil(u32),
}

/// What the board sent to the modem while it was silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Outage {
    bytes: u32,
    /// Commands, without those of the supervisor. A dialogue comes no further than its first command.
    dialogues: u32,
}

#[derive(Debug)]
pub(crate) struct Modem {
    now: u32,
    script: VecDeque<(u32, Event)>,
    pins: u8,
    /// What the modem will say, and when, in order of time.
    speech: VecDeque<(u32, Vec<u8>)>,
    /// The part of a command or of data that has arrived.
    heard: Vec<u8>,
    data: Option<Data>,

    stage: Stage,
    network: Network,
    /// The error of TS 27.007 about the SIM card with which the modem refuses to attach.
    sim_error: Option<u16>,

    /// The numbers of the batches that arrived.
    batches: Vec<u32>,
    texts: u32,
    outages: Vec<Outage>,
    complaints: Vec<String>,
    agreed: bool,
}

impl Modem {
    pub(crate) fn new() -> Self {
        Self {
            now: 0,
            script: SCRIPT.into(),
            pins: plan::PIN_SIM | plan::PIN_POWER,
            speech: VecDeque::new(),
            heard: Vec::new(),
            data: None,
            stage: Stage::On,
            network: Network::Free,
            sim_error: None,
            batches: Vec::new(),
            texts: 0,
            outages: Vec::new(),
            complaints: Vec::new(),
            agreed: false,
        }
    }

    pub(crate) fn pins(&self) -> u8 {
        self.pins
    }

    /// When the modem next does something by itself.
    pub(crate) fn next(&self) -> Option<u32> {
        let speech = self.speech.front().map(|&(at, _)| at);
        let script = self.script.front().map(|&(at, _)| at);
        speech.into_iter().chain(script).min()
    }

    /// Moves the modem's time on to `now`, the board's.
    pub(crate) fn advance(&mut self, now: u32) {
        if now < self.now {
            self.complain(&format!("time went back from {} to {now} ms", self.now));
        }
        self.now = now;
        while let Some(&(at, event)) = self.script.front()
            && at <= now
        {
            self.script.pop_front();
            self.befall(event);
        }
    }

    /// Takes what the modem has said by now, at most `most` bytes.
    pub(crate) fn take(&mut self, most: usize) -> Vec<u8> {
        let mut said = Vec::new();
        while let Some((at, bytes)) = self.speech.front_mut()
            && *at <= self.now
            && said.len() < most
        {
            let count = bytes.len().min(most - said.len());
            said.extend(bytes.drain(..count));
            if bytes.is_empty() {
                self.speech.pop_front();
            }
        }
        said
    }

    /// Receives bytes that the board sent.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        if self.stage == Stage::Dead {
            if let Some(outage) = self.outages.last_mut().filter(|_| self.pins & plan::PIN_POWER != 0) {
                outage.bytes += u32::try_from(bytes.len()).expect("a frame");
                outage.dialogues += u32::from(bytes != b"AT\r");
            }
            return;
        }
        for &byte in bytes {
            self.heard.push(byte);
            let complete = match self.data {
                None => byte == b'\r',
                Some(Data::Datagram { length }) => self.heard.len() == length,
                Some(Data::Text) => byte == 0x1A,
            };
            if complete {
                let heard = String::from_utf8_lossy(&std::mem::take(&mut self.heard)).into_owned();
                match self.data.take() {
                    None => self.command(heard.trim_end()),
                    Some(Data::Datagram { length }) => self.datagram(&heard, length),
                    Some(Data::Text) => self.text(&heard),
                }
            }
        }
    }

    /// Compares the board's counts with the modem's own. `true`: they agree.
    pub(crate) fn compare(&mut self, books: &[u8]) -> bool {
        let books: Vec<u32> =
            books.chunks_exact(4).map(|word| u32::from_le_bytes(word.try_into().expect("4"))).collect();
        let [measured, sent, dropped, kept, guarded_bytes, guarded, unguarded_bytes, unguarded] = books[..] else {
            self.complain(&format!("books of {} entries", books.len()));
            return false;
        };
        let arrived = u32::try_from(self.batches.len()).expect("a few hundred");
        let ascending = self.batches.is_sorted_by(|a, b| a < b);
        let outages = [
            Outage { bytes: guarded_bytes, dialogues: guarded },
            Outage { bytes: unguarded_bytes, dialogues: unguarded },
        ];
        for (same, what) in [
            (arrived == sent, format!("{arrived} batches arrived, {sent} were sent")),
            (measured == arrived + dropped + kept, format!("{dropped} were dropped, {kept} kept, of {measured}")),
            (ascending, format!("batches in the wrong order, or twice: {:?}", self.batches)),
            (self.outages == outages, format!("{:?} went to the silent modem, not {outages:?}", self.outages)),
            (guarded_bytes * 2 < unguarded_bytes, "the breaker spared less than half".to_owned()),
            (self.script.is_empty(), format!("not yet done: {:?}", self.script)),
        ] {
            if !same {
                self.complain(&what);
            }
        }
        self.agreed = self.complaints.is_empty();
        self.agreed
    }

    /// Whether the counts were compared and agreed.
    pub(crate) fn agreed(&self) -> bool {
        self.agreed
    }

    fn complain(&mut self, complaint: &str) {
        self.complaints.push(format!("{} ms: {complaint}", self.now));
    }

    fn befall(&mut self, event: Event) {
        match event {
            Event::Silent => {
                self.outages.push(Outage::default());
                self.restart(Stage::Dead);
            }
            Event::Back => self.restart(Stage::On),
            Event::Congestion => {
                self.network = Network::Full;
                self.stage = self.stage.min(Stage::Attached);
                self.say(0, "+UUPSDD: 0");
            }
            Event::SimFails => {
                self.sim_error = Some(13);
                self.stage = self.stage.min(Stage::On);
                self.say(0, "+CREG: 0");
            }
            Event::SimOut => {
                self.sim_error = Some(10);
                self.pins &= !plan::PIN_SIM;
            }
            Event::SimIn => {
                self.sim_error = None;
                self.pins |= plan::PIN_SIM;
            }
            Event::PowerDown => {
                self.restart(Stage::Dead);
                self.pins &= !plan::PIN_POWER;
                self.say(0, "NORMAL POWER DOWN");
            }
            Event::PowerUp => {
                self.restart(Stage::On);
                self.pins |= plan::PIN_POWER;
                self.say(2_500, "RDY");
            }
        }
    }

    /// The modem forgets everything, and is at `stage`.
    fn restart(&mut self, stage: Stage) {
        self.stage = stage;
        self.data = None;
        self.heard.clear();
        self.speech.clear();
    }

    /// Says a line after `after` ms.
    fn say(&mut self, after: u32, line: &str) {
        self.speak(after, format!("\r\n{line}\r\n"));
    }

    fn speak(&mut self, after: u32, text: String) {
        let at = self.now + after;
        let place = self.speech.partition_point(|&(other, _)| other <= at);
        self.speech.insert(place, (at, text.into_bytes()));
    }

    fn command(&mut self, command: &str) {
        match command {
            "AT" => self.say(20, "OK"),
            "AT+CGATT=1" => match self.sim_error {
                Some(error) => self.say(150, &format!("+CME ERROR: {error}")),
                None if self.stage >= Stage::Attached => self.say(50, "OK"),
                None => {
                    self.stage = Stage::Attached;
                    self.say(800, "OK");
                    self.say(810, "+CREG: 1");
                }
            },
            "AT+CGACT=1,1" => self.activate(),
            "AT+CABTRDP" => {
                let seconds = match self.network {
                    Network::FullUntil(until) => until.saturating_sub(self.now).div_ceil(1000),
                    Network::Free | Network::Full => 0,
                };
                self.say(30, &format!("+CABTRDP: \"iot.example\",{seconds}\r\n\r\nOK"));
            }
            "AT+USOCR=17" if self.stage == Stage::Context => {
                self.stage = Stage::Socket;
                self.say(60, "+USOCR: 0\r\n\r\nOK");
            }
            "AT+USOCL=0" if self.stage == Stage::Socket => {
                self.stage = Stage::Context;
                self.say(90, "OK");
            }
            "AT+CMGS=\"+15550100\"" if self.stage >= Stage::Attached => {
                self.data = Some(Data::Text);
                self.speak(30, "\r\n> ".to_owned());
            }
            _ => match command.strip_prefix("AT+USOST=0,\"192.0.2.7\",7000,").map(str::parse) {
                Some(Ok(length)) if self.stage == Stage::Socket => {
                    self.data = Some(Data::Datagram { length });
                    self.speak(30, "\r\n@".to_owned());
                }
                // "Operation not allowed": the socket or the context is gone.
                _ => self.say(30, "+CME ERROR: 3"),
            },
        }
    }

    fn activate(&mut self) {
        let until = match self.network {
            Network::Free => self.now,
            // The first refusal starts the network's timer.
            Network::Full => self.now + plan::BACK_OFF * 1000,
            Network::FullUntil(until) => until,
        };
        if self.now < until {
            self.network = Network::FullUntil(until);
            self.say(400, "+CME ERROR: 126");
        } else if self.stage >= Stage::Attached {
            self.network = Network::Free;
            self.stage = Stage::Context;
            self.say(300, "OK");
        } else {
            self.say(50, "+CME ERROR: 148");
        }
    }

    fn datagram(&mut self, text: &str, length: usize) {
        match text.split_once(' ').map(|(number, value)| (number.parse(), value.parse::<i16>())) {
            Some((Ok(number), Ok(_))) => {
                self.batches.push(number);
                // The board should drop the oldest batches. So no batch is older than the number that it keeps, plus
                // the time to connect.
                let fit = u32::try_from(plan::KEPT).expect("a few") + 2;
                let age = self.now.saturating_sub(number * plan::BATCH_EVERY);
                if age > fit * plan::BATCH_EVERY {
                    self.complain(&format!("batch {number} is {age} ms old"));
                }
            }
            _ => self.complain(&format!("a datagram {text:?}")),
        }
        self.say(250, &format!("+USOST: 0,{length}\r\n\r\nOK"));
    }

    fn text(&mut self, text: &str) {
        self.texts += 1;
        if !text.ends_with(" lost\x1A") {
            self.complain(&format!("a text message {text:?}"));
        }
        // The first message does not get through: "network out of order".
        if self.texts == 1 {
            self.say(1_500, "+CMS ERROR: 38");
        } else {
            self.say(700, &format!("+CMGS: {}\r\n\r\nOK", self.texts));
        }
    }
}

impl fmt::Display for Modem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for complaint in &self.complaints {
            writeln!(f, "simulator: {complaint}")?;
        }
        let (batches, texts) = (self.batches.len(), self.texts);
        write!(f, "simulator: {batches} batches and {texts} text messages arrived in {} s", self.now / 1000)?;
        for Outage { bytes, dialogues } in &self.outages {
            write!(f, "; silent to {bytes} bytes in {dialogues} dialogues")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a command, and returns what the modem says within a second.
    fn ask(modem: &mut Modem, command: &str) -> String {
        modem.receive(command.as_bytes());
        modem.advance(modem.now + 1000);
        String::from_utf8(modem.take(1000)).unwrap()
    }

    fn connected() -> Modem {
        let mut modem = Modem::new();
        for command in ["AT+CGATT=1\r", "AT+CGACT=1,1\r", "AT+USOCR=17\r"] {
            assert!(ask(&mut modem, command).contains("OK"), "{command}");
        }
        modem
    }

    fn send(modem: &mut Modem, batch: &str) {
        let command = format!("AT+USOST=0,\"192.0.2.7\",7000,{}\r", batch.len());
        assert_eq!(ask(modem, &command), "\r\n@");
        assert_eq!(ask(modem, batch), format!("\r\n+USOST: 0,{}\r\n\r\nOK\r\n", batch.len()));
    }

    /// Compares the counts of a board that measured `measured` batches and sent `sent`.
    fn books(modem: &mut Modem, measured: u32, sent: u32) -> bool {
        modem.script.clear();
        modem.outages = vec![Outage { bytes: 1, dialogues: 1 }, Outage { bytes: 3, dialogues: 3 }];
        let words = [measured, sent, measured - sent, 0, 1, 1, 3, 3];
        modem.compare(&words.map(u32::to_le_bytes).concat())
    }

    #[test]
    fn books_that_agree_are_found_good() {
        let mut modem = connected();
        send(&mut modem, "1 215");
        send(&mut modem, "3 216");
        assert!(books(&mut modem, 3, 2), "{modem}");
    }

    #[test]
    fn a_batch_that_never_came_is_missed() {
        let mut modem = connected();
        send(&mut modem, "1 215");
        assert!(!books(&mut modem, 2, 2));
    }

    #[test]
    fn a_batch_that_came_twice_is_noticed() {
        let mut modem = connected();
        send(&mut modem, "1 215");
        send(&mut modem, "1 215");
        assert!(!books(&mut modem, 2, 2));
    }

    #[test]
    fn silence_swallows_what_was_to_be_said_and_counts_what_is_heard() {
        let mut modem = connected();
        modem.receive(b"AT\r");
        modem.advance(plan::GUARDED);
        assert_eq!(ask(&mut modem, "AT\r"), "");
        assert_eq!(ask(&mut modem, "AT+CGATT=1\r"), "");
        assert_eq!(modem.outages, [Outage { bytes: 14, dialogues: 1 }]);
    }

    #[test]
    fn the_network_counts_its_back_off_down() {
        let mut modem = connected();
        modem.script.clear();
        modem.befall(Event::Congestion);
        assert_eq!(ask(&mut modem, "AT+CGACT=1,1\r"), "\r\n+UUPSDD: 0\r\n\r\n+CME ERROR: 126\r\n");
        assert!(ask(&mut modem, "AT+CABTRDP\r").contains("\"iot.example\",89"));
        modem.advance(modem.now + 88_000);
        assert_eq!(ask(&mut modem, "AT+CGACT=1,1\r"), "\r\nOK\r\n");
    }
}
