//! Checks which costs must not grow, and how much others may grow. They use ratios within a run; no duration is
//! asserted.

use crate::plot::{Curve, Plot, Point};
use crate::windows::{NINE_IN_TEN, ONE_IN_TEN, SAME_CODE};
use microbreaker::count_words;

pub struct Check {
    pub met: bool,
    pub text: String,
}

/// How much more the longest window may cost on the healthy path than the shortest. It should cost the same; the rest
/// is noise.
const HEALTHY_MOST: f64 = 1.15;

/// How much more a word may cost in the last step than in the steps before. Quadratic growth would make it four times
/// or more.
const WORD_MOST: f64 = 1.5;

pub fn of(plot: &Plot<Curve>) -> Vec<Check> {
    match plot.name {
        "outcomes" => {
            vec![healthy(plot), failing(plot, NINE_IN_TEN, words_of_outcomes)]
        }
        "buckets" => {
            vec![healthy(plot), failing(plot, ONE_IN_TEN, words_of_buckets)]
        }
        _ => Vec::new(),
    }
}

/// Checks the curve with the same code at every length. If each length has a copy of the code, a rebuild alone moves
/// the ratio from 0.7 to 1.14.
fn healthy(plot: &Plot<Curve>) -> Check {
    let Some(growth) = plot.curve(SAME_CODE).and_then(Curve::growth) else { return nothing_measured(plot) };
    let text = format!("{SAME_CODE}: the longest costs {growth:.2} of the shortest (≤ {HEALTHY_MOST})");
    Check { met: growth <= HEALTHY_MOST, text }
}

/// Checks that the cost is at most linear in the words. As a whole it may grow no more than the words do, and a word in
/// the last step may cost no more than a word before. The first check alone is not enough: a large constant part could
/// hide quadratic growth.
fn failing(plot: &Plot<Curve>, label: &str, words_of: fn(f64) -> f64) -> Check {
    let Some([first, .., before, last]) = plot.curve(label).map(|curve| &curve.points[..]) else {
        return nothing_measured(plot);
    };
    let words = |point: &Point| words_of(point.x);
    let per_word = |from: &Point, to: &Point| (to.nanos() - from.nanos()) / (words(to) - words(from));
    let (growth, of_words) = (last.nanos() / first.nanos(), words(last) / words(first));
    let (late, early) = (per_word(before, last), per_word(first, before));
    let text = format!(
        "{label}: {:.1} ns at {} words, {:.1} ns at {}: {growth:.1} times as much for {of_words:.1} times the \
         words; {late:.2} ns for each word of the last step, {early:.2} ns before (≤ {WORD_MOST} times)",
        first.nanos(),
        words(first),
        last.nanos(),
        words(last),
    );
    Check { met: growth <= of_words && late <= WORD_MOST * early, text }
}

fn words_of_outcomes(outcomes: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "10 to 1000")]
    let words = count_words(outcomes as u16, false);
    #[expect(clippy::cast_precision_loss, reason = "at most 129")]
    let words = words as f64;
    words
}

fn words_of_buckets(buckets: f64) -> f64 {
    3.0 * buckets
}

fn nothing_measured(plot: &Plot<Curve>) -> Check {
    Check { met: false, text: format!("{}: nothing was measured", plot.title) }
}
