//! `/beans`: every bean with its attributes, types, units and meanings, as JSON.

use serde_json::{Map, Value as Json, json};

use crate::bean::Scratch;
use crate::registry::Registry;
use crate::value::Value;

/// The beans whose object name starts with `prefix`:
/// `{"beans": {NAME: {ATTRIBUTE: {"type", "value", "unit", "meaning"}}}}`. Numbers that JSON has
/// no word for (NaN, infinities) are texts.
pub fn beans_json(registry: &Registry, prefix: &str) -> String {
    let mut beans = Map::new();
    let mut scratch = Scratch::default();
    let mut values = Vec::new();
    for bean in registry.beans(prefix) {
        values.clear();
        bean.read(&mut scratch, &mut values);
        let mut attributes = Map::new();
        for (info, value) in bean.attributes().iter().zip(&values) {
            let entry = json!({
                "type": info.value_type.name(),
                "value": json_value(value),
                "unit": bean.row().unit,
                "meaning": info.meaning,
            });
            attributes.insert(info.name.to_owned(), entry);
        }
        beans.insert(bean.name().as_str().to_owned(), Json::Object(attributes));
    }
    json!({ "beans": beans }).to_string()
}

fn json_value(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Long(long) => json!(long),
        Value::Double(double) if double.is_finite() => json!(double),
        Value::Bool(flag) => json!(flag),
        Value::Text(text) => json!(&**text),
        Value::Double(_) | Value::Number { .. } => {
            let mut text = String::new();
            value.write_java(&mut text);
            json!(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{broker_topics, node};
    use pharos_base::Clock;

    #[test]
    fn beans_read_as_json() {
        let registry = Registry::new(Clock::simulated(0).0);
        let meter = registry.meter(&broker_topics::MESSAGES_IN_PER_SEC, &[]);
        let _info = registry.attributes(&node::APP_INFO, &[]);
        meter.mark(3);
        let json: Json =
            serde_json::from_str(&beans_json(&registry, "kafka.server:type=Broker")).unwrap();
        let beans = json["beans"].as_object().unwrap();
        assert_eq!(beans.len(), 1);
        let count = &beans["kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec"]["Count"];
        assert_eq!((&count["type"], &count["value"]), (&json!("long"), &json!(3)));
        assert!(count["unit"].is_string() && count["meaning"].is_string());
    }
}
