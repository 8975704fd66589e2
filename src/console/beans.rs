//! `/api/beans`, `/api/bean?name=` and `/api/try`: the beans of the node, and what rules make of
//! them.

use std::collections::BTreeMap;
use std::iter;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use pharos_admin::ErrorBody;
use pharos_metrics::rules::BUILT_IN;
use pharos_metrics::{Attempt, AttemptLimits, Bean, RuleSet, Scratch, Value as Reading, attempt};
use serde_json::{Value, json};

use crate::allowance::Allowance;
use crate::answer::{self, number, refused};
use crate::limits::{
    LONGEST_TRYING, MAX_BEANS, MAX_NAME, MAX_TRIED_BYTES, MAX_TRIED_LINES, TRIED_BEANS_OF_A_ROW,
    TRYING,
};
use crate::shared::Shared;

type Parameters = Query<BTreeMap<String, String>>;

/// `/api/beans[?find=WORDS]`: the names that hold every word, in their order.
pub(crate) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(mut query): Parameters,
) -> Response {
    let find = query.remove("find").unwrap_or_default();
    if find.len() > MAX_NAME {
        return refused(format!("find takes up to {MAX_NAME} bytes")).into_response();
    }
    shared.work(move |shared| answer::json(&found(shared, &find))).await
}

fn found(shared: &Shared, find: &str) -> Value {
    let words: Vec<_> = find.split_whitespace().map(str::to_lowercase).collect();
    let beans = shared.registry.beans("");
    let all = beans.len();
    let held = |bean: &Arc<Bean>| {
        let name = bean.name().as_str().to_lowercase();
        words.iter().all(|word| name.contains(word.as_str()))
    };
    let mut found = beans.into_iter().filter(held);
    let shown: Vec<_> = found
        .by_ref()
        .take(MAX_BEANS)
        .map(|bean| json!({ "name": bean.name().as_str(), "meaning": bean.row().meaning }))
        .collect();
    json!({ "beans": shown, "left_out": found.count(), "all": all })
}

/// `/api/bean?name=`.
pub(crate) async fn one(
    State(shared): State<Arc<Shared>>,
    Query(mut query): Parameters,
) -> Response {
    let Some(name) = query.remove("name") else {
        return refused("name, an object name, is wanted").into_response();
    };
    shared
        .work(move |shared| match shared.registry.bean(&name) {
            Some(bean) => answer::json(&shown(shared, bean)),
            None => ErrorBody::new(StatusCode::NOT_FOUND, "there is no such bean").into_response(),
        })
        .await
}

fn shown(shared: &Shared, bean: Arc<Bean>) -> Value {
    let mut values = Vec::new();
    bean.read(&mut Scratch::default(), &mut values);
    let attributes = bean.attributes().into_iter().zip(&values).map(|(info, value)| {
        json!({
            "name": info.name,
            "type": info.value_type.name(),
            "value": reading(value),
            "meaning": info.meaning,
        })
    });
    let attributes: Vec<_> = attributes.collect();
    let row = bean.row();
    let pages = BUILT_IN.iter().filter_map(|(file, text)| {
        let rules = RuleSet::parse(text, file, shared.generation).ok()?;
        let Attempt { page, .. } = attempt(rules, [bean.clone()], &limits());
        Some(json!({ "rules": file, "page": page }))
    });
    json!({
        "name": bean.name().as_str(),
        "meaning": row.meaning,
        "unit": row.unit,
        "kafka": row.source,
        "attributes": attributes,
        "pages": pages.collect::<Vec<_>>(),
    })
}

/// As the bean's type has it.
fn reading(value: &Reading) -> Value {
    match value {
        Reading::Long(value) => (*value).into(),
        Reading::Bool(value) => (*value).into(),
        Reading::Null => Value::Null,
        Reading::Text(text) => (&**text).into(),
        other => number(other.as_f64().unwrap_or(f64::NAN)),
    }
}

/// `POST /api/try`: a rule file, and what it makes of the beans.
pub(crate) async fn tried(State(shared): State<Arc<Shared>>, rules: String) -> Response {
    if rules.len() > MAX_TRIED_BYTES {
        return refused(format!("rules of up to {MAX_TRIED_BYTES} bytes are tried"))
            .into_response();
    }
    shared
        .work(move |shared| match RuleSet::parse(&rules, "rules", shared.generation) {
            Ok(rules) => answer::json(&outcome(shared, rules, Allowance::of(TRYING))),
            Err(error) => refused(error.message).into_response(),
        })
        .await
}

pub(crate) fn outcome(shared: &Shared, rules: RuleSet, mut allowance: Allowance) -> Value {
    let warnings = rules.warnings().to_vec();
    let mut beans = shared.registry.beans("").into_iter();
    let allowed = iter::from_fn(|| if allowance.is_spent() { None } else { beans.next() });
    let mut tried = attempt(rules, allowed, &limits());
    tried.cut |= beans.len() > 0;
    tried.beans_left += beans.len();
    let rules: Vec<_> = tried
        .decided
        .iter()
        .map(|it| json!({ "line": it.line, "attributes": it.attributes }))
        .collect();
    json!({
        "beans": tried.beans,
        "beans_left": tried.beans_left,
        "attributes": tried.attributes,
        "unwanted": tried.unwanted,
        "dropped": tried.dropped,
        "rules": rules,
        "samples": tried.samples,
        "page": tried.page,
        "cut": tried.cut,
        "warnings": warnings,
    })
}

fn limits() -> AttemptLimits {
    AttemptLimits {
        beans_of_a_row: TRIED_BEANS_OF_A_ROW,
        lines: MAX_TRIED_LINES,
        deadline: Instant::now() + LONGEST_TRYING,
    }
}
