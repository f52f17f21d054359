//! Draws a plot as a picture.

use crate::plot::{Curve, Plot, Point};
use crate::ruler::Ruler;
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const SIZE: (u32, u32) = (960, 480);
/// The width of the chart, in pixels; the legend gets the rest.
const CHART: i32 = 690;
const FONT: &str = "sans-serif";

/// Colours that are distinct without colour vision (Okabe and Ito). The first is for the empty call.
const COLOURS: [RGBColor; 8] = [
    RGBColor(110, 110, 110),
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 0, 0),
];

pub fn svg(plot: &Plot<Curve>) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE)?;
        let root = root.margin(8, 0, 0, 0).titled(plot.title, (FONT, 20))?;
        let (chart, legend) = root.split_horizontally(CHART);
        draw_chart(plot, &chart)?;
        draw_legend(plot, &legend)?;
        root.present()?;
    }
    // Without this, git reports that the file does not end with a newline.
    svg.push('\n');
    Ok(svg)
}

fn draw_chart(plot: &Plot<Curve>, area: &Area) -> Result<(), Box<dyn Error>> {
    let xs = plot.xs();
    let ys: Vec<f64> = plot.lines.iter().flat_map(|curve| &curve.points).map(Point::nanos).collect();
    let (x, y) = (Ruler::through(plot.x.scale, &xs), Ruler::around(plot.y.scale, &ys));
    let (left, right) = (x.from, x.to);
    let mut chart =
        ChartBuilder::on(area).margin(12).x_label_area_size(48).y_label_area_size(64).build_cartesian_2d(x, y)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.12))
        .x_desc(plot.x.label)
        .y_desc(plot.y.label)
        .axis_desc_style((FONT, 16))
        .label_style((FONT, 14))
        .x_label_formatter(&|&x| number(x))
        .y_label_formatter(&|&y| number(y))
        .draw()?;
    for (curve, colour) in coloured(plot) {
        let points: Vec<(f64, f64)> = curve.points.iter().map(|point| (point.x, point.nanos())).collect();
        if let [(_, level)] = points[..]
            && curve.level
        {
            let ends = [(left, level), (right, level)];
            chart.draw_series(DashedLineSeries::new(ends, 6, 4, colour.stroke_width(2)))?;
        } else {
            chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))?;
            chart.draw_series(points.iter().map(|&point| Circle::new(point, 4, colour.filled())))?;
        }
    }
    Ok(())
}

/// Draws the legend beside the chart, where it covers nothing, in the order of the lines at their right ends.
fn draw_legend(plot: &Plot<Curve>, area: &Area) -> Result<(), Box<dyn Error>> {
    let last = |curve: &Curve| curve.points.last().map_or(0.0, Point::nanos);
    let mut entries: Vec<(&Curve, &RGBColor)> = coloured(plot).collect();
    entries.sort_by(|(a, _), (b, _)| last(b).total_cmp(&last(a)));
    let text = (FONT, 14).into_text_style(area).pos(Pos::new(HPos::Left, VPos::Center));
    let mut y = 40;
    for (curve, colour) in entries {
        if curve.level {
            for x in [4, 14, 24] {
                area.draw(&PathElement::new([(x, y), (x + 6, y)], colour.stroke_width(2)))?;
            }
        } else {
            area.draw(&PathElement::new([(4, y), (30, y)], colour.stroke_width(2)))?;
            area.draw(&Circle::new((17, y), 4, colour.filled()))?;
        }
        area.draw(&Text::new(curve.label.as_str(), (38, y), text.clone()))?;
        y += 26;
    }
    Ok(())
}

fn coloured(plot: &Plot<Curve>) -> impl Iterator<Item = (&Curve, &'static RGBColor)> {
    plot.lines.iter().zip(COLOURS.iter().cycle())
}

/// A number as people write it: 0.5, 20, 100,000.
pub fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    let plain = rounded.to_string();
    let (whole, part) = plain.split_once('.').map_or((plain.as_str(), None), |(whole, part)| (whole, Some(part)));
    let mut grouped = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    part.map_or(grouped.clone(), |part| format!("{grouped}.{part}"))
}
