//! `defmt-decode ELF`: decodes the log of that firmware from standard input, line by line as it comes.

use std::error::Error;
use std::io::{Read, Write};
use std::{env, fs, io};

use defmt_decoder::{DecodeError, Table};

fn main() -> Result<(), Box<dyn Error>> {
    let elf = fs::read(env::args_os().nth(1).ok_or("usage: defmt-decode ELF <LOG")?)?;
    let Some(table) = Table::parse(&elf)? else {
        // Firmware without defmt prints plain text.
        io::copy(&mut io::stdin().lock(), &mut io::stdout().lock())?;
        return Ok(());
    };
    let mut decoder = table.new_stream_decoder();
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut buffer = [0; 4096];
    loop {
        let count = input.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        decoder.received(&buffer[..count]);
        loop {
            match decoder.decode() {
                Ok(frame) => writeln!(output, "{}", frame.display(false))?,
                Err(DecodeError::UnexpectedEof) => break,
                Err(DecodeError::Malformed) => return Err("not a log of this firmware".into()),
            }
        }
    }
}
