//! The results as a table, as JSON and as a picture.

mod svg;
mod table;

use serde::Serialize;

pub use svg::picture;
pub use table::text;

use crate::load::Window;

/// A client that is not in the table.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// Which.
    pub client: String,
    /// Why.
    pub why: String,
}

impl LeftOut {
    /// Left out for this reason.
    pub fn new(client: &str, why: String) -> Self {
        Self {
            client: client.into(),
            why,
        }
    }
}

/// One client at one depth: medians over the rounds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The client.
    pub client: String,
    /// Requests under way at a time.
    pub depth: usize,
    /// Requests answered per second.
    pub per_second: f64,
    /// CPU time of the client's process per request, in microseconds.
    pub cpu_us: f64,
    /// Half of the requests were answered within so many microseconds.
    pub p50_us: f64,
    /// 99 of 100 were.
    pub p99_us: f64,
    /// Requests per second, by those of the baseline in the same round.
    pub ratio: Option<f64>,
    /// The same ratio by requests per second of CPU. Other load on the machine disturbs it less.
    pub cpu_ratio: Option<f64>,
    /// Writes into the kernel per request.
    pub sends: Option<f64>,
    /// Reads from the kernel per request.
    pub receives: Option<f64>,
    /// Instructions per request.
    pub instructions: Option<f64>,
    /// Allocations per request.
    pub allocations: Option<f64>,
    #[serde(skip)]
    rates: Vec<f64>,
    #[serde(skip)]
    cpu_rates: Vec<f64>,
}

impl Row {
    /// The medians of these windows. The first one fills caches and is left out where there are others.
    pub fn new(client: &str, depth: usize, mut windows: Vec<Window>) -> Self {
        if windows.len() > 1 {
            windows.remove(0);
        }
        let of = |value: fn(&Window) -> f64| median(windows.iter().map(value).collect());
        Self {
            client: client.into(),
            depth,
            per_second: of(rate),
            cpu_us: of(|window| window.cpu_seconds * 1e6 / requests(window)),
            p50_us: of(|window| window.p50_us),
            p99_us: of(|window| window.p99_us),
            ratio: None,
            cpu_ratio: None,
            sends: None,
            receives: None,
            instructions: None,
            allocations: None,
            rates: windows.iter().map(rate).collect(),
            cpu_rates: windows
                .iter()
                .map(|window| requests(window) / window.cpu_seconds)
                .collect(),
        }
    }
}

/// A comparison.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// The client that others are compared with.
    pub baseline: String,
    /// All rows, by client and depth.
    pub rows: Vec<Row>,
    /// The clients that are left out.
    pub left_out: Vec<LeftOut>,
}

impl Table {
    /// Compares the rows, round by round: a machine that is slow for a while is so for all.
    pub fn new(mut rows: Vec<Row>, baseline: &str, left_out: Vec<LeftOut>) -> Self {
        let bases: Vec<_> = rows.iter().filter(|row| row.client == baseline).cloned().collect();
        for row in &mut rows {
            let base = bases.iter().find(|base| base.depth == row.depth);
            row.ratio = base.map(|base| ratio(&row.rates, &base.rates));
            row.cpu_ratio = base.map(|base| ratio(&row.cpu_rates, &base.cpu_rates));
        }
        Self {
            baseline: baseline.into(),
            rows,
            left_out,
        }
    }
}

/// The median of the rounds' ratios.
fn ratio(own: &[f64], base: &[f64]) -> f64 {
    median(own.iter().zip(base).map(|(own, base)| own / base).collect())
}

fn rate(window: &Window) -> f64 {
    requests(window) / window.seconds
}

#[expect(
    clippy::cast_precision_loss,
    reason = "requests of a window are far from the end of f64"
)]
fn requests(window: &Window) -> f64 {
    window.requests.max(1) as f64
}

/// The middle value; the mean of the two in the middle of an even number.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (_, None) => f64::NAN,
        (0, Some(upper)) => f64::midpoint(values[middle - 1], *upper),
        (_, Some(middle)) => *middle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(requests: [u64; 4]) -> Vec<Window> {
        let window = |requests| Window {
            requests,
            seconds: 1.0,
            cpu_seconds: 0.5,
            p50_us: 1.0,
            p99_us: 2.0,
            allocations: None,
        };
        requests.map(window).into()
    }

    #[test]
    fn a_row_is_compared_round_by_round_and_without_the_first() {
        let rows = vec![
            Row::new("mine", 1, windows([999, 100, 20, 300])),
            Row::new("base", 1, windows([1, 50, 10, 100])),
        ];
        let table = Table::new(rows, "base", Vec::new());
        assert_eq!(table.rows[0].ratio, Some(2.0));
        assert_eq!(table.rows[0].cpu_ratio, Some(2.0));
        assert!((table.rows[0].per_second - 100.0).abs() < 1e-9);
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert!((median(vec![4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
