//! `kafka.server:type=KafkaServer`, `ControllerServer`, `app-info` and `kafka-metrics-count`: what
//! a node is, in which state, and how much it shows of itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use pharos_base::BrokerId;
use pharos_metrics::catalog::node as rows;
use pharos_metrics::{Attributes, BeanRow, Registered, Registry, Text, Value};

/// Where the system tells what the process reads and writes.
const IO_FILE: &str = "/proc/self/io";
/// Largest such file that is looked at.
const MAX_IO_BYTES: usize = 4096;

/// Where a broker stands in its life (`BrokerState` in apache/kafka).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum BrokerState {
    /// Opening its logs, registering.
    Starting = 1,
    /// Unfenced and serving.
    Running = 3,
    /// Handing its leaderships over.
    PendingControlledShutdown = 6,
    /// Closing.
    ShuttingDown = 7,
}

/// What does not change while a node runs.
#[derive(Clone, Debug)]
pub struct NodeFacts {
    /// Its id.
    pub id: BrokerId,
    /// Id of its cluster.
    pub cluster_id: String,
    /// The commit that the program was built from.
    pub revision: String,
}

/// The beans of the node itself.
#[derive(Debug)]
pub struct NodeState {
    state: Arc<AtomicU8>,
    _gauges: Vec<Registered<()>>,
    _texts: Vec<Registered<Text>>,
    _attributes: Vec<Registered<Attributes>>,
}

impl NodeState {
    /// Registers the beans; the node is starting.
    pub fn new(registry: &Registry, facts: &NodeFacts) -> Self {
        Self::with_io(registry, facts, IO_FILE)
    }

    /// With another file that tells what the process reads and writes.
    pub(crate) fn with_io(registry: &Registry, facts: &NodeFacts, io: &str) -> Self {
        let state = Arc::new(AtomicU8::new(BrokerState::Starting as u8));
        let seen = state.clone();
        let mut gauges =
            vec![registry.gauge_fn(&rows::KAFKA_SERVER_BROKER_STATE, &[], move || {
                Value::Long(i64::from(seen.load(Ordering::Relaxed)))
            })];
        // The node is broker and controller in one, so it shows these under both names.
        gauges.extend(process(
            registry,
            &rows::KAFKA_SERVER_YAMMER_METRICS_COUNT,
            &rows::KAFKA_SERVER_LINUX_DISK_READ_BYTES,
            &rows::KAFKA_SERVER_LINUX_DISK_WRITE_BYTES,
            io,
        ));
        gauges.extend(process(
            registry,
            &rows::CONTROLLER_SERVER_YAMMER_METRICS_COUNT,
            &rows::CONTROLLER_SERVER_LINUX_DISK_READ_BYTES,
            &rows::CONTROLLER_SERVER_LINUX_DISK_WRITE_BYTES,
            io,
        ));
        let cluster_id = &facts.cluster_id;
        Self {
            state,
            _gauges: gauges,
            _texts: vec![
                registry.text(&rows::KAFKA_SERVER_CLUSTER_ID, &[], cluster_id),
                registry.text(&rows::CONTROLLER_SERVER_CLUSTER_ID, &[], cluster_id),
            ],
            _attributes: app_infos(registry, facts),
        }
    }

    /// The node has come to `state`.
    pub fn set(&self, state: BrokerState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }
}

fn process(
    registry: &Registry,
    count: &'static BeanRow,
    read: &'static BeanRow,
    written: &'static BeanRow,
    io: &str,
) -> [Registered<()>; 3] {
    let beans = registry.bean_counts();
    let (of_reads, of_writes) = (PathBuf::from(io), PathBuf::from(io));
    [
        registry.gauge_fn(count, &[], move || Value::Long(beans.yammer())),
        registry.gauge_fn(read, &[], move || disk_bytes(&of_reads, "read_bytes")),
        registry.gauge_fn(written, &[], move || disk_bytes(&of_writes, "write_bytes")),
    ]
}

