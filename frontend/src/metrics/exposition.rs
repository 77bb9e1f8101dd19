//! Writes Prometheus' text format, version 0.0.4. Knows the format and nothing of what is measured.

use std::fmt::Write;

/// What a family's samples are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A text that grows family by family.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
}

// Writing to a string cannot fail, hence the results that are left alone here.
impl Exposition {
    /// Begins a family; its samples follow.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A sample that counts.
    pub(super) fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: u64) {
        self.head(name, labels);
        let _ = writeln!(self.text, " {value}");
    }

    /// A sample that measures.
    pub(super) fn sample_f64(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.head(name, labels);
        let _ = writeln!(self.text, " {value}");
    }

    /// A histogram's samples: cumulative counts by upper bound, then all, then the sum.
    pub(super) fn histogram(
        &mut self,
        name: &str,
        labels: &[(&str, &str)],
        bounds: impl IntoIterator<Item = (f64, u64)>,
        count: u64,
        sum: f64,
    ) {
        let bucket = format!("{name}_bucket");
        let mut bound = |text: &str, value: u64| {
            let labels: Vec<_> = labels.iter().copied().chain([("le", text)]).collect();
            self.sample(&bucket, &labels, value);
        };
        for (upper, value) in bounds {
            // Counts are read one by one while they grow: no bound may exceed the total.
            bound(&upper.to_string(), value.min(count));
        }
        bound("+Inf", count);
        self.sample_f64(&format!("{name}_sum"), labels, sum);
        self.sample(&format!("{name}_count"), labels, count);
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    fn head(&mut self, name: &str, labels: &[(&str, &str)]) {
        self.text.push_str(name);
        for (k, (label, value)) in labels.iter().enumerate() {
            let _ = write!(self.text, "{}{label}=\"{}\"", if k == 0 { '{' } else { ',' }, escaped(value));
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_the_format_wants_them() {
        let mut out = Exposition::default();
        out.family("a_total", Kind::Counter, "Things.");
        out.sample("a_total", &[], 3);
        out.sample("a_total", &[("k", "q\"\\\n"), ("l", "x")], 4);
        let expected = "# HELP a_total Things.\n# TYPE a_total counter\na_total 3\na_total{k=\"q\\\"\\\\\\n\",l=\"x\"} 4\n";
        assert_eq!(out.into_text(), expected);
    }

    #[test]
    fn a_histogram_is_cumulative_and_closed() {
        let mut out = Exposition::default();
        out.histogram("h", &[("s", "t")], [(0.5, 1), (2.0, 9)], 3, 1.25);
        assert_eq!(
            out.into_text(),
            "h_bucket{s=\"t\",le=\"0.5\"} 1\nh_bucket{s=\"t\",le=\"2\"} 3\nh_bucket{s=\"t\",le=\"+Inf\"} 3\n\
             h_sum{s=\"t\"} 1.25\nh_count{s=\"t\"} 3\n"
        );
    }
}
