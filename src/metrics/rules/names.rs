//! Names as jmx_exporter and its client library make them.

/// Characters outside `[A-Za-z0-9_:]` become `_`, runs of `_` one, a leading digit gets a `_`
/// before it (`JmxCollector.toSafeName`).
pub(crate) fn safe_name(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    // Java walks UTF-16 units, but as runs collapse, one `_` per character is the same.
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() || c == ':' { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out
}

/// `toSnakeAndLowerCase`: lower case, and `_` before an upper-case letter whose predecessor is
/// neither upper case nor `_`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 8);
    let mut before: Option<char> = None;
    for c in name.chars() {
        if c.is_uppercase() && before.is_some_and(|b| !b.is_uppercase() && b != '_') {
            out.push('_');
        }
        out.extend(c.to_lowercase());
        before = Some(c);
    }
    out
}

/// Removes the suffixes that client_java 1.x reserves, repeatedly; a name that is nothing but
/// one loses only its underscore (`PrometheusNaming.sanitizeMetricName`).
pub(crate) fn without_reserved_suffix(name: &str) -> &str {
    let mut name = name;
    'again: loop {
        for suffix in ["_total", "_created", "_bucket", "_info"] {
            if name == suffix {
                return suffix.get(1..).unwrap_or_default();
            }
            if let Some(shorter) = name.strip_suffix(suffix) {
                name = shorter;
                continue 'again;
            }
        }
        return name;
    }
}

/// True for a label name that Prometheus accepts.
pub(crate) fn is_label_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.starts_with("__")
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// `Double.valueOf`: trims, takes exponents, `d` and `f` suffixes, hexadecimal floats, `NaN` and
/// `Infinity`; refuses everything else.
pub(crate) fn java_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let number = match rest {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        _ => {
            let hex = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"));
            let digits = |text: &str| text.strip_suffix(['d', 'D', 'f', 'F']).map(str::to_owned);
            match hex {
                Some(hex) => hex_double(hex.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(hex))?,
                None => {
                    let plain = digits(rest).unwrap_or_else(|| rest.to_owned());
                    let legal =
                        |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
                    if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '.')
                        || !plain.chars().all(legal)
                    {
                        return None;
                    }
                    plain.parse().ok()?
                }
            }
        }
    };
    Some(if negative { -number } else { number })
}

/// `1.8p3`: the exponent is a must.
fn hex_double(text: &str) -> Option<f64> {
    let at = text.find(['p', 'P'])?;
    let exponent: i32 = text.get(at + 1..)?.parse().ok()?;
    let mantissa = text.get(..at)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0 || whole.len() + fraction.len() > 64 {
        return None;
    }
    let mut value = 0.0_f64;
    for c in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(c.to_digit(16)?);
    }
    let scale = exponent.checked_sub(4 * i32::try_from(fraction.len()).ok()?)?;
    Some(value * 2.0_f64.powi(scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_safe() {
        for (name, want) in [
            ("a.b-c", "a_b_c"),
            ("a..b__c", "a_b_c"),
            ("9x", "_9x"),
            ("a:b", "a:b"),
            ("", ""),
            ("  ", "_"),
            ("__x", "_x"),
            ("é", "_"),
        ] {
            assert_eq!(safe_name(name), want);
        }
    }

    #[test]
    fn snake_case_follows_the_exporter() {
        for (name, want) in [
            ("HTTPServerPort", "httpserver_port"),
            ("CPUTimeMs", "cputime_ms"),
            ("aBC", "a_bc"),
            ("99thPercentile", "99th_percentile"),
            ("Under_Score", "under_score"),
            ("io-Ratio", "io-_ratio"),
        ] {
            assert_eq!(snake_case(name), want);
        }
    }

    #[test]
    fn reserved_suffixes_go() {
        for (name, want) in [
            ("a_total", "a"),
            ("a_info_total", "a"),
            ("_total", "total"),
            ("_total_total", "total"),
            ("total", "total"),
            ("a_count", "a_count"),
            ("a_TOTAL", "a_TOTAL"),
        ] {
            assert_eq!(without_reserved_suffix(name), want);
        }
    }

    #[test]
    fn numbers_are_read_as_java_reads_them() {
        for (text, want) in [
            ("1e3", Some(1000.0)),
            (" +5\t", Some(5.0)),
            ("-.5", Some(-0.5)),
            ("7d", Some(7.0)),
            ("5f", Some(5.0)),
            ("0x1p3", Some(8.0)),
            ("0x1.8p1", Some(3.0)),
            ("Infinity", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("inf", None),
            ("infinity", None),
            ("nan", None),
            ("1,000", None),
            ("1_000", None),
            ("12ms", None),
            ("true", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(java_double(text), want, "{text}");
        }
        assert!(java_double("NaN").unwrap().is_nan());
    }
}
