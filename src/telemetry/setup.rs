//! Starts logging and tracing for the process, once.

use std::io::IsTerminal as _;

use pharos_base::Clock;
use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};

use crate::format::{Json, Line};
use crate::layer::Gate;
use crate::otlp::{Otlp, OtlpError, Provider};
use crate::tracer::Tracer;

/// The environment variable that holds the filter, as `info,pharos_storage=debug`.
const FILTER_VARIABLE: &str = "PHAROS_LOG";

/// What is logged where nothing is said.
// The quorum library tells of each of its steps at INFO, and of each retry at WARN.
const DEFAULT_FILTER: &str = "info,openraft=error";
const QUIET_FILTER: &str = "warn,openraft=error";

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One short line for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// What to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// How lines are written.
    pub format: Format,
    /// The clock that dates them.
    pub clock: Clock,
    /// Only what needs attention is logged, unless `PHAROS_LOG` says otherwise.
    pub quiet: bool,
    /// Where spans go, if anywhere.
    pub otlp: Option<Otlp>,
}

/// Why nothing was started.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// A filter that is none.
    #[error("PHAROS_LOG={text}: expected a level or target=level, separated by commas: {source}")]
    Filter {
        /// The filter.
        text: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// A word that is no level: as the name of a target it would silence all others.
    #[error(
        "PHAROS_LOG={text}: expected off, error, warn, info, debug, trace or target=level instead of \
         {part:?}"
    )]
    Level {
        /// The filter.
        text: String,
        /// The word.
        part: String,
    },
    /// Spans cannot be exported.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// Somebody started before.
    #[error("logging is already set up: {0}")]
    Twice(#[from] TryInitError),
}

/// Keeps the span export alive. Dropping it sends what is left and blocks for up to two seconds; the
/// runtime that carries the requests must still run, and the drop must not happen on one of its
/// threads.
#[derive(Debug)]
#[must_use = "spans are lost without it"]
pub struct Guard {
    provider: Option<Provider>,
}

impl Guard {
    /// What begins the traces of requests; `None` when none is traced.
    pub fn tracer(&self) -> Option<Tracer> {
        self.provider.as_ref().and_then(Provider::tracer)
    }
}

/// Starts logging to standard error and, where asked for, the export of spans.
///
/// # Errors
/// A malformed filter or endpoint, or a second start in one process.
pub fn start(options: Options) -> Result<Guard, TelemetryError> {
    let Options { format, clock, quiet, otlp } = options;
    let default = if quiet { QUIET_FILTER } else { DEFAULT_FILTER };
    let filter = filter(std::env::var(FILTER_VARIABLE).ok(), default)?;
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(std::io::stderr);
    let lines = match format {
        Format::Text => lines.event_format(Line { clock, terminal }).boxed(),
        Format::Json => lines.fmt_fields(JsonFields::new()).event_format(Json::new(clock)).boxed(),
    };
    let most = filter.max_level_hint();
    let lines = tracing_subscriber::registry().with(lines.with_filter(filter));
    let provider = otlp.map(Otlp::start).transpose()?;
    match &provider {
        Some(provider) => lines.with(provider.layer()).with(Gate::new(most)).try_init()?,
        None => lines.try_init()?,
    }
    Ok(Guard { provider })
}

fn filter(text: Option<String>, default: &str) -> Result<EnvFilter, TelemetryError> {
    let text = text.filter(|text| !text.trim().is_empty());
    let text = text.unwrap_or_else(|| default.to_owned());
    let is_sound = |part: &&str| part.contains(['=', '[']) || part.parse::<LevelFilter>().is_ok();
    // The library takes blanks for a part of a name.
    let parts: Vec<_> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    if let Some(part) = parts.iter().find(|part| !is_sound(part)) {
        return Err(TelemetryError::Level { part: (*part).to_owned(), text });
    }
    EnvFilter::try_new(parts.join(",")).map_err(|source| TelemetryError::Filter { text, source })
}

#[cfg(test)]
mod tests {
    use tracing::Subscriber as _;

    use super::*;

    #[test]
    fn where_no_spans_are_exported_rooms_make_none() {
        let lines = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
        let lines = lines.with_filter(filter(None, DEFAULT_FILTER).unwrap());
        let subscriber = tracing_subscriber::registry().with(lines);
        // A span of a room is of level DEBUG: it costs one comparison.
        assert_eq!(subscriber.max_level_hint(), Some(LevelFilter::INFO));
    }

    #[test]
    fn filters_are_levels_or_targets() {
        let words = ["debug", "WARN", "info,pharos_storage=trace", "off,pharos_net=info"];
        for good in words.map(Some).into_iter().chain([None, Some("")]) {
            assert!(filter(good.map(str::to_owned), DEFAULT_FILTER).is_ok(), "{good:?}");
        }
        let blanks = filter(Some(" info , pharos_net=debug ".to_owned()), DEFAULT_FILTER).unwrap();
        assert_eq!(blanks.to_string(), "pharos_net=debug,info");
        let error =
            filter(Some("storage=loud".to_owned()), DEFAULT_FILTER).unwrap_err().to_string();
        assert!(error.starts_with("PHAROS_LOG=storage=loud: expected a level"), "{error}");
        for (bad, part) in [("debg", "debg"), ("warning", "warning"), ("info,storage", "storage")] {
            let error = filter(Some(bad.to_owned()), DEFAULT_FILTER).unwrap_err().to_string();
            assert!(error.ends_with(&format!("target=level instead of {part:?}")), "{error}");
        }
    }
}