/// A line of the system's file; −1 where the system has no such file (`LinuxIoMetricsCollector`).
fn disk_bytes(file: &Path, key: &str) -> Value {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let known = text.get(..MAX_IO_BYTES.min(text.len())).and_then(|text| line(text, key));
    Value::Long(known.unwrap_or(-1))
}

fn line(text: &str, key: &str) -> Option<i64> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    value?.trim().parse().ok()
}

fn app_infos(registry: &Registry, facts: &NodeFacts) -> Vec<Registered<Attributes>> {
    let started_ms = registry.clock().now_ms();
    let id = facts.id.0.to_string();
    let version = env!("CARGO_PKG_VERSION");
    let say = |bean: &Registered<Attributes>, [start, commit, its_version]: [&str; 3]| {
        bean.callback(start, move || Value::Long(started_ms));
        bean.text(commit).set(&facts.revision);
        bean.text(its_version).set(version);
    };
    let by_id = registry.attributes(&rows::APP_INFO_BY_ID, &[("id", &id)]);
    say(&by_id, ["StartTimeMs", "CommitId", "Version"]);
    let plain = registry.attributes(&rows::APP_INFO, &[]);
    let by_client = registry.attributes(&rows::APP_INFO_BY_CLIENT_ID, &[("client-id", &id)]);
    for bean in [&plain, &by_client] {
        say(bean, ["start-time-ms", "commit-id", "version"]);
    }
    let counts = registry.attributes(&rows::KAFKA_METRICS_COUNT, &[]);
    let beans = registry.bean_counts();
    counts.callback("count", move || Value::Double(beans.kafka()));
    vec![by_id, plain, by_client, counts]
}

#[cfg(test)]
mod tests {
    use pharos_base::Clock;

    use super::*;

    fn facts() -> NodeFacts {
        NodeFacts { id: BrokerId(7), cluster_id: "c".into(), revision: "abc123".into() }
    }

    #[test]
    fn a_node_tells_its_state_and_identity() {
        let registry = Registry::new(Clock::simulated(1_700_000_000_000).0);
        let node = NodeState::new(&registry, &facts());
        let read = |name: &str, attribute: &str| {
            registry.read(&format!("kafka.server:type={name}"), attribute)
        };
        assert_eq!(read("KafkaServer,name=BrokerState", "Value"), Some(Value::Long(1)));
        node.set(BrokerState::Running);
        assert_eq!(read("KafkaServer,name=BrokerState", "Value"), Some(Value::Long(3)));
        assert_eq!(read("KafkaServer,name=ClusterId", "Value"), Some(Value::text("c")));
        assert_eq!(read("ControllerServer,name=ClusterId", "Value"), Some(Value::text("c")));
        assert_eq!(read("app-info,id=7", "CommitId"), Some(Value::text("abc123")));
        assert_eq!(read("app-info", "start-time-ms"), Some(Value::Long(1_700_000_000_000)));
        let version = Value::text(env!("CARGO_PKG_VERSION"));
        assert_eq!(read("app-info,client-id=7", "version"), Some(version));
    }

    #[test]
    fn what_a_node_shows_is_counted() {
        let registry = Registry::new(Clock::simulated(0).0);
        let _node = NodeState::new(&registry, &facts());
        let read = |name: &str, attribute: &str| {
            registry.read(&format!("kafka.server:type={name}"), attribute)
        };
        assert_eq!(read("KafkaServer,name=yammer-metrics-count", "Value"), Some(Value::Long(9)));
        assert_eq!(read("kafka-metrics-count", "count"), Some(Value::Double(10.0)));
    }

    #[test]
    fn disk_traffic_is_read_from_the_system() {
        let text = "rchar: 10\nwchar: 20\nread_bytes: 4096\nwrite_bytes: 8192\n";
        assert_eq!(line(text, "read_bytes"), Some(4096));
        assert_eq!(line(text, "write_bytes"), Some(8192));
        assert_eq!(line("read_bytes: many\n", "read_bytes"), None);
        assert_eq!(line("", "read_bytes"), None);
    }
}
