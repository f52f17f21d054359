//! What a person sees during the run: live lines and a timeline on a terminal, and plain lines elsewhere.

use std::env;
use std::io::{self, IsTerminal, Write as _};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use console::{Color, Style};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use microbreaker::State;
use tokio::time::Instant;

use crate::load::{SideBoard, Sums};
use crate::record::{Move, News, What};
use crate::report::{grouped, length};
use crate::tuning::Guarded;
use crate::upstream::{Mood, SCRIPT};

/// Prints. If the reader went away (as with `| head`), the program goes on: its exit code still tells the result.
pub(crate) fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// What there is to watch.
pub(crate) struct Scene {
    pub(crate) title: String,
    pub(crate) length: Duration,
    pub(crate) with: Arc<SideBoard>,
    pub(crate) without: Option<Arc<SideBoard>>,
    pub(crate) breaker: Arc<Guarded>,
    pub(crate) begin: Instant,
}

/// How often the live lines are drawn.
const FRAME: Duration = Duration::from_millis(100);

/// A timeline has about this many cells, so that it fits into 80 columns beside its name.
const CELLS: u32 = 66;

/// Follows the run on a thread of its own, so that a slow terminal delays nothing else.
pub(crate) struct Screen {
    live: Option<Live>,
    with: Arc<SideBoard>,
    without: Option<Arc<SideBoard>>,
    breaker: Arc<Guarded>,
    begin: Instant,
    strips: Strips,
}

impl Screen {
    pub(crate) fn new(scene: &Scene) -> Self {
        let on_terminal = io::stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb");
        let live = on_terminal.then(|| Live::new(scene.length, scene.without.is_some()));
        let screen = Self {
            live,
            with: Arc::clone(&scene.with),
            without: scene.without.clone(),
            breaker: Arc::clone(&scene.breaker),
            begin: scene.begin,
            strips: Strips::new(scene.length / CELLS, scene.without.is_some()),
        };
        screen.line(&scene.title);
        screen.line(&legend(scene.without.is_some()));
        screen
    }

