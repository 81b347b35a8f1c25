//! The one table a mode prints, and the arithmetic of its cells.

pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(header: &[&str]) -> Self {
        Self { rows: vec![header.iter().map(|cell| cell.to_string()).collect()] }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub fn print(&self) {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        println!();
        for (number, row) in self.rows.iter().enumerate() {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                match column {
                    0 => line += &format!("{cell:<width$}"),
                    _ => line += &format!("  {cell:>width$}"),
                }
            }
            println!("{}", line.trim_end());
            if number == 0 {
                println!("{}", "-".repeat(widths.iter().sum::<usize>() + 2 * (columns - 1)));
            }
        }
        println!();
    }
}

pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => (values[n / 2 - 1] + values[n / 2]) / 2.0,
    }
}

/// The value below which this share of the values lies; NaN when there are none.
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * percent / 100.0).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Median and range of the ratios of paired rounds: a machine that slows down for a while slows
/// both halves of a pair, so this drifts less than the ratio of two medians would.
pub struct Ratio {
    median: f64,
    low: f64,
    high: f64,
}

impl Ratio {
    pub fn of(pairs: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let ratios: Vec<f64> = pairs.into_iter().map(|(ours, theirs)| ours / theirs).collect();
        Self {
            median: median(ratios.iter().copied()),
            low: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            high: ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        }
    }

    pub fn median(&self) -> f64 {
        self.median
    }

    /// Median, range, and whether the wanted ratio was reached.
    pub fn cell(&self, wanted: Option<f64>) -> String {
        self.judged(wanted.map(|wanted| target(self.median >= wanted, &format!("≥ {wanted}"))))
    }

    /// The same where less is better.
    pub fn cell_at_most(&self, wanted: Option<f64>) -> String {
        self.judged(wanted.map(|wanted| target(self.median <= wanted, &format!("≤ {wanted}"))))
    }

    fn judged(&self, verdict: Option<String>) -> String {
        let cell = format!("{:.2} [{:.2}..{:.2}]", self.median, self.low, self.high);
        verdict.map_or(cell.clone(), |verdict| format!("{cell} {verdict}"))
    }
}

pub fn target(met: bool, wanted: &str) -> String {
    format!("{wanted} {}", if met { "met" } else { "MISSED" })
}

pub fn micros(nanos: u64) -> String {
    match nanos {
        0..100_000 => format!("{:.1}", nanos as f64 / 1e3),
        _ => format!("{}", nanos / 1000),
    }
}

pub fn megabytes(kilobytes: u64) -> String {
    format!("{:.1}", kilobytes as f64 / 1024.0)
}

/// A cell that has nothing to say.
pub fn none() -> String {
    "-".into()
}
