//! What an attribute reads as, and how Java writes it: rule patterns match that text, and the
//! exposition prints numbers the same way.

use std::sync::Arc;

/// The value of one bean attribute at one moment.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing to show: the attribute makes no sample.
    Null,
    /// Java's `Byte`, `Short`, `Integer` and `Long`, which all print alike.
    Long(i64),
    /// Java's `Double`.
    Double(f64),
    /// Java's `Boolean`; a sample of 1 or 0.
    Bool(bool),
    /// A string, or an enum constant by its name.
    Text(Arc<str>),
    /// A number whose text is not that of the double it becomes (`Float`, `BigDecimal`).
    Number {
        /// The text that patterns see.
        text: Arc<str>,
        /// The sample.
        value: f64,
    },
}

impl Value {
    /// A text value.
    pub fn text(text: &str) -> Self {
        Self::Text(Arc::from(text))
    }

    /// The sample that the value makes by itself; `None` for text and null.
    #[expect(clippy::cast_precision_loss, reason = "Java's Number.doubleValue rounds alike")]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Null | Self::Text(_) => None,
            Self::Long(long) => Some(*long as f64),
            Self::Double(double) => Some(*double),
            Self::Bool(flag) => Some(f64::from(u8::from(*flag))),
            Self::Number { value, .. } => Some(*value),
        }
    }

    /// Appends Java's string form: what comes after `: ` in the text that a rule sees.
    pub fn write_java(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Long(long) => out.push_str(itoa::Buffer::new().format(*long)),
            Self::Double(double) if double.is_infinite() => {
                out.push_str(if *double > 0.0 { "Infinity" } else { "-Infinity" });
            }
            Self::Double(double) => push_double(out, *double),
            Self::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
            Self::Text(text) | Self::Number { text, .. } => out.push_str(text),
        }
    }
}

/// The declared type of an attribute, named in `/beans` and used to turn a gauge's number into
/// the value that Kafka's bean of that name would hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// `java.lang.Byte`
    Byte,
    /// `java.lang.Short`
    Short,
    /// `java.lang.Integer`
    Int,
    /// `java.lang.Long`
    Long,
    /// `java.lang.Double`
    Double,
    /// `java.lang.String`
    Text,
    /// `java.util.concurrent.TimeUnit`
    TimeUnit,
}

impl ValueType {
    /// The word that `/beans` uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Byte => "byte",
            Self::Short => "short",
            Self::Int => "int",
            Self::Long => "long",
            Self::Double => "double",
            Self::Text => "string",
            Self::TimeUnit => "timeunit",
        }
    }

    /// A gauge's number as a value of this type; whole types cut the fraction off.
    #[expect(clippy::cast_possible_truncation, reason = "whole types cut, as Java's casts do")]
    pub fn of(self, number: f64) -> Value {
        match self {
            Self::Double => Value::Double(number),
            Self::Text | Self::TimeUnit => Value::Null,
            Self::Byte | Self::Short | Self::Int | Self::Long => Value::Long(number as i64),
        }
    }
}

/// Appends a number as the text formats want it: [`push_double`], with `+Inf` and `-Inf`.
pub(crate) fn push_sample(out: &mut Vec<u8>, number: f64) {
    if number.is_infinite() {
        out.extend_from_slice(if number > 0.0 { b"+Inf" } else { b"-Inf" });
        return;
    }
    let mut text = [0_u8; 32];
    let len = write_double(&mut text, number);
    out.extend_from_slice(text.get(..len).unwrap_or_default());
}

/// Appends Java's `Double.toString` (infinities aside): plain decimals from 0.001 up to ten
/// million, else `d.dddE7`; always a digit after the point; shortest digits that read back.
pub(crate) fn push_double(out: &mut String, number: f64) {
    let mut text = [0_u8; 32];
    let len = write_double(&mut text, number);
    let text = text.get(..len).unwrap_or_default();
    out.push_str(std::str::from_utf8(text).unwrap_or_default());
}

