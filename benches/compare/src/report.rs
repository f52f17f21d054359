//! Writes `benches/RESULTS.md`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{fs, io};

use crate::limits::{Beside, Limit};
use crate::machine;
use crate::private_work::PrivateWork;
use crate::rivals::About;
use crate::run::Run;
use crate::section;
use crate::table;

pub fn path(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name)
}

/// Where and how a run was measured.
pub struct Circumstances {
    pub rounds: usize,
    pub private: PrivateWork,
    /// The load average before and after the run.
    pub load: [String; 2],
}

pub fn text(run: &Run, rivals: &[About], limits: &[Limit], beside: &[Beside], how: &Circumstances) -> String {
    let [before, after] = &how.load;
    let mut text = format!(
        "## One comparison, one run\n\n\
         `cargo compare` on {}, {}, fat LTO; load average {before} before, {after} after (two of it are its own \
         threads at most).\n\n\
         Medians of {} interleaved rounds, in nanoseconds per call; in brackets the median of the ratios to the empty \
         call of the same column and round. A call is whole: ask, make it, look at the result, report it; a cycle of \
         the churn is a failure that opens, the open time, and a good probe that closes. Private work: {:.1} ns of \
         arithmetic between the calls. Two threads: until both made their call.\n\n\
         ![The same as bars](compare.svg)\n\n",
        machine::machine(),
        machine::compiler(),
        how.rounds,
        how.private.nanos,
    );
    let _ = write!(
        text,
        "### One thread\n\n{}\n\
         Bold: ours, with the coarse clock unless said, trips at 50 % of the last 100 calls, at 100 % of 10 buckets of \
         62.5 ms, or at 1023 failures in a row. A rejection of ours is asked when to come again; no rival says. Churn \
         by a manual clock that is moved on by a tick; in the rows by the std clock by one of 1 GHz on `Instant`, as \
         the rivals read it, for 1 ns. Open-reject of the empty call is the call itself.\n\n\
         ### Two threads\n\n{}\n\
         With 4 lanes, each of the two threads writes to one of its own.\n\n{}\n\
         ### Ours beside each rival\n\n\
         Our time by theirs, in the same rounds: the same judge (one without a window: the streak), one lane, the \
         coarse clock; in the churn the clock that they read. (They read `Instant` on a rejection, seatbelt and \
         circuitbreaker-rs on each call: by the std clock ours cost what its rows above say.) Bold: they are ahead.\n\n\
         {}\n",
        table::one_thread(run),
        table::two_threads(run),
        table::missing(run),
        table::beside(run, beside),
    );
    text.push_str("### How each rival is used, and what is wrong with it\n\n");
    for rival in rivals {
        let version = machine::version(rival.package);
        let _ = writeln!(text, "- **{} {version}**: {} *{}*", rival.package, rival.as_used, rival.wrong);
    }
    let _ = write!(
        text,
        "\n### Limits\n\nTwo threads: of the windows that a healthy call does not write to.\n\n{}\n{}",
        table::limits(limits),
        table::ahead(run, beside)
    );
    text
}

/// Puts the text in its section of the file; creates the file if there is none.
pub fn write(text: &str) -> io::Result<()> {
    let path = path("RESULTS.md");
    let old = section::read(&path, "Results")?;
    fs::write(path, section::with_section(&old, "compare", None, text))
}
