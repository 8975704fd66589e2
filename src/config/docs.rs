//! Writes `docs/config.md` from the rows.

use std::fmt::Write as _;

use crate::check::Expected;
use crate::row::{Default, Effect, Row};
use crate::{UP_DEFAULTS, rows};

const HEAD: &str = "\
# Configuration

This page is generated from the rows in `src/config/rows/`; `UPDATE=1 cargo test -p pharos-config
docs` writes it anew.

## How values are given

`pharos server FILE` reads a Java properties file; `pharos up` needs none. In both cases the
environment wins over the file and `--override key=value` over both.

- `KAFKA_NUM_PARTITIONS=3` sets `num.partitions`: the name in capitals, `.` as `_`, `_` as `__`,
  `-` as `___`. `KAFKA_CFG_NUM_PARTITIONS` does the same and wins.
- `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_TRACES_SAMPLER_ARG` and OpenTelemetry's other variables that
  have a key here (`docs/tracing.md`) set the keys of those names.
- `CLUSTER_ID` gives the id of a new cluster: 22 characters of URL-safe base64.
- Variables that containers set for other purposes (`KAFKA_HEAP_OPTS`, `KAFKA_OPTS`,
  `KAFKA_JMX_PORT`, `KAFKA_PORT=tcp://...` and their like) are skipped.
- `PHAROS_LOG` chooses what is logged: a level, or `target=level` separated by commas, as
  `info,openraft=error,pharos_storage=debug` (`docs/logs.md`).

Everything is checked before a port is bound. A value that its key cannot have stops the start with
one line: where it was given, key, value, what was expected. An unknown key is ignored with a
warning that names the nearest known one.

Every key has one of three effects:

- **honoured**: the value acts;
- **no meaning**: the value is accepted, shown by DescribeConfigs, and listed in one warning at
  start together with the reason;
- **refused**: a value that asks for something absent stops the start.

A listener has limits of its own as `listener.name.NAME.max.connections` and
`listener.name.NAME.max.connection.creation.rate`, its name in lower case.

When no listener is given for controllers, one is added that only this machine can reach. When
`listeners` is missing, the ports of `advertised.listeners` are bound on every address. An empty
host binds every address of both IP versions, port 0 a free port.
";

/// The whole page.
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    up(&mut page);
    for section in rows::sections() {
        table(&mut page, section.title, section.rows, section.broker);
    }
    page
}

// Writing to a String does not fail, so the results below are let go.

fn up(page: &mut String) {
    page.push_str("\n## Where `pharos up` differs from Kafka's defaults\n\n");
    page.push_str("| key | `pharos up` | Kafka | why |\n|---|---|---|---|\n");
    for default in UP_DEFAULTS {
        let kafka = rows::broker_row(default.key).and_then(|row| row.default.text());
        let (key, value, why) = (default.key, default.value, default.why);
        let _ = writeln!(page, "| `{key}` | `{value}` | `{}` | {why} |", kafka.unwrap_or("-"));
    }
    page.push_str(
        "| `advertised.listeners` | host `localhost` | the machine's name | clients run here |\n",
    );
}

fn table(page: &mut String, title: &str, rows: &[&Row], broker: bool) {
    let _ = writeln!(page, "\n## {title}\n");
    let update = if broker { " update |" } else { "" };
    let _ = writeln!(page, "| key | type | default | valid |{update} effect | meaning |");
    let _ = writeln!(page, "|---|---|---|---|{}---|---|", if broker { "---|" } else { "" });
    for row in rows.iter().filter(|row| !row.internal) {
        let update = if broker { format!(" {} |", row.update.name()) } else { String::new() };
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {} |{update} {} | {} |",
            row.name,
            row.kind.name(),
            default(row),
            valid(row),
            effect(row),
            row.doc
        );
    }
}

fn default(row: &Row) -> String {
    match row.default {
        Default::Required => "derived".to_owned(),
        Default::Null => "none".to_owned(),
        Default::Text("") => "empty".to_owned(),
        Default::Text(text) => format!("`{text}`"),
    }
}

/// What the row expects beyond its type.
fn valid(row: &Row) -> String {
    let mut plain = *row;
    plain.check = crate::Check::Any;
    let (full, bare) = (Expected(row).to_string(), Expected(&plain).to_string());
    let rest = full.strip_prefix(bare.as_str()).or_else(|| full.strip_prefix("expected "));
    let rest = rest.unwrap_or_default().trim();
    rest.strip_prefix("of ").unwrap_or(rest).replace('|', "\\|")
}

fn effect(row: &Row) -> String {
    match row.effect {
        Effect::Honoured => "honoured".to_owned(),
        Effect::NoMeaning(why) => format!("no meaning: {why}"),
        Effect::Refused { absent, .. } => format!("refused: {absent} not available"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");

    #[test]
    fn the_page_is_current() {
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(PATH, markdown()).unwrap();
        }
        let page = std::fs::read_to_string(PATH).unwrap_or_default();
        assert!(page == markdown(), "docs/config.md is stale: run with UPDATE=1");
    }

    #[test]
    fn every_public_row_stands_on_the_page_once() {
        let page = markdown();
        for section in rows::sections() {
            for row in section.rows.iter().filter(|row| !row.internal) {
                assert!(page.contains(&format!("\n| `{}` |", row.name)), "{}", row.name);
            }
        }
        let rows: usize = rows::sections().iter().map(|section| section.rows.len()).sum();
        let tables = rows::topic::ALL.len()
            + rows::group::ALL.len()
            + rows::client_metrics::ALL.len()
            + rows::throttle::ALL.len();
        assert_eq!(rows, rows::broker().len() + tables);
    }
}
