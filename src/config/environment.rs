//! Maps environment variables to keys: `KAFKA_NUM_PARTITIONS` and Bitnami's
//! `KAFKA_CFG_NUM_PARTITIONS` are `num.partitions`; `__` is an underscore, `___` a hyphen.
//! OpenTelemetry's variables keep their names. What containers and their orchestrators set for other purposes is skipped.

/// What a variable stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    /// A key of the configuration.
    Key(String),
    /// The id of the cluster.
    ClusterId,
}

/// OpenTelemetry's own variables: they are our keys without a prefix.
const OPENTELEMETRY: &[&str] = &[
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_SERVICE_NAME",
    "OTEL_TRACES_SAMPLER_ARG",
];

/// Variables that images of Kafka use for their own scripts.
const CONTAINER: &[&str] = &[
    "KAFKA_ADVERTISED_HOST_NAME_COMMAND",
    "KAFKA_BASE_DIR",
    "KAFKA_CERTIFICATE_PASSWORD",
    "KAFKA_CLIENT_USER",
    "KAFKA_CLIENT_USERS",
    "KAFKA_CREATE_TOPICS",
    "KAFKA_DEBUG",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_HEAP_OPTS",
    "KAFKA_HOME",
    "KAFKA_INTER_BROKER_USER",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_MOUNTED_CONF_DIR",
    "KAFKA_OPTS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    "KAFKA_USER",
    "KAFKA_VERSION",
    "KAFKA_VOLUME_DIR",
    "KAFKA_ZOOKEEPER_PROTOCOL",
    "KAFKA_ZOOKEEPER_USER",
];

/// Beginnings of such variables.
const CONTAINER_PREFIXES: &[&str] = &[
    "KAFKA_CONF_",
    "KAFKA_CERTS_",
    "KAFKA_DAEMON_",
    "KAFKA_DATA_",
    "KAFKA_ENABLE_",
    "KAFKA_INITSCRIPTS_",
    "KAFKA_JMX_",
    "KAFKA_LOG4J_",
    "KAFKA_SKIP_",
    "KAFKA_TLS_",
    "KAFKA_ZOOKEEPER_TLS_",
];

/// Endings of secrets that images turn into files themselves.
const CONTAINER_SUFFIXES: &[&str] = &["_PASSWORDS", "_USER_PASSWORD", "_BROKER_PASSWORD"];

/// What the variable stands for; `None` for one that is not for us.
pub(crate) fn variable(name: &str, value: &str) -> Option<Variable> {
    match name {
        "CLUSTER_ID" | "KAFKA_CLUSTER_ID" | "KAFKA_KRAFT_CLUSTER_ID" => {
            return Some(Variable::ClusterId);
        }
        _ => {}
    }
    if OPENTELEMETRY.contains(&name) {
        return key_of(name).map(Variable::Key);
    }
    if let Some(rest) = name.strip_prefix("KAFKA_CFG_") {
        return key_of(rest).map(Variable::Key);
    }
    let rest = name.strip_prefix("KAFKA_")?;
    if is_container(name) || is_service_link(name, value) {
        return None;
    }
    key_of(rest).map(Variable::Key)
}

fn is_container(name: &str) -> bool {
    CONTAINER.contains(&name)
        || CONTAINER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || CONTAINER_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
}

/// Docker and Kubernetes describe a service named `kafka` or `kafka-x` by variables like
/// `KAFKA_PORT=tcp://10.0.0.1:9092`, `KAFKA_SERVICE_HOST`, `KAFKA_PORT_9092_TCP_ADDR`.
fn is_service_link(name: &str, value: &str) -> bool {
    let transport = |text: &str| text.starts_with("tcp://") || text.starts_with("udp://");
    let after = |marker: &str| name.split_once(marker).map(|(_, rest)| rest);
    transport(value)
        || name.ends_with("_SERVICE_HOST")
        || after("_SERVICE_PORT").is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        || after("_PORT_").is_some_and(|rest| {
            rest.split_once('_').is_some_and(|(port, rest)| {
                port.bytes().all(|byte| byte.is_ascii_digit())
                    && (rest.starts_with("TCP") || rest.starts_with("UDP"))
            })
        })
}

