//! Directories that take no new replicas: clients and the controller are told.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use pharos_protocol::messages::*;
use pharos_storage::fs::RealFs;

use crate::start_process::until;
use crate::truth::Inside;

/// The id of a log directory, as the metadata has it.
fn directory_id(dir: &Path) -> [u8; 16] {
    let properties = fs::read_to_string(dir.join("meta.properties")).unwrap();
    let id = properties.lines().find_map(|line| line.strip_prefix("directory.id=")).unwrap();
    *pharos_base::TopicId::parse(id).unwrap().as_bytes()
}

/// How often the metadata log names a directory.
fn named(metadata: &Path, id: &[u8; 16]) -> usize {
    let log = fs::read(metadata.join("__cluster_metadata-0/00000000000000000000.log")).unwrap();
    log.windows(id.len()).filter(|window| window == id).count()
}

/// Which of the directories DescribeLogDirs calls cordoned.
fn cordoned(inside: &mut Inside) -> Vec<bool> {
    let request = DescribeLogDirsRequest { topics: None };
    let answer: DescribeLogDirsResponse = inside.wire.call(&request, 5).unwrap();
    answer.results.iter().map(|dir| dir.is_cordoned).collect()
}

fn cordon(inside: &mut Inside, dirs: &str) {
    let config = incremental_alter_configs_request::AlterableConfig {
        name: "cordoned.log.dirs".to_owned(),
        value: Some(dirs.to_owned()),
        ..Default::default()
    };
    let resource = incremental_alter_configs_request::AlterConfigsResource {
        resource_type: 4,
        resource_name: "1".to_owned(),
        configs: vec![config],
    };
    let request =
        IncrementalAlterConfigsRequest { resources: vec![resource], ..Default::default() };
    let answer: IncrementalAlterConfigsResponse = inside.wire.call(&request, 1).unwrap();
    assert_eq!(answer.responses[0].error_code, 0, "{:?}", answer.responses[0].error_message);
}

#[test]
fn a_cordoned_directory_is_told_to_clients_and_to_the_controller() {
    let home = Arc::new(tempfile::tempdir().unwrap());
    let [a, b] = ["a", "b"].map(|name| home.path().join(name));
    let dirs = format!("log.dirs={},{}", a.display(), b.display());
    // Only news may make it known: the next heartbeat is far away.
    let settings = [
        dirs.as_str(),
        "node.id=1",
        "broker.heartbeat.interval.ms=600000",
        "broker.session.timeout.ms=1800000",
    ];
    let mut inside = Inside::start_in(home, Arc::new(RealFs), 2, &settings);
    let id = directory_id(&b);
    let before = named(&a, &id);
    assert_eq!(cordoned(&mut inside), [false, false]);
    cordon(&mut inside, &b.display().to_string());
    until("the controller to know", || named(&a, &id) > before);
    until("the answer", || cordoned(&mut inside) == [false, true]);
    cordon(&mut inside, "");
    until("the answer", || cordoned(&mut inside) == [false, false]);
}
