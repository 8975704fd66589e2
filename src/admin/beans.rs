//! `/beans`: every bean with its attributes, as JSON, in pieces so that its size does not matter.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use pharos_metrics::{Bean, Registry, Scratch, Value};
use serde_json::{Map, json};

use crate::limits::BEANS_PER_PIECE;

/// `/beans[?name=PREFIX]`.
pub(crate) async fn beans(
    State(registry): State<Registry>,
    Query(query): Query<Vec<(String, String)>>,
) -> Response {
    let prefix = query.iter().find(|(key, _)| key == "name").map_or("", |(_, value)| value);
    let mut writer = Writer::new(registry.beans(prefix));
    let pieces =
        stream::poll_fn(move |_| std::task::Poll::Ready(writer.next().map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
}

struct Writer {
    beans: VecDeque<Arc<Bean>>,
    scratch: Scratch,
    values: Vec<Value>,
    begun: bool,
    ended: bool,
}

impl Writer {
    fn new(beans: Vec<Arc<Bean>>) -> Self {
        let beans = beans.into();
        Self { beans, scratch: Scratch::default(), values: Vec::new(), begun: false, ended: false }
    }

    fn write_bean(&mut self, bean: &Bean, out: &mut String) {
        self.values.clear();
        bean.read(&mut self.scratch, &mut self.values);
        let unit = bean.row().unit;
        let mut attributes = Map::new();
        for (info, value) in bean.attributes().iter().zip(&self.values) {
            let attribute = json!({
                "type": info.value_type.name(),
                "value": number_or_text(value),
                "unit": unit,
                "meaning": info.meaning,
            });
            attributes.insert(info.name.to_owned(), attribute);
        }
        out.push_str(&serde_json::Value::from(bean.name().as_str()).to_string());
        out.push(':');
        out.push_str(&serde_json::Value::Object(attributes).to_string());
    }
}

impl Iterator for Writer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        let mut out = String::new();
        if !self.begun {
            out.push_str("{\"beans\":{");
        }
        for _ in 0..BEANS_PER_PIECE {
            let Some(bean) = self.beans.pop_front() else { break };
            if self.begun {
                out.push(',');
            }
            self.begun = true;
            self.write_bean(&bean, &mut out);
        }
        if self.beans.is_empty() {
            out.push_str("}}\n");
            self.ended = true;
        }
        Some(out.into())
    }
}

/// JSON has no word for NaN and the infinities: they are written as text, as Java prints them.
fn number_or_text(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Long(long) => (*long).into(),
        Value::Bool(flag) => (*flag).into(),
        Value::Double(double) if double.is_finite() => (*double).into(),
        Value::Number { value, .. } if value.is_finite() => (*value).into(),
        other => {
            let mut text = String::new();
            other.write_java(&mut text);
            text.into()
        }
    }
}