/// `NUM__A___B_C` is `num_a-b.c`; `None` for an empty name.
fn key_of(rest: &str) -> Option<String> {
    let mut key = String::with_capacity(rest.len());
    let mut run = 0;
    for char in rest.chars().chain(['\0']) {
        if char == '_' {
            run += 1;
            continue;
        }
        match run {
            0 => {}
            1 => key.push('.'),
            2 => key.push('_'),
            3 => key.push('-'),
            more => key.extend(std::iter::repeat_n('_', more)),
        }
        run = 0;
        if char != '\0' {
            key.push(char.to_ascii_lowercase());
        }
    }
    (!key.is_empty()).then_some(key)
}

/// The variable that sets `key`: what the documentation shows.
pub fn variable_of(key: &str) -> String {
    let mut name = String::from("KAFKA_");
    for char in key.chars() {
        match char {
            '.' => name.push('_'),
            '_' => name.push_str("__"),
            '-' => name.push_str("___"),
            char => name.push(char.to_ascii_uppercase()),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows;

    #[test]
    fn every_key_has_a_variable_that_leads_back() {
        for row in rows::broker() {
            let name = variable_of(row.name);
            let expected = Some(Variable::Key(row.name.to_owned()));
            assert_eq!(variable(&name, "x"), expected, "{name}");
            let bitnami = name.replacen("KAFKA_", "KAFKA_CFG_", 1);
            assert_eq!(variable(&bitnami, "x"), expected, "{bitnami}");
        }
    }

    #[test]
    fn underscores_map_by_their_number() {
        let key = |text: &str| Some(Variable::Key(text.to_owned()));
        assert_eq!(variable("KAFKA_A_B__C___D", ""), key("a.b_c-d"));
        assert_eq!(variable("KAFKA_CFG_LOG_DIRS", ""), key("log.dirs"));
        assert_eq!(variable("CLUSTER_ID", ""), Some(Variable::ClusterId));
        assert_eq!(variable("KAFKA_PORT", "9092"), key("port"));
    }

    #[test]
    fn variables_of_opentelemetry_need_no_prefix() {
        for name in OPENTELEMETRY {
            let Some(Variable::Key(key)) = variable(name, "x") else { panic!("{name}") };
            assert!(rows::broker_row(&key).is_some(), "{key}");
        }
    }

    #[test]
    fn what_containers_set_is_skipped() {
        let cases = [
            ("KAFKA_HEAP_OPTS", "-Xmx1G"),
            ("KAFKA_OPTS", "-javaagent:x"),
            ("KAFKA_JMX_PORT", "9101"),
            ("KAFKA_JMX_HOSTNAME", "localhost"),
            ("KAFKA_LOG4J_ROOT_LOGLEVEL", "WARN"),
            ("KAFKA_LOG4J_LOGGERS", "kafka=INFO"),
            ("KAFKA_VERSION", "4.3.1"),
            ("KAFKA_PORT", "tcp://10.0.0.1:9092"),
            ("KAFKA_SERVICE_HOST", "10.0.0.1"),
            ("KAFKA_SERVICE_PORT", "9092"),
            ("KAFKA_SERVICE_PORT_CLIENT", "9092"),
            ("KAFKA_PORT_9092_TCP", "tcp://10.0.0.1:9092"),
            ("KAFKA_PORT_9092_TCP_PROTO", "tcp"),
            ("KAFKA_UI_PORT_8080_TCP_ADDR", "10.0.0.2"),
            ("KAFKA_CLIENT_PASSWORDS", "x"),
            ("KAFKA_", "x"),
            ("PATH", "/bin"),
        ];
        for (name, value) in cases {
            assert_eq!(variable(name, value), None, "{name}");
        }
    }
}
