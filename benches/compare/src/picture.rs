//! Draws the run as a picture.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::row::{Column, Kind};
use crate::run::Run;

const PANELS: [Column; 6] =
    [Column::ClosedOk, Column::TenPercent, Column::OpenReject, Column::Churn, Column::Shared, Column::SharedWork];
/// Nanoseconds at the two ends of a bar.
const LEAST: f64 = 0.5;
const MOST: f64 = 5000.0;
/// Pixels.
const PANEL: (i32, i32) = (620, 430);
const MARGIN: i32 = 20;
const NAMES: i32 = 200;
const BARS: i32 = 330;
const HEAD: i32 = 30;
const LINE: i32 = 16;

/// Draws a panel for each column, with a bar for each row: the logarithm of its time.
pub fn draw(run: &Run, path: &Path) -> Result<(), Box<dyn Error>> {
    let size = (2 * PANEL.0, 3 * PANEL.1);
    let root = SVGBackend::new(path, (size.0.cast_unsigned(), size.1.cast_unsigned())).into_drawing_area();
    root.fill(&WHITE)?;
    for (area, column) in root.split_evenly((3, 2)).iter().zip(PANELS) {
        panel(run, column, area)?;
    }
    root.present()?;
    Ok(())
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn panel(run: &Run, column: Column, area: &Area) -> Result<(), Box<dyn Error>> {
    // Sizes of fonts; 1.24 units are a pixel.
    let style = |size: i32, side| ("sans-serif", size).into_font().color(&BLACK).pos(Pos::new(side, VPos::Center));
    let title = format!("{}, ns (log scale)", column.title());
    area.draw(&Text::new(title, (MARGIN, HEAD / 2), style(20, HPos::Left)))?;
    let measured = run.rows.iter().enumerate().filter_map(|(at, row)| Some((row, run.nanos((at, column))?)));
    for ((row, nanos), line) in measured.zip(0..) {
        let middle = HEAD + line * LINE + LINE / 2;
        let begin = MARGIN + NAMES;
        let end = begin + length(nanos);
        let bar = Rectangle::new([(begin, middle - LINE / 3), (end, middle + LINE / 3)], colour(row.kind).filled());
        area.draw(&bar)?;
        area.draw(&Text::new(row.name, (begin - 6, middle), style(15, HPos::Right)))?;
        area.draw(&Text::new(format!("{nanos:.1}"), (end + 6, middle), style(15, HPos::Left)))?;
    }
    Ok(())
}

#[expect(clippy::cast_possible_truncation, reason = "at most BARS")]
fn length(nanos: f64) -> i32 {
    let share = (nanos / LEAST).ln() / (MOST / LEAST).ln();
    (f64::from(BARS) * share.clamp(0.0, 1.0)) as i32
}

fn colour(kind: Kind) -> RGBColor {
    match kind {
        Kind::Floor => RGBColor(160, 160, 160),
        Kind::Ours { .. } => RGBColor(30, 110, 190),
        Kind::Rival { .. } => RGBColor(220, 140, 60),
    }
}
