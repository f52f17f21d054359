//! `modem-simulator COMMAND…`: runs a firmware under QEMU (`cargo run …`, with `SERIAL` set for its runner) and
//! simulates the modem at the other end of its UART, in the firmware's own virtual time. It exits with the command's
//! code, or with 1 if the firmware's counts differ from its own.

mod modem;
#[path = "../../../stories/modem/plan.rs"]
#[expect(dead_code, reason = "the application needs more of it")]
mod plan;

use std::error::Error;
use std::io::{self, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Command, ExitCode};
use std::time::Duration;
use std::{env, fs, process, thread};

use modem::Modem;

/// The most bytes of a frame to the board.
const FRAME: usize = 64;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let program = arguments.next().ok_or("usage: modem-simulator COMMAND…")?;
    let directory = env::temp_dir().join(format!("modem-simulator-{}", process::id()));
    fs::create_dir(&directory)?;
    let result = run(Command::new(program).args(arguments), &directory.join("uart"));
    fs::remove_dir_all(&directory)?;
    result
}

fn run(command: &mut Command, socket: &std::path::Path) -> Result<ExitCode, Box<dyn Error>> {
    let listener = UnixListener::bind(socket)?;
    let mut child = command.env("SERIAL", socket).spawn()?;
    let mut modem = Modem::new();
    let served = match accept(&listener, &mut child)? {
        Some(stream) => serve(stream, &mut modem),
        None => Err("nobody connected to the UART".into()),
    };
    let status = child.wait()?;
    eprintln!("{modem}");
    if let Err(error) = served {
        eprintln!("simulator: {error}");
    } else if status.success() && modem.agreed() {
        return Ok(ExitCode::SUCCESS);
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
    Ok(ExitCode::from(code.max(1)))
}

/// Waits for QEMU to connect. `None`: the command ended before that. The command may have to build first.
fn accept(listener: &UnixListener, child: &mut Child) -> io::Result<Option<UnixStream>> {
    listener.set_nonblocking(true)?;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                return Ok(Some(stream));
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if child.try_wait()?.is_some() {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Answers the board's frames until the board hangs up. `shared/uart.rs` describes the frames.
fn serve(mut stream: UnixStream, modem: &mut Modem) -> Result<(), Box<dyn Error>> {
    let mut board = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = [0; 6];
        match board.read_exact(&mut head) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            result => result?,
        }
        let [what, a, b, c, d, count] = head;
        let now = u32::from_le_bytes([a, b, c, d]);
        let mut bytes = vec![0; usize::from(count)];
        board.read_exact(&mut bytes)?;

        modem.advance(now);
        let received = match what {
            0 => modem.take(FRAME),
            1 => {
                modem.receive(&bytes);
                modem.take(FRAME)
            }
            2 => vec![u8::from(modem.compare(&bytes))],
            other => return Err(format!("frame {other} at {now} ms").into()),
        };
        let mut answer = modem.next().unwrap_or(u32::MAX).to_le_bytes().to_vec();
        answer.push(modem.pins());
        answer.push(u8::try_from(received.len())?);
        answer.extend(received);
        stream.write_all(&answer)?;
    }
}