    /// Shows the news until the load is over, and returns the breaker's transitions in the order in which they were
    /// made.
    pub(crate) fn follow(mut self, news: &Receiver<News>) -> Vec<Move> {
        let mut moves = Vec::new();
        let mut frame = self.begin.elapsed();
        loop {
            let now = self.begin.elapsed();
            if now >= frame {
                self.draw(now);
                frame = now + FRAME;
            }
            match news.recv_timeout(frame.saturating_sub(now)) {
                Ok(News { at, what: What::Scene(mood) }) => {
                    self.strips.mood(at, mood);
                    self.line(&format!("{}  upstream {}", clock(at), mood_style(mood).apply_to(mood.says())));
                }
                Ok(News { at, what: What::Moved(step) }) => {
                    self.strips.state(at, step.to);
                    self.line(&told(&step));
                    moves.push(step);
                }
                Err(RecvTimeoutError::Timeout) => {}
                Ok(News { what: What::End, .. }) | Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // Once more, so that what stays on the terminal is what the table says.
        self.draw(self.begin.elapsed());
        let strips = self.strips.all(self.begin.elapsed());
        match self.live.take() {
            Some(live) => live.finish(&strips),
            None => strips.iter().for_each(|strip| say(&format!("{}\n", console::strip_ansi_codes(strip)))),
        }
        // Each is sent by the thread that made it, so two may arrive in the wrong order.
        moves.sort_by_key(|step| step.generation);
        moves
    }

    fn line(&self, text: &str) {
        match &self.live {
            // If the terminal went away, the program goes on.
            Some(live) => drop(live.bars.println(text)),
            None => say(&format!("{}\n", console::strip_ansi_codes(text))),
        }
    }

    fn draw(&mut self, now: Duration) {
        let Some(live) = &self.live else { return };
        let status = self.breaker.status();
        let rest = match (status.state, status.retry_in) {
            (State::Open, Some(rest)) => format!(", {} ms left", rest.as_millis()),
            _ => String::new(),
        };
        let state = state_style(status.state).apply_to(status.state.name());
        live.with.set_message(format!("{}   {state}{rest}", numbers("with breaker", self.with.sums(), true)));
        if let (Some(line), Some(board)) = (&live.without, &self.without) {
            line.set_message(numbers("without", board.sums(), false));
        }
        live.phase.set_position(u64::try_from(now.as_millis()).unwrap_or(u64::MAX));
        live.phase.set_message(self.strips.now.map_or("", Mood::says));
        for (bar, strip) in live.strips.iter().zip(self.strips.all(now)) {
            bar.set_message(strip);
        }
    }
}

/// The head of the live numbers. The words and their order are those of the table.
fn head() -> String {
    format!("{:<12}{:>10}{:>11}{:>11}{:>11}", "", "wasted", "waited", "answered", "rejected")
}

/// A line of the live numbers, written as in the table.
fn numbers(name: &str, sums: Sums, rejects: bool) -> String {
    let wasted = Style::new().red().apply_to(format!("{:>10}", grouped(sums.wasted.into())));
    let rejected = if rejects { grouped(sums.rejected.into()) } else { "-".to_owned() };
    format!("{name:<12}{wasted}{:>11}{:>11}{rejected:>11}", length(sums.waited), grouped(sums.answered.into()))
}

fn clock(at: Duration) -> String {
    format!("{:>6.3} s", at.as_secs_f64())
}

/// One line for a transition: when, from which state to which, for how long, and why.
fn told(step: &Move) -> String {
    let to = state_style(step.to).apply_to(step.to.name());
    let time = step.lasts.map(|time| format!(" for {} ms", time.as_millis())).unwrap_or_default();
    format!("{}  breaker  {} -> {to}{time}: {}", clock(step.at), step.from.name(), step.why())
}

fn state_style(state: State) -> Style {
    Style::new().fg(match state {
        State::Closed => Color::Green,
        State::HalfOpen | State::Ramping => Color::Yellow,
        _ => Color::Red,
    })
}

fn mood_style(mood: Mood) -> Style {
    Style::new().fg(if mood == Mood::Serves { Color::Green } else { Color::Magenta })
}

/// What the letters of the timelines mean.
fn legend(scripted: bool) -> String {
    let mut lines = Vec::new();
    if scripted {
        let mut moods: Vec<Mood> = Vec::new();
        for part in SCRIPT {
            if !moods.contains(&part.mood) {
                moods.push(part.mood);
            }
        }
        for (at, moods) in moods.chunks(3).enumerate() {
            let words: Vec<_> = moods.iter().map(|mood| format!("{} {}", mood.letter(), mood.says())).collect();
            lines.push(format!("{:<9}{}", if at == 0 { "upstream" } else { "" }, words.join(", ")));
        }
    }
    let states = [State::Closed, State::Open, State::HalfOpen];
    let states = states.map(|state| format!("{} {}", letter(state), state.name()));
    lines.push(format!("breaker  {}", states.join(", ")));
    lines.join("\n")
}

/// A block with a letter, so that it can be read without colour.
fn cell(style: Style, letter: char) -> String {
    style.reverse().apply_to(letter).to_string()
}

/// The lines at the foot of a terminal that change.
struct Live {
    bars: MultiProgress,
    phase: ProgressBar,
    head: ProgressBar,
    with: ProgressBar,
    without: Option<ProgressBar>,
    strips: Vec<ProgressBar>,
}

impl Live {
    fn new(length: Duration, both: bool) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
        let plain = ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        let line = || bars.add(ProgressBar::new_spinner().with_style(plain.clone()));
        let strips = (0..if both { 2 } else { 1 }).map(|_| line()).collect();
        let head_line = line();
        head_line.set_message(head());
        let (with, without) = (line(), both.then(line));
        let style = ProgressStyle::with_template("{bar:40.cyan/dim} {at} of {len} s  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("at", |state: &indicatif::ProgressState, text: &mut dyn std::fmt::Write| {
                let _ = write!(text, "{:>2}", state.pos() / 1000);
            })
            .with_key("len", |state: &indicatif::ProgressState, text: &mut dyn std::fmt::Write| {
                let _ = write!(text, "{}", state.len().unwrap_or(0).div_ceil(1000));
            });
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let phase = bars.add(ProgressBar::new(millis).with_style(style));
        Self { bars, phase, head: head_line, with, without, strips }
    }

