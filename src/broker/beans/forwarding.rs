//! `kafka.server:type=ForwardingManager`: requests that the controller decides. In one process they
//! wait in no queue.

use std::time::Duration;

use pharos_metrics::catalog::node;
use pharos_metrics::{Attributes, Registered, Registry, Sensor};

/// The bean of forwarded requests.
#[derive(Debug)]
pub struct Forwarding {
    queue: Sensor,
    remote: Sensor,
    _bean: Registered<Attributes>,
}

impl Forwarding {
    /// Registers the bean.
    pub fn new(registry: &Registry) -> Self {
        let bean = registry.attributes(&node::FORWARDING_MANAGER, &[]);
        Self { queue: bean.sensor("queue-time"), remote: bean.sensor("remote-time"), _bean: bean }
    }

    /// The controller answered after `took`.
    pub fn answered(&self, took: Duration) {
        self.queue.record(0.0);
        self.remote.record(f64::from(u32::try_from(took.as_millis()).unwrap_or(u32::MAX)));
    }
}

#[cfg(test)]
mod tests {
    use pharos_base::Clock;
    use pharos_metrics::Value;

    use super::*;

    #[test]
    fn the_controllers_time_is_remote_time() {
        let registry = Registry::new(Clock::simulated(0).0);
        let forwarding = Forwarding::new(&registry);
        forwarding.answered(Duration::from_millis(12));
        let read = |attribute| registry.read("kafka.server:type=ForwardingManager", attribute);
        assert_eq!(read("RemoteTimeMs.p99"), Some(Value::Double(12.0)));
        assert_eq!(read("QueueTimeMs.p99"), Some(Value::Double(0.0)));
        assert_eq!(read("QueueLength"), Some(Value::Long(0)));
    }
}
