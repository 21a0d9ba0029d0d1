use anyhow::{Result, anyhow};
use plotters::prelude::*;

use super::Plot;

const SIZE: (u32, u32) = (720, 400);

/// A plot as SVG.
pub(super) fn svg(plot: &Plot) -> Result<String> {
    let mut text = String::new();
    draw(plot, &mut text).map_err(|error| anyhow!("drawing {}: {error}", plot.title))?;
    Ok(text)
}

fn draw(plot: &Plot, text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE)?;
    let (mut x, mut y) = (extent(plot, |point| point.0), extent(plot, |point| point.1));
    // Logarithms have no zero, and a lone point needs an axis too.
    x.0 = if plot.log.0 { x.0.max(1e-6) } else { x.0.min(0.0) };
    y.0 = if plot.log.1 { y.0.max(1e-6) } else { y.0.min(0.0) };
    let (x, y) = (x.0..x.1.max(x.0 * 1.01 + 1e-6), y.0..(y.1 * 1.05).max(y.0 * 1.01 + 1e-6));
    let mut builder = ChartBuilder::on(&root);
    builder.caption(&plot.title, ("sans-serif", 16)).margin(10).x_label_area_size(40).y_label_area_size(70);
    // The four kinds of axes are four types.
    macro_rules! lines {
        ($x:expr, $y:expr) => {{
            let mut chart = builder.build_cartesian_2d($x, $y)?;
            chart.configure_mesh().x_desc(&plot.x).y_desc(&plot.y).light_line_style(WHITE).draw()?;
            for (index, line) in plot.lines.iter().enumerate() {
                let color = Palette99::pick(index).to_rgba();
                chart
                    .draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)))?
                    .label(&line.name)
                    .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], color.stroke_width(2)));
            }
            let legend = chart.configure_series_labels();
            { legend }.background_style(WHITE.mix(0.8)).border_style(BLACK.mix(0.2)).draw()?;
        }};
    }
    match plot.log {
        (false, false) => lines!(x, y),
        (true, false) => lines!(x.log_scale(), y),
        (false, true) => lines!(x, y.log_scale()),
        (true, true) => lines!(x.log_scale(), y.log_scale()),
    }
    root.present()?;
    Ok(())
}

fn extent(plot: &Plot, of: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let values = plot.lines.iter().flat_map(|line| &line.points).map(of).filter(|value| value.is_finite());
    values
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(value), most.max(value)))
}
