//! One line per event: time, level, room, message and fields; within a traced request also the ids
//! of its trace and span. What comes from outside cannot break a line in two or colour it: control
//! characters are escaped.

use std::fmt;

use pharos_base::Clock;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{self, Format, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::tracer;

/// The line for people. On a terminal the time is short and the level coloured.
pub(crate) struct Line {
    pub clock: Clock,
    pub terminal: bool,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = String::new();
        context.field_format().format_fields(Writer::new(&mut fields), event)?;
        let metadata = event.metadata();
        let time = timestamp(self.clock.now_ms(), self.terminal);
        let (paint, plain) = if self.terminal { colour(metadata.level()) } else { ("", "") };
        write!(out, "{time} {paint}{:5}{plain} {}: ", metadata.level(), room(metadata.target()))?;
        for char in fields.chars() {
            match char {
                char if char.is_control() => write!(out, "{}", char.escape_default())?,
                char => out.write_char(char)?,
            }
        }
        if let Some(trace) = tracer::current() {
            write!(out, " trace_id={} span_id={}", trace.trace_id, trace.span_id)?;
        }
        out.write_char('\n')
    }
}

/// The line for machines: one JSON object.
pub(crate) struct Json(Format<format::Json, Time>);

impl Json {
    pub(crate) fn new(clock: Clock) -> Self {
        let json = format::format().json().flatten_event(true).with_timer(Time(clock));
        Self(json.with_current_span(false).with_span_list(false))
    }
}

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(trace) = tracer::current() else {
            return self.0.format_event(context, out, event);
        };
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        // The object is open again, so that the ids stand beside what is known of the event.
        out.write_str(line.trim_end().strip_suffix('}').unwrap_or(&line))?;
        let (trace_id, span_id) = (trace.trace_id, trace.span_id);
        writeln!(out, r#","trace_id":"{trace_id}","span_id":"{span_id}"}}"#)
    }
}

/// `pharos_storage::log::roll` is `storage`; other targets stand as they are.
fn room(target: &str) -> &str {
    match target.strip_prefix("pharos_") {
        Some(rest) => rest.split("::").next().unwrap_or(rest),
        None => target,
    }
}

fn colour(level: &Level) -> (&'static str, &'static str) {
    let paint = match *level {
        Level::ERROR => "\x1b[31m",
        Level::WARN => "\x1b[33m",
        Level::INFO => "\x1b[32m",
        _ => "\x1b[2m",
    };
    (paint, "\x1b[0m")
}

/// Time of day in UTC for a terminal, the whole date otherwise.
fn timestamp(now_ms: i64, short: bool) -> String {
    let ms = now_ms.rem_euclid(1000);
    match jiff::Timestamp::from_millisecond(now_ms) {
        Ok(time) if short => time.strftime("%H:%M:%S").to_string(),
        Ok(time) => format!("{}.{ms:03}Z", time.strftime("%Y-%m-%dT%H:%M:%S")),
        Err(_) => now_ms.to_string(),
    }
}

/// The time of a JSON line.
struct Time(Clock);

impl FormatTime for Time {
    fn format_time(&self, out: &mut Writer<'_>) -> fmt::Result {
        out.write_str(&timestamp(self.0.now_ms(), false))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use pharos_base::{SpanId, TraceContext, TraceId};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::tracer::Scope;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn clock() -> Clock {
        Clock::simulated(1_700_000_000_123).0
    }

    fn line_of(terminal: bool, log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .event_format(Line { clock: clock(), terminal })
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = buffer.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn json_of(log: impl FnOnce()) -> String {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let layer = tracing_subscriber::fmt::layer()
            .fmt_fields(format::JsonFields::new())
            .event_format(Json::new(clock()))
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log);
        let bytes = buffer.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_within_a_traced_request_carries_its_ids() {
        let (trace_id, span_id) = (TraceId(0xabc), SpanId(0xdef));
        let scope = Scope::new(TraceContext { trace_id, span_id, sampled: true });
        let log = || tracing::info!(target: "x", name = "a\"}", "hello");
        assert_eq!(
            line_of(false, || scope.run(log)),
            "2023-11-14T22:13:20.123Z INFO  x: hello name=\"a\\\"}\" \
             trace_id=00000000000000000000000000000abc span_id=0000000000000def\n"
        );
        let plain = r#"{"timestamp":"2023-11-14T22:13:20.123Z","level":"INFO","message":"hello","name":"a\"}","target":"x""#;
        assert_eq!(json_of(log), format!("{plain}}}\n"));
        let ids = r#""trace_id":"00000000000000000000000000000abc","span_id":"0000000000000def""#;
        assert_eq!(json_of(|| scope.run(log)), format!("{plain},{ids}}}\n"));
    }

    #[test]
    fn a_line_is_short_and_names_the_room() {
        let line = line_of(false, || {
            tracing::warn!(target: "pharos_storage::log::roll", segments = 3, "rolled");
        });
        assert_eq!(line, "2023-11-14T22:13:20.123Z WARN  storage: rolled segments=3\n");
        let line = line_of(true, || tracing::info!(target: "hyper", "hello"));
        assert_eq!(line, "22:13:20 \u{1b}[32mINFO \u{1b}[0m hyper: hello\n");
    }

    #[test]
    fn what_comes_from_outside_stays_on_its_line() {
        let client = "evil\n2023 ERROR \u{1b}[31mfake";
        let line = line_of(false, || tracing::info!(target: "x", %client, "closed"));
        assert_eq!(
            line,
            "2023-11-14T22:13:20.123Z INFO  x: closed \
             client=evil\\n2023 ERROR \\u{1b}[31mfake\n"
        );
    }
}
