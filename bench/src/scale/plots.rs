//! The experiment as pictures: what is drawn ([`Plot`], from the analysis) and how ([`svg`], [`png`]).

mod canvas;

use super::analysis::{Analysis, CellFigures, Family};
use super::report::heading;
use canvas::Canvas;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use std::ops::Range;
use vision::picture::Picture;

/// Pixels of a plot.
const SIZE: (u32, u32) = (760, 440);
/// Told apart by people who see colours differently (Okabe and Ito).
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
];

/// Lines over named places on the x axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Plot {
    /// For file names.
    pub name: String,
    /// Above it.
    pub title: String,
    /// Below it.
    pub x: String,
    /// Beside it.
    pub y: String,
    /// The places.
    pub places: Vec<String>,
    /// The lines.
    pub lines: Vec<Line>,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// In the legend.
    pub label: String,
    /// Value by place.
    pub points: Vec<(usize, f64)>,
    /// A model's, not a measurement's.
    pub dashed: bool,
}

/// All plots of an experiment; that it is simulated stands in every title.
pub fn plots(analysis: &Analysis) -> Vec<Plot> {
    let remark = if analysis.simulated { ", simulated" } else { "" };
    let mut all = Vec::new();
    for (index, family) in analysis.families.iter().enumerate() {
        let cells: Vec<&CellFigures> = analysis
            .cells
            .iter()
            .filter(|c| {
                (c.cell.input, c.cell.requests, c.cell.setup.lanes, c.cell.setup.max_batch)
                    == (family.input, family.requests, family.lanes, family.max_batch)
            })
            .collect();
        let suffix = if analysis.families.len() > 1 { format!("-{}", index + 1) } else { String::new() };
        let of = format!(" ({}){remark}", heading(family));
        all.extend(of_family(family, &cells, analysis.rt_target_ms).into_iter().map(|mut plot| {
            plot.name += &suffix;
            plot.title += &of;
            plot
        }));
    }
    all
}

fn of_family(family: &Family, cells: &[&CellFigures], rt_target_ms: f64) -> Vec<Plot> {
    let distinct = |of: &dyn Fn(&CellFigures) -> usize| {
        let mut values: Vec<usize> = cells.iter().map(|c| of(c)).collect();
        values.sort_unstable();
        values.dedup();
        values
    };
    let procs = distinct(&|c| c.cell.setup.procs as usize);
    let concurrency = distinct(&|c| c.cell.concurrency);
    let names = |values: &[usize]| values.iter().map(ToString::to_string).collect::<Vec<_>>();
    // A line for each value of one thing over the places of the other.
    let by_procs = |places: &[usize], value: &dyn Fn(&CellFigures) -> f64| -> Vec<Line> {
        let line = |&c: &usize| {
            let own = cells.iter().filter(|cell| cell.cell.concurrency == c);
            Line::new(
                format!("c = {c}"),
                own.filter_map(|cell| {
                    Some((places.iter().position(|&p| p == cell.cell.setup.procs as usize)?, value(cell)))
                }),
            )
        };
        concurrency.iter().map(line).collect()
    };
    let by_concurrency = |label: &str, value: &dyn Fn(&CellFigures) -> f64| -> Vec<Line> {
        let line = |&p: &usize| {
            let own = cells.iter().filter(|cell| cell.cell.setup.procs as usize == p);
            let what = if p == 1 { "process" } else { "processes" };
            Line::new(
                format!("{p} {what}{label}"),
                own.filter_map(|cell| {
                    Some((concurrency.iter().position(|&c| c == cell.cell.concurrency)?, value(cell)))
                }),
            )
        };
        procs.iter().map(line).collect()
    };
    let plot = |name: &str, title: &str, x: &str, y: &str, places: &[usize], lines: Vec<Line>| Plot {
        name: name.to_owned(),
        title: title.to_owned(),
        x: x.to_owned(),
        y: y.to_owned(),
        places: names(places),
        lines,
    };
    let predicted = family
        .procs
        .iter()
        .filter_map(|p| Some((procs.iter().position(|&n| n == p.procs as usize)?, p.predicted)));
    let mut tps = by_procs(&procs, &|c| c.tps);
    tps.push(Line { dashed: true, ..Line::new("min(N·f, E, C)".to_owned(), predicted) });

    let mut by_c = by_concurrency("", &|c| c.tps);
    let most = cells.iter().map(|c| c.cell.setup.procs).max().unwrap_or(1);
    let model = cells
        .iter()
        .filter(|c| c.cell.setup.procs == most)
        .filter_map(|c| Some((concurrency.iter().position(|&n| n == c.cell.concurrency)?, c.predicted)));
    by_c.push(Line { dashed: true, ..Line::new("min(c/RT1, N·f, E, C)".to_owned(), model) });

    let mut rt = by_concurrency("", &|c| c.p99_ms);
    let target = (0..concurrency.len()).map(|place| (place, rt_target_ms));
    let highest = cells.iter().map(|c| c.p99_ms).fold(0.0, f64::max);
    // A target far above everything would press the lines flat.
    if rt_target_ms <= highest * 2.0 {
        rt.push(Line { dashed: true, ..Line::new("target".to_owned(), target) });
    }

    let mut law = by_concurrency("", &|c| c.tps * c.rt_ms / 1e3);
    let identity = concurrency.iter().enumerate().map(|(place, &c)| (place, c as f64));
    law.push(Line { dashed: true, ..Line::new("concurrency".to_owned(), identity) });

    let largest = concurrency.last().copied().unwrap_or(1);
    let cost = [("frontends", 0), ("engine", 1), ("generator", 2)].map(|(who, k)| {
        let own = cells.iter().filter(|c| c.cell.concurrency == largest);
        Line::new(
            who.to_owned(),
            own.filter_map(|c| {
                Some((procs.iter().position(|&p| p == c.cell.setup.procs as usize)?, c.cpu_ms[k]))
            }),
        )
    });
    vec![
        plot("tps-by-procs", "TPS by number of processes", "frontend processes", "TPS", &procs, tps),
        plot("tps-by-concurrency", "TPS by concurrency", "concurrency", "TPS", &concurrency, by_c),
        plot("rt-by-concurrency", "p99 response time", "concurrency", "ms", &concurrency, rt),
        plot("law", "TPS × mean RT", "concurrency", "requests in flight", &concurrency, law),
        plot(
            "cost",
            &format!("Processor time of a picture at c = {largest}"),
            "frontend processes",
            "ms",
            &procs,
            cost.to_vec(),
        ),
    ]
}

