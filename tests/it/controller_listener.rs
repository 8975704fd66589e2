//! What a controller's listener serves: what controllers decide, and nothing of the broker's data.

use pharos_protocol::ApiKey;
use pharos_protocol::messages::*;

use crate::start_process::Launch;
use crate::start_wire::{Wire, batch, produce};

#[test]
fn controllers_tell_of_controllers_and_take_no_records() {
    let home = tempfile::tempdir().unwrap();
    let server = Launch::up(home.path()).start();
    let (_, port) = server.listener("CONTROLLER").rsplit_once(':').unwrap();
    let connect = || Wire::connect(port.parse().unwrap()).unwrap();

    let told: ApiVersionsResponse = connect().call(&ApiVersionsRequest::default(), 0).unwrap();
    let keys: Vec<i16> = told.api_keys.iter().map(|api| api.api_key).collect();
    assert!(keys.contains(&ApiKey::DescribeQuorum.as_i16()));
    assert!(!keys.contains(&ApiKey::Produce.as_i16()));

    let ask = |endpoint_type| DescribeClusterRequest { endpoint_type, ..Default::default() };
    let controllers: DescribeClusterResponse = connect().call(&ask(2), 1).unwrap();
    assert_eq!((controllers.error_code, controllers.endpoint_type), (0, 2));
    let [controller] = controllers.brokers.as_slice() else { panic!("{controllers:?}") };
    assert_eq!(controller.port.to_string(), port);
    assert_eq!(controllers.controller_id, controller.broker_id);
    const MISMATCHED_ENDPOINT_TYPE: i16 = 114;
    let brokers: DescribeClusterResponse = connect().call(&ask(1), 1).unwrap();
    assert_eq!(brokers.error_code, MISMATCHED_ENDPOINT_TYPE);
    let wrong: DescribeClusterResponse = server.connect().call(&ask(2), 1).unwrap();
    assert_eq!(wrong.error_code, MISMATCHED_ENDPOINT_TYPE);

    let mut wire = connect();
    wire.send(&produce("t", 0, &batch(Default::default(), &[("a", "1")]), 1), 9).unwrap();
    assert!(wire.receive_frame().is_err(), "a controller takes no records");
}