    fn finish(self, strips: &[String]) {
        for (bar, strip) in self.strips.iter().zip(strips) {
            bar.finish_with_message(strip.clone());
        }
        self.head.finish();
        self.with.finish();
        if let Some(line) = self.without {
            line.finish();
        }
        self.phase.finish_and_clear();
        // The cursor is still at the end of the last line.
        say("\n");
    }
}

/// The timelines of the server and of the breaker. Each cell is a stretch of time.
struct Strips {
    cell: Duration,
    scripted: bool,
    now: Option<Mood>,
    moods: Vec<Mood>,
    state: State,
    states: Vec<State>,
}

impl Strips {
    const fn new(cell: Duration, scripted: bool) -> Self {
        Self { cell, scripted, now: None, moods: Vec::new(), state: State::Closed, states: Vec::new() }
    }

    fn mood(&mut self, at: Duration, mood: Mood) {
        self.fill(at);
        self.now = Some(mood);
        mark(&mut self.moods, mood);
    }

    /// If there were several states in a cell, it shows the one that is usually the shortest. Otherwise nobody would
    /// see a half-open state.
    fn state(&mut self, at: Duration, state: State) {
        self.fill(at);
        self.state = state;
        let shown = self.states.last().copied().unwrap_or(state);
        if rank(state) > rank(shown) {
            mark(&mut self.states, state);
        }
    }

    /// Continues the present mood and state up to the cell of `at`.
    fn fill(&mut self, at: Duration) {
        let cells = usize::try_from(at.as_millis() / self.cell.as_millis().max(1)).unwrap_or(0) + 1;
        if self.states.len() < cells {
            self.states.resize(cells, self.state);
            self.moods.resize(cells, self.now.unwrap_or(Mood::Serves));
        }
    }

    fn all(&mut self, now: Duration) -> Vec<String> {
        self.fill(now);
        let mut strips = Vec::new();
        if self.scripted {
            let cells = self.moods.iter().map(|&mood| cell(mood_style(mood), mood.letter()));
            strips.push(format!("upstream {}", cells.collect::<String>()));
        }
        let cells = self.states.iter().map(|&state| cell(state_style(state), letter(state)));
        strips.push(format!("breaker  {}", cells.collect::<String>()));
        strips
    }
}

fn mark<T>(cells: &mut [T], value: T) {
    if let Some(last) = cells.last_mut() {
        *last = value;
    }
}

const fn rank(state: State) -> u8 {
    match state {
        State::Closed => 0,
        State::HalfOpen | State::Ramping => 2,
        _ => 1,
    }
}

const fn letter(state: State) -> char {
    match state {
        State::Closed => 'C',
        State::HalfOpen => 'H',
        State::Ramping => 'R',
        _ => 'O',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(strips: &mut Strips, now: u64) -> Vec<String> {
        let strips = strips.all(Duration::from_millis(now));
        strips.iter().map(|strip| console::strip_ansi_codes(strip).into_owned()).collect()
    }

    #[test]
    fn a_timeline_goes_on_and_shows_what_was_short() {
        let mut strips = Strips::new(Duration::from_millis(100), true);
        let ms = Duration::from_millis;
        strips.mood(ms(0), Mood::Serves);
        strips.mood(ms(250), Mood::Hangs);
        strips.state(ms(320), State::Open);
        strips.state(ms(710), State::HalfOpen);
        strips.state(ms(720), State::Open);
        strips.mood(ms(900), Mood::Serves);
        strips.state(ms(1105), State::HalfOpen);
        strips.state(ms(1110), State::Closed);
        assert_eq!(plain(&mut strips, 1299), ["upstream ..hhhhhhh....", "breaker  CCCOOOOHOOOHC"]);
    }

    #[test]
    fn the_live_numbers_stand_below_their_words() {
        let sums = Sums { wasted: 1234, waited: Duration::from_millis(43_210), answered: 12_345, rejected: 7 };
        let with = numbers("with breaker", sums, true);
        let with = console::strip_ansi_codes(&with);
        assert_eq!(head(), "                wasted     waited   answered   rejected");
        assert_eq!(with, "with breaker     1 234    43.21 s     12 345          7");
        assert!(numbers("without", sums, false).ends_with("12 345          -"));
    }

    #[test]
    fn a_server_without_script_has_no_line() {
        let mut strips = Strips::new(Duration::from_millis(100), false);
        assert_eq!(plain(&mut strips, 250), ["breaker  CCC"]);
    }
}
