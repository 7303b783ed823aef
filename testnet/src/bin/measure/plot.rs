//! Drawings for the page: lines over two axes, and bars. Plain SVG, a few hundred bytes of style.
//!
//! Colours follow the reader's light or dark setting, and every line has a name at its end, so that
//! colour carries nothing alone.
//!
//! Deliberately absent: anything a page of ours does not draw.

use std::fmt::Write as _;

/// Width and height of a drawing, and the margins around its axes.
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 150.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 48.0;
/// The height of a bar with its gap.
const BAR: f64 = 26.0;

const STYLE: &str = "<style>\
svg{font:12px system-ui,sans-serif}\
text{fill:#24292f}.t{font-weight:600;font-size:14px}.g{stroke:#d0d7de;stroke-width:1}.a{stroke:#57606a;stroke-width:1}\
.s0{stroke:#0969da;fill:#0969da}.s1{stroke:#bc4c00;fill:#bc4c00}.s2{stroke:#1a7f37;fill:#1a7f37}.s3{stroke:#8250df;fill:#8250df}\
.l{fill:none;stroke-width:2}text.n{stroke:none}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.g{stroke:#30363d}.a{stroke:#8b949e}\
.s0{stroke:#58a6ff;fill:#58a6ff}.s1{stroke:#f0883e;fill:#f0883e}.s2{stroke:#3fb950;fill:#3fb950}.s3{stroke:#bc8cff;fill:#bc8cff}.l{fill:none}}\
</style>";

/// How numbers are spread over an axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From zero.
    Linear,
    /// By powers of ten.
    Log,
}

/// Lines over two axes.
pub(crate) struct Lines {
    pub(crate) title: &'static str,
    pub(crate) x: (&'static str, Scale),
    pub(crate) y: (&'static str, Scale),
    pub(crate) series: Vec<(String, Vec<(f64, f64)>)>,
}

impl Lines {
    /// The drawing; nothing when there are not two points to join.
    pub(crate) fn svg(&self) -> Option<String> {
        let usable = |scale: Scale, v: f64| v.is_finite() && (scale == Scale::Linear || v > 0.0);
        let series: Vec<(&str, Vec<(f64, f64)>)> = self
            .series
            .iter()
            .map(|(name, points)| {
                let points = points.iter().copied();
                (&name[..], points.filter(|(x, y)| usable(self.x.1, *x) && usable(self.y.1, *y)).collect())
            })
            .collect();
        let points = || series.iter().flat_map(|(_, points)| points.iter());
        if points().count() < 2 {
            return None;
        }
        let x = Axis::over(self.x.1, points().map(|point| point.0));
        let y = Axis::over(self.y.1, points().map(|point| point.1));
        let (wide, high) = (WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM);
        let at = |point: (f64, f64)| (LEFT + x.place(point.0) * wide, TOP + (1.0 - y.place(point.1)) * high);
        let mut out = open(HEIGHT, self.title);
        for tick in &y.ticks {
            let (_, down) = at((x.from, *tick));
            let _ = write!(
                out,
                "<line class='g' x1='{LEFT}' x2='{:.0}' y1='{down:.1}' y2='{down:.1}'/>\
                 <text x='{:.0}' y='{:.1}' text-anchor='end'>{}</text>",
                LEFT + wide,
                LEFT - 6.0,
                down + 4.0,
                short(*tick)
            );
        }
        let floor = TOP + high;
        for tick in &x.ticks {
            let (across, _) = at((*tick, y.from));
            let _ = write!(
                out,
                "<line class='a' x1='{across:.1}' x2='{across:.1}' y1='{floor:.0}' y2='{:.0}'/>\
                 <text x='{across:.1}' y='{:.0}' text-anchor='middle'>{}</text>",
                floor + 4.0,
                floor + 17.0,
                short(*tick)
            );
        }
        let _ = write!(
            out,
            "<line class='a' x1='{LEFT}' x2='{:.0}' y1='{floor:.0}' y2='{floor:.0}'/>\
             <text x='{:.0}' y='{:.0}' text-anchor='middle'>{}</text>\
             <text transform='translate(14 {:.0}) rotate(-90)' text-anchor='middle'>{}</text>",
            LEFT + wide,
            LEFT + wide / 2.0,
            HEIGHT - 8.0,
            escaped(self.x.0),
            TOP + high / 2.0,
            escaped(self.y.0)
        );
        let mut taken: Vec<f64> = Vec::new();
        for (number, (name, points)) in
            series.iter().enumerate().filter(|(_, (_, points))| !points.is_empty())
        {
            let class = number % 4;
            let placed: Vec<(f64, f64)> = points.iter().map(|point| at(*point)).collect();
            let path: Vec<String> = placed.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let _ = write!(out, "<polyline class='l s{class}' points='{}'/>", path.join(" "));
            for (x, y) in &placed {
                let _ = write!(out, "<circle class='s{class}' cx='{x:.1}' cy='{y:.1}' r='3'/>");
            }
            if let Some((x, y)) = placed.last() {
                // Names at the ends of lines that meet stand below each other.
                let mut y = y + 4.0;
                while let Some(near) = taken.iter().find(|other| (**other - y).abs() < 14.0) {
                    y = near + 14.0;
                }
                taken.push(y);
                let _ = write!(
                    out,
                    "<text class='n s{class}' x='{:.1}' y='{y:.1}'>{}</text>",
                    x + 8.0,
                    escaped(name)
                );
            }
        }
        out.push_str("</svg>\n");
        Some(out)
    }
}

/// Values beside each other, the longest first as given.
pub(crate) struct Bars {
    pub(crate) title: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) rows: Vec<(String, f64)>,
}

impl Bars {
    /// The drawing; nothing without rows.
    pub(crate) fn svg(&self) -> Option<String> {
        let rows: Vec<_> = self.rows.iter().filter(|(_, value)| value.is_finite() && *value >= 0.0).collect();
        let most = rows.iter().map(|(_, value)| *value).fold(0.0, f64::max);
        if most <= 0.0 {
            return None;
        }
        let (names, numbers) = (250.0, 110.0);
        let mut out = open(TOP + BAR * rows.len() as f64 + 12.0, self.title);
        for (number, (name, value)) in rows.iter().enumerate() {
            let top = TOP + BAR * number as f64;
            let wide = (WIDTH - names - numbers) * value / most;
            let _ = write!(
                out,
                "<text x='{:.0}' y='{:.1}' text-anchor='end'>{}</text>\
                 <rect class='s0' x='{names}' y='{:.1}' width='{wide:.1}' height='16'/>\
                 <text x='{:.1}' y='{:.1}'>{} {}</text>",
                names - 8.0,
                top + 15.0,
                escaped(name),
                top + 2.0,
                names + wide + 6.0,
                top + 15.0,
                short(*value),
                escaped(self.unit)
            );
        }
        out.push_str("</svg>\n");
        Some(out)
    }
}

fn open(height: f64, title: &str) -> String {
    let title = escaped(title);
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height:.0}' width='{WIDTH}' height='{height:.0}' \
         role='img' aria-label='{title}'>{STYLE}<text class='t' x='8' y='20'>{title}</text>"
    )
}