/// Fills `out` and returns how much of it is used; at most 26 bytes.
fn write_double(out: &mut [u8; 32], number: f64) -> usize {
    let mut sink = Sink { out, len: 0 };
    if number.is_nan() {
        sink.all(b"NaN");
        return sink.len;
    }
    if number.is_sign_negative() {
        sink.all(b"-");
    }
    let size = number.abs();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 1e7")]
    if size < 1e7 && size.fract() == 0.0 {
        sink.all(itoa::Buffer::new().format(size as u32).as_bytes());
        sink.all(b".0");
        return sink.len;
    }
    let (digits, count, exponent) = shortest(size);
    let digits = digits.get(..count).unwrap_or_default();
    if (1e-3..1e7).contains(&size) {
        plain(&mut sink, digits, exponent);
    } else {
        sink.all(digits.get(..1).unwrap_or_default());
        sink.all(b".");
        sink.all(if count > 1 { digits.get(1..).unwrap_or_default() } else { b"0" });
        sink.all(b"E");
        sink.all(itoa::Buffer::new().format(exponent).as_bytes());
    }
    sink.len
}

/// `digits` with the point after the digit of weight 10^0.
fn plain(sink: &mut Sink<'_>, digits: &[u8], exponent: i32) {
    if exponent < 0 {
        sink.all(b"0.");
        for _ in 1..-exponent {
            sink.all(b"0");
        }
        sink.all(digits);
        return;
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    for at in 0..whole {
        sink.all(&[digits.get(at).copied().unwrap_or(b'0')]);
    }
    sink.all(b".");
    let rest = digits.get(whole..).unwrap_or_default();
    sink.all(if rest.is_empty() { b"0" } else { rest });
}

/// The shortest decimal digits that read back as `size`, how many, and the exponent of the first.
fn shortest(size: f64) -> ([u8; 20], usize, i32) {
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format(size);
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let mut exponent: i32 = exponent.parse().unwrap_or(0);
    let mut digits = [0_u8; 20];
    let mut count = 0;
    let mut seen_point = false;
    let mut shift = -1_i32;
    for byte in mantissa.bytes() {
        if byte == b'.' {
            seen_point = true;
            continue;
        }
        if count == 0 && byte == b'0' {
            if seen_point {
                shift -= 1;
            }
            continue;
        }
        if let Some(slot) = digits.get_mut(count) {
            *slot = byte;
            count += 1;
        }
        if !seen_point {
            shift += 1;
        }
    }
    exponent += shift;
    while count > 1 && digits.get(count - 1) == Some(&b'0') {
        count -= 1;
    }
    (digits, count, exponent)
}

struct Sink<'a> {
    out: &'a mut [u8; 32],
    len: usize,
}

impl Sink<'_> {
    fn all(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        if let Some(place) = self.out.get_mut(self.len..end) {
            place.copy_from_slice(bytes);
            self.len = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn java(number: f64) -> String {
        let mut out = String::new();
        Value::Double(number).write_java(&mut out);
        out
    }

    #[test]
    fn doubles_read_as_in_java() {
        for (number, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-42.0, "-42.0"),
            (0.001, "0.001"),
            (0.0012, "0.0012"),
            (0.345, "0.345"),
            (0.000_999, "9.99E-4"),
            (123_456.789, "123456.789"),
            (9_999_999.0, "9999999.0"),
            (9_999_999.5, "9999999.5"),
            (1e7, "1.0E7"),
            (1.700_000_000_5e9, "1.7000000005E9"),
            (12_345_678.0, "1.2345678E7"),
            (1e21, "1.0E21"),
            (9.223_372_036_854_776e18, "9.223372036854776E18"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
            (0.100_000_001_490_116_12, "0.10000000149011612"),
        ] {
            assert_eq!(java(number), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn doubles_read_back(bits: u64) {
            let number = f64::from_bits(bits);
            if number.is_finite() {
                assert_eq!(java(number).parse::<f64>().unwrap().to_bits(), bits);
            }
        }
    }
}