impl Line {
    fn new(label: String, points: impl Iterator<Item = (usize, f64)>) -> Self {
        let mut points: Vec<_> = points.filter(|(_, value)| value.is_finite()).collect();
        points.sort_by_key(|(place, _)| *place);
        Self { label, points, dashed: false }
    }
}

/// As SVG.
///
/// # Errors
/// The drawing library's word.
pub fn svg(plot: &Plot) -> Result<String, String> {
    let mut text = String::new();
    draw(plot, SVGBackend::with_string(&mut text, SIZE))?;
    Ok(text)
}

/// As PNG.
///
/// # Errors
/// The drawing library's word.
pub fn png(plot: &Plot) -> Result<Vec<u8>, String> {
    let mut rgb = vec![0; (SIZE.0 * SIZE.1 * 3) as usize];
    draw(plot, Canvas::over(&mut rgb, SIZE))?;
    let picture = Picture { width: SIZE.0, height: SIZE.1, rgb };
    vision::draw::encode_png(&picture).map_err(|error| error.to_string())
}

fn draw<B: DrawingBackend>(plot: &Plot, backend: B) -> Result<(), String> {
    let wrong = |error: DrawingAreaErrorKind<B::ErrorType>| error.to_string();
    let root = backend.into_drawing_area();
    root.fill(&WHITE).map_err(wrong)?;
    let values = plot.lines.iter().flat_map(|line| &line.points).map(|(_, value)| *value);
    // Room above the highest line for the legend, which grows with the lines.
    let room = 1.1 + 0.06 * plot.lines.len() as f64;
    let top = values.fold(0.0_f64, f64::max).max(1e-6) * room;
    let across: Range<f64> = -0.35..plot.places.len() as f64 - 0.65;
    let mut chart = ChartBuilder::on(&root)
        .caption(&plot.title, ("sans-serif", 17))
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(66)
        .build_cartesian_2d(across, 0.0..top)
        .map_err(wrong)?;
    let place = |x: &f64| {
        let near = x.round();
        let named = (x - near).abs() < 1e-6 && near >= 0.0;
        plot.places.get(near as usize).filter(|_| named).cloned().unwrap_or_default()
    };
    let plain = |y: &f64| if top < 10.0 { format!("{y:.1}") } else { format!("{y:.0}") };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(RGBColor(225, 225, 225))
        .axis_style(RGBColor(120, 120, 120))
        .x_labels(plot.places.len() + 1)
        .x_label_formatter(&place)
        .y_labels(8)
        .y_label_formatter(&plain)
        .x_desc(&plot.x)
        .y_desc(&plot.y)
        .axis_desc_style(("sans-serif", 15))
        .label_style(("sans-serif", 14))
        .draw()
        .map_err(wrong)?;
    for (index, line) in plot.lines.iter().enumerate() {
        let colour = if line.dashed { BLACK } else { COLOURS[index % COLOURS.len()] };
        let points: Vec<(f64, f64)> =
            line.points.iter().map(|&(place, value)| (place as f64, value)).collect();
        let sample = |x: i32, y: i32| vec![(x, y), (x + 18, y)];
        if line.dashed {
            chart
                .draw_series(DashedLineSeries::new(points, 6, 5, colour.stroke_width(1)))
                .map_err(wrong)?
                .label(&line.label)
                .legend(move |(x, y)| DashedPathElement::new(sample(x, y), 6, 5, colour.stroke_width(1)));
        } else {
            let dots = points.iter().map(|&point| Circle::new(point, 4, colour.filled()));
            chart.draw_series(dots).map_err(wrong)?;
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))
                .map_err(wrong)?
                .label(&line.label)
                .legend(move |(x, y)| PathElement::new(sample(x, y), colour.stroke_width(3)));
        }
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .label_font(("sans-serif", 14))
        .draw()
        .map_err(wrong)?;
    root.present().map_err(wrong)
}
