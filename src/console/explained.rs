//! `/api/explain?series=` and `/api/cost`: where a number comes from, and what showing it costs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pharos_admin::ErrorBody;
use pharos_alerting::end_of_value;
use pharos_explain::{Explained, Source, explain};
use pharos_metrics::Format;
use serde_json::{Value, json};

use crate::answer::{self, refused};
use crate::limits::{MAX_EXPLAINED, MAX_NAME};
use crate::shared::Shared;

/// `/api/explain?series=`.
pub(crate) async fn answer(
    State(shared): State<Arc<Shared>>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let asked = query.get("series").map(|series| series.trim().to_owned());
    let Some(asked) = asked.filter(|it| !it.is_empty() && it.len() <= MAX_NAME) else {
        return refused("series, a name with or without labels, is wanted").into_response();
    };
    shared.work(move |shared| told(shared, &asked)).await
}

fn told(shared: &Shared, asked: &str) -> Response {
    let Some((known, queries)) = shared.known() else {
        let why = "the rules that are compiled in cannot be read";
        return ErrorBody::new(StatusCode::INTERNAL_SERVER_ERROR, why).into_response();
    };
    match explain(known, queries, asked) {
        Ok(found) => {
            let left_out = found.len().saturating_sub(MAX_EXPLAINED);
            let found: Vec<_> = found.iter().take(MAX_EXPLAINED).map(one).collect();
            answer::json(&json!({ "explained": found, "left_out": left_out }))
        }
        Err(unknown) => ErrorBody::new(StatusCode::NOT_FOUND, unknown.to_string()).into_response(),
    }
}

fn one(it: &Explained) -> Value {
    let labels: Vec<_> =
        it.labels.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
    let readers = it.readers.iter().map(
        |reader| json!({ "file": reader.file, "what": reader.what, "through": reader.through }),
    );
    let source = match &it.source {
        Source::Rule { file, rule: (rule, line), row, attribute } => json!({
            "bean": row.template,
            "attribute": attribute,
            "rule_file": file,
            "rule": rule,
            "line": line,
            "kafka": row.source,
        }),
        Source::Native(row) => json!({ "family": row.name }),
        Source::Own(_) => json!({ "page": "about itself, as jmx_exporter does" }),
        Source::Record { file, line, reads } => {
            json!({ "recorded_by": file, "line": line, "reads": reads })
        }
    };
    json!({
        "name": it.name,
        "labels": labels,
        "source": source,
        "meaning": it.meaning,
        "unit": it.unit,
        "owner": it.owner,
        "truth": it.truth,
        "readers": readers.collect::<Vec<_>>(),
    })
}

/// `/api/cost`: how many samples and bytes each family of the two pages has.
pub(crate) async fn cost(State(shared): State<Arc<Shared>>) -> Response {
    shared.work(|shared| answer::json(&costs(shared))).await
}

fn costs(shared: &Shared) -> Value {
    let mut families = Vec::new();
    for page in ["default", "native"] {
        let text = shared.pages.render(page, Format::Text).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        for (name, Cost { samples, bytes, labels }) in by_family(&text) {
            let labels: BTreeMap<_, _> =
                labels.into_iter().map(|(label, values)| (label, values.len())).collect();
            families.push(json!({
                "page": page, "family": name, "samples": samples, "bytes": bytes,
                "values_of_labels": labels,
            }));
        }
    }
    families.sort_by_key(|it| std::cmp::Reverse(it.get("bytes").and_then(Value::as_u64)));
    json!({ "families": families })
}

/// What a family costs.
#[derive(Debug, Default)]
struct Cost<'a> {
    samples: u64,
    bytes: u64,
    /// The values of each label.
    labels: BTreeMap<&'a str, std::collections::BTreeSet<&'a str>>,
}

/// A family's lines follow its TYPE.
fn by_family(text: &str) -> BTreeMap<&str, Cost<'_>> {
    let mut found: BTreeMap<&str, Cost<'_>> = BTreeMap::new();
    let mut family = "";
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            family = rest.split(' ').next().unwrap_or_default();
        }
        let name =
            if line.starts_with('#') { line.split(' ').nth(2).unwrap_or_default() } else { family };
        let cost = found.entry(name).or_default();
        cost.bytes += line.len() as u64 + 1;
        if line.starts_with('#') {
            continue;
        }
        cost.samples += 1;
        let Some((_, labels)) = line.split_once('{') else { continue };
        let mut rest = labels;
        while let Some((label, behind)) = rest.split_once("=\"") {
            let Some(end) = end_of_value(behind) else { break };
            let value = behind.get(..end).unwrap_or_default();
            cost.labels.entry(label.trim_start_matches(',')).or_default().insert(value);
            rest = behind.get(end + 1..).unwrap_or_default();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_costs_its_lines() {
        let page = "# HELP a x\n# TYPE a gauge\na{t=\"x\\\",y=\\\"\",u=\"1\"} 1\na{t=\"z\",u=\"1\"} 2\n\
            # TYPE b histogram\nb_bucket{le=\"+Inf\"} 1\nb_count 1\n";
        let found = by_family(page);
        let a = &found["a"];
        assert_eq!((a.samples, a.labels["t"].len(), a.labels["u"].len()), (2, 2, 1));
        assert_eq!(found["b"].samples, 2);
        let all: u64 = found.values().map(|it| it.bytes).sum();
        assert_eq!(all, page.len() as u64);
    }
}
