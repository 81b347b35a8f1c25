//! From OpenMetrics, which the library writes, to the text format 0.0.4, which every Prometheus reads.
//!
//! They differ in that OpenMetrics names a counter without `_total` where it is described, and ends with a line that says
//! so. Samples are the same.

/// The text in format 0.0.4, with the names of these families replaced.
pub(super) fn classic(open_metrics: &str, names: &[(&str, &str)]) -> String {
    let called = |name: &str| names.iter().find(|(from, _)| *from == name).map(|(_, to)| *to);
    let mut text = String::with_capacity(open_metrics.len() + 1024);
    let mut help = None;
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            let sampled = if kind == "counter" { &format!("{name}_total") } else { name };
            let name = called(sampled).unwrap_or(sampled);
            if let Some((_, sentence)) = help.take() {
                text.extend(["# HELP ", name, " ", sentence, "\n"]);
            }
            text.extend(["# TYPE ", name, " ", kind, "\n"]);
        } else if line != "# EOF" {
            let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap_or(line.len()));
            text.extend([called(name).unwrap_or(name), rest, "\n"]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn counters_are_described_under_the_name_of_their_samples() {
        let mut registry = Registry::default();
        let counted = Family::<Vec<(&'static str, String)>, Counter>::default();
        counted.get_or_create(&vec![("path", "a\"\\\nb".to_owned())]).inc_by(7);
        registry.register("counted", "How often, # TYPE and all", counted);
        let gauge: Gauge = Gauge::default();
        gauge.set(-3);
        registry.register("standing", "How it stands", gauge);
        let spread = Histogram::new([0.5, 1.0]);
        spread.observe(0.75);
        registry.register("spread_seconds", "How long", spread);
        let mut open_metrics = String::new();
        encode(&mut open_metrics, &registry).unwrap();
        let expected = "\
            # HELP counted_total How often, # TYPE and all.\n\
            # TYPE counted_total counter\n\
            counted_total{path=\"a\\\"\\\\\\nb\"} 7\n\
            # HELP standing How it stands.\n\
            # TYPE standing gauge\n\
            standing -3\n\
            # HELP spread_seconds How long.\n\
            # TYPE spread_seconds histogram\n\
            spread_seconds_sum 0.75\n\
            spread_seconds_count 1\n\
            spread_seconds_bucket{le=\"0.5\"} 0\n\
            spread_seconds_bucket{le=\"1.0\"} 1\n\
            spread_seconds_bucket{le=\"+Inf\"} 1\n";
        assert_eq!(classic(&open_metrics, &[]), expected);
        let renamed = expected.replace("counted_total", "said_total").replace("standing", "state");
        assert_eq!(classic(&open_metrics, &[("counted_total", "said_total"), ("standing", "state")]), renamed);
    }
}