/// One axis: where it begins and ends, and where it is marked.
struct Axis {
    scale: Scale,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Axis {
    fn over(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (least, most) = values.fold((f64::MAX, f64::MIN), |(least, most), v| (least.min(v), most.max(v)));
        match scale {
            Scale::Linear => {
                let step = nice(most.max(1e-9) / 5.0);
                let count = (most / step).ceil().max(1.0) as usize;
                let ticks: Vec<f64> = (0..=count).map(|n| n as f64 * step).collect();
                Self { scale, from: 0.0, to: step * count as f64, ticks }
            }
            Scale::Log => {
                let (low, high) = (least.log10().floor(), most.log10().ceil());
                let high = if high > low { high } else { low + 1.0 };
                let ticks = (0..=(high - low) as i32).map(|n| 10f64.powf(low + f64::from(n))).collect();
                Self { scale, from: 10f64.powf(low), to: 10f64.powf(high), ticks }
            }
        }
    }

    /// Where a value stands, from 0 to 1.
    fn place(&self, value: f64) -> f64 {
        match self.scale {
            Scale::Linear => (value - self.from) / (self.to - self.from),
            Scale::Log => (value.log10() - self.from.log10()) / (self.to.log10() - self.from.log10()),
        }
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 5.0, 10.0].iter().map(|n| n * power).find(|n| *n >= step * 0.999).unwrap_or(10.0 * power)
}

/// A number as it stands at an axis.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{} M", trimmed(value / 1e6)),
        v if v >= 1e4 => format!("{} k", trimmed(value / 1e3)),
        _ => trimmed(value),
    }
}

fn trimmed(value: f64) -> String {
    let text = match value.abs() {
        v if v >= 100.0 || v == v.round() => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.01 => format!("{value:.2}"),
        _ => format!("{value}"),
    };
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_every_value_and_are_marked_at_round_numbers() {
        let axis = Axis::over(Scale::Linear, [3.0, 4711.0].into_iter());
        assert_eq!((axis.from, axis.to), (0.0, 5000.0));
        assert_eq!(axis.ticks, [0.0, 1000.0, 2000.0, 3000.0, 4000.0, 5000.0]);
        let axis = Axis::over(Scale::Log, [12_000.0, 990_000.0].into_iter());
        assert_eq!(axis.ticks.len(), 3);
        assert!((axis.place(10_000.0)).abs() < 1e-9 && (axis.place(1e6) - 1.0).abs() < 1e-9);
        assert_eq!(
            [short(0.5), short(1000.0), short(12_500.0), short(1e6)],
            ["0.5", "1000", "12.5 k", "1 M"]
        );
    }

    #[test]
    fn drawings_are_well_formed_and_empty_ones_are_not_drawn() {
        let lines = |points| Lines {
            title: "a < b",
            x: ("x", Scale::Linear),
            y: ("y", Scale::Log),
            series: vec![("one & two".into(), points)],
        };
        let svg =
            lines(vec![(0.0, 1.0), (1.0, 10.0), (2.0, f64::NAN)]).svg().expect("two points can be drawn");
        assert!(svg.contains("a &lt; b") && svg.contains("one &amp; two") && svg.ends_with("</svg>\n"));
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(lines(vec![(0.0, 0.0), (1.0, f64::NAN)]).svg().is_none());
        assert!(Bars { title: "t", unit: "u", rows: vec![("a".into(), f64::NAN)] }.svg().is_none());
    }
}
