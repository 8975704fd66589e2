//! `kafka-server-start`, `kafka-server-stop` and `tools install` with the built binary.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};

use crate::start_process::until;

/// An id that no other test's server has: the tool that stops servers sees all of this machine.
const NODE_ID: i32 = 471_100;

fn tool(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pharos"));
    command.args(words).env_clear().output().unwrap()
}

fn stop() -> Output {
    tool(&["kafka-server-stop.sh", "--node-id", &NODE_ID.to_string()])
}

/// Nothing goes on when the test has failed.
struct Stopped;

impl Drop for Stopped {
    fn drop(&mut self) {
        stop();
    }
}

fn answers(address: &str) -> bool {
    std::net::TcpStream::connect(address).is_ok()
}

#[test]
fn a_server_is_started_in_the_background_and_stopped_by_its_id() {
    let home = tempfile::tempdir().unwrap();
    // Both at once, lest they be the same.
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [address, controller] = held.map(|socket| socket.local_addr().unwrap().to_string());
    let properties = home.path().join("server.properties");
    let text = format!(
        "process.roles=broker,controller\nnode.id={NODE_ID}\n\
         controller.quorum.voters={NODE_ID}@{controller}\n\
         listeners=PLAINTEXT://{address},CONTROLLER://{controller}\n\
         controller.listener.names=CONTROLLER\nadmin.listeners=HTTP://127.0.0.1:0\n\
         log.dirs={}\n",
        home.path().join("data").display()
    );
    fs::write(&properties, text).unwrap();
    let started = tool(&["kafka-server-start.sh", "-daemon", properties.to_str().unwrap()]);
    let _stopped = Stopped;
    assert!(started.status.success(), "{started:?}");
    until("the server to answer", || answers(&address));
    let id = ["kafka-cluster", "cluster-id", "--bootstrap-server", &address];
    let told = String::from_utf8(tool(&id).stdout).unwrap();
    assert!(told.starts_with("Cluster ID: "), "{told}");
    assert!(stop().status.success());
    until("the server to end", || !answers(&address));
    until("nothing to stop", || stop().status.code() == Some(1));
    let nothing = String::from_utf8(stop().stderr).unwrap();
    assert_eq!(nothing, "No kafka server to stop\n");
}

#[test]
fn links_of_kafkas_names_are_the_tools() {
    let home = tempfile::tempdir().unwrap();
    let dir = home.path().join("bin");
    let installed = tool(&["tools", "install", dir.to_str().unwrap()]);
    assert!(installed.status.success(), "{installed:?}");
    let version = |link: &Path| {
        let ran = Command::new(link).arg("--version").env_clear().output().unwrap();
        String::from_utf8(ran.stdout).unwrap()
    };
    assert_eq!(version(&dir.join("kafka-topics")), "4.3.1\n");
    assert_eq!(version(&dir.join("kafka-console-consumer.sh")), "4.3.1\n");
}
