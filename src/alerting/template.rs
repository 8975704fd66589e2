//! What an alert says: `{{ $labels.x }}`, `{{ $value | humanize }}` and plain text.

use crate::labels::Labels;

/// The text with what stands in braces put in; what is not understood stays as it is, to be seen.
pub(crate) fn render(text: &str, labels: &Labels, value: f64) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((inside, behind)) = after.split_once("}}") else {
            rest = after;
            out.push_str("{{");
            break;
        };
        match worth(inside.trim(), labels, value) {
            Some(worth) => out.push_str(&worth),
            None => out.extend(["{{", inside, "}}"]),
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

fn worth(inside: &str, labels: &Labels, value: f64) -> Option<String> {
    if let Some(name) = inside.strip_prefix("$labels.") {
        return Some(labels.get(name).to_owned());
    }
    let mut parts = inside.split('|').map(str::trim);
    if parts.next() != Some("$value") {
        return None;
    }
    match (parts.next(), parts.next()) {
        (None, None) => Some(plain(value)),
        (Some("humanize"), None) => Some(humanize(value)),
        (Some("humanize1024"), None) => Some(humanize_1024(value)),
        (Some("humanizePercentage"), None) => Some(format!("{}%", four_digits(value * 100.0))),
        (Some("humanizeDuration"), None) => Some(humanize_duration(value)),
        _ => None,
    }
}

/// As Go prints a number.
fn plain(value: f64) -> String {
    let size = value.abs();
    match value {
        v if v.is_nan() => "NaN".to_owned(),
        v if v.is_infinite() => if v > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        0.0 => "0".to_owned(),
        v if !(1e-4..1e21).contains(&size) => scientific(&format!("{v:e}")),
        v => v.to_string(),
    }
}

/// Go's exponents have a sign and two digits at least.
fn scientific(rust: &str) -> String {
    let Some((digits, exponent)) = rust.split_once('e') else { return rust.to_owned() };
    let (sign, exponent) = match exponent.strip_prefix('-') {
        Some(exponent) => ('-', exponent),
        None => ('+', exponent),
    };
    format!("{digits}e{sign}{exponent:0>2}")
}

/// `%.4g`.
fn four_digits(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return plain(value);
    }
    let rounded = format!("{value:.3e}");
    let exponent = rounded.split_once('e').and_then(|(_, it)| it.parse::<i32>().ok()).unwrap_or(0);
    let trimmed = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    match usize::try_from(3 - exponent) {
        Ok(decimals) if exponent >= -4 => trimmed(&format!("{value:.decimals$}")),
        _ => match rounded.split_once('e') {
            Some((digits, exponent)) => scientific(&format!("{}e{exponent}", trimmed(digits))),
            None => rounded,
        },
    }
}

fn humanize(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return four_digits(value);
    }
    let (mut value, mut prefix) = (value, "");
    if value.abs() >= 1.0 {
        for larger in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if value.abs() < 1000.0 {
                break;
            }
            (prefix, value) = (larger, value / 1000.0);
        }
    } else {
        for smaller in ["m", "u", "n", "p", "f", "a", "z", "y"] {
            if value.abs() >= 1.0 {
                break;
            }
            (prefix, value) = (smaller, value * 1000.0);
        }
    }
    format!("{}{prefix}", four_digits(value))
}

fn humanize_1024(value: f64) -> String {
    let (mut value, mut prefix) = (value, "");
    if value.is_finite() && value.abs() > 1.0 {
        for larger in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
            if value.abs() < 1024.0 {
                break;
            }
            (prefix, value) = (larger, value / 1024.0);
        }
    }
    format!("{}{prefix}", four_digits(value))
}

#[expect(clippy::cast_possible_truncation, reason = "whole seconds of a span of time")]
fn humanize_duration(value: f64) -> String {
    if value == 0.0 {
        return "0s".to_owned();
    }
    if !value.is_finite() {
        return four_digits(value);
    }
    let (sign, size) = if value < 0.0 { ("-", -value) } else { ("", value) };
    if size >= 1.0 {
        let whole = size as i64;
        let (days, hours) = (whole / 86_400, whole / 3600 % 24);
        let (minutes, seconds) = (whole / 60 % 60, whole % 60);
        return match (days, hours, minutes) {
            (0, 0, 0) => format!("{sign}{}s", four_digits(size)),
            (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
            (0, _, _) => format!("{sign}{hours}h {minutes}m {seconds}s"),
            _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
        };
    }
    let (mut size, mut prefix) = (size, "");
    for smaller in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if size >= 1.0 {
            break;
        }
        (prefix, size) = (smaller, size * 1000.0);
    }
    format!("{sign}{}{prefix}s", four_digits(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_read_as_prometheus_writes_them() {
        let labels = Labels::new([("topic", "a{{b")]);
        let check = |text: &str, value: f64, want: &str| {
            assert_eq!(render(text, &labels, value), want, "{text} of {value}");
        };
        check("{{ $labels.topic }} of {{$labels.none}}.", 0.0, "a{{b of .");
        check("{{ $value }}", 3.0, "3");
        check("{{ $value }}", 0.000_012, "1.2e-05");
        check("{{ $value }}", f64::INFINITY, "+Inf");
        check("{{ $value | humanize }}", 5500.0, "5.5k");
        check("{{ $value | humanize }}", 0.25, "250m");
        check("{{ $value | humanize }}", 123_456_789.0, "123.5M");
        check("{{ $value | humanize1024 }}B", 1536.0, "1.5kiB");
        check("{{ $value | humanize1024 }}B", 12.0, "12B");
        check("{{ $value | humanizePercentage }}", 0.123_456, "12.35%");
        check("{{ $value | humanizePercentage }}", 1.0, "100%");
        check("{{ $value | humanizeDuration }}", 301.0, "5m 1s");
        check("{{ $value | humanizeDuration }}", 90_061.0, "1d 1h 1m 1s");
        check("{{ $value | humanizeDuration }}", 0.0015, "1.5ms");
        check("{{ $value | humanizeDuration }}", 2.5, "2.5s");
        check("{{ range }} {{ $value", 1.0, "{{ range }} {{ $value");
    }
}
