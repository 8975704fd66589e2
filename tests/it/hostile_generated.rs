//! Every served version of every API with bodies made from the tables: lawful ones must be answered
//! as Apache Kafka answers them, cut and lying ones close their connection or are answered.

use std::io::Write;

use pharos_protocol::messages::{ApiVersionsRequest, ApiVersionsResponse};

use crate::facts::{Asked, compare, told};
use crate::start_wire::{Wire, batch};
use crate::tables::{Form, Mark, Shape, Tables};

/// What memory may grow by over all inputs of a suite: sockets, beans and the allocator's slack.
const SLACK_BYTES: u64 = 48 << 20;

/// What a request that is never answered is: acks=0.
const SILENT: &str = "silent";
const CLOSED: &str = "closed";

/// Where this broker answers otherwise than Kafka.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("Produce v13 Twice", "100*4", "each entry takes effect"),
    ("Produce v* Twice", "3*4", "each entry takes effect"),
    ("Metadata v10 Twice", "42", "who asks twice is answered once"),
    ("Metadata v11 Twice", "42", "who asks twice is answered once"),
    ("DeleteTopics v1 One", "3", "Kafka ran out of the 2 ms that the request allows"),
    ("DeleteRecords v* Twice", "3*4", "each entry takes effect"),
    ("InitProducerId v* Null", "0", "Kafka had no ids at hand yet"),
    ("InitProducerId v* One", "53", "there are no transactions yet"),
    ("InitProducerId v* Twice", "53", "there are no transactions yet"),
    ("DescribeAcls v* Default", "54", "there is no authorizer, whatever the filter"),
    ("DescribeAcls v* Null", "54", "there is no authorizer, whatever the filter"),
    ("AlterConfigs v* One", "3", "a topic is looked for before its key"),
    ("AlterConfigs v* Twice", "42", "told instead of closed"),
    ("ElectLeaders v1 One", "42", "an unknown election is refused as a whole"),
    ("ElectLeaders v2 One", "42", "an unknown election is refused as a whole"),
    ("ElectLeaders v1 Twice", "42", "an unknown election is refused as a whole"),
    ("ElectLeaders v2 Twice", "42", "an unknown election is refused as a whole"),
    ("IncrementalAlterConfigs v* One", "3", "a topic is looked for before its key"),
    ("IncrementalAlterConfigs v* Twice", "42", "a resource is refused once"),
    ("UpdateFeatures v0 One", "95*2", "each feature is answered in every version"),
    ("UpdateFeatures v1 One", "95*2", "each feature is answered in every version"),
    ("UpdateFeatures v0 Twice", "95*2", "each feature is answered in every version"),
    ("UpdateFeatures v1 Twice", "95*2", "each feature is answered in every version"),
    ("DescribeTransactions v0 One", "105", "there are no transactions yet"),
    ("DescribeTransactions v0 Twice", "105*2", "there are no transactions yet"),
];

/// A connection that is opened again when it was closed.
struct Line<'a> {
    asked: &'a Asked,
    wire: Option<Wire>,
    probe: Vec<u8>,
}

impl<'a> Line<'a> {
    fn new(asked: &'a Asked, tables: &Tables) -> Self {
        let body = tables.frame(18, 0, 1, &[]);
        Self { asked, wire: None, probe: sized(&body) }
    }

    /// Sends a frame with the correlation id 2: its answer, or [`CLOSED`] or [`SILENT`]. A request
    /// behind it tells what is not answered from what is late.
    fn ask(&mut self, frame: &[u8]) -> Result<Vec<u8>, &'static str> {
        let asked = self.asked;
        let wire = self.wire.get_or_insert_with(|| asked.connect());
        let bytes = [sized(frame), self.probe.clone()].concat();
        let sent = wire.stream().write_all(&bytes);
        let answer = sent.and_then(|()| wire.receive_frame());
        let Ok(answer) = answer else {
            self.wire = None;
            return Err(CLOSED);
        };
        match i32::from_be_bytes(answer[..4].try_into().unwrap()) {
            1 => Err(SILENT),
            2 => {
                let Ok(probe) = wire.receive_frame() else {
                    self.wire = None;
                    return Ok(answer);
                };
                assert_eq!(probe[..4], [0, 0, 0, 1], "answers in order");
                Ok(answer)
            }
            other => panic!("an answer to {other}"),
        }
    }
}

fn sized(frame: &[u8]) -> Vec<u8> {
    [&i32::try_from(frame.len()).unwrap().to_be_bytes()[..], frame].concat()
}

/// The versions that the broker accepts; of Produce it tells more than it does.
fn served(asked: &Asked) -> Vec<(i16, i16)> {
    let answer: ApiVersionsResponse =
        asked.connect().call(&ApiVersionsRequest::default(), 0).unwrap();
    let rows = answer.api_keys.iter().flat_map(|row| {
        let min = if row.api_key == 0 { 3 } else { row.min_version };
        (min..=row.max_version).map(|version| (row.api_key, version))
    });
    rows.collect()
}

/// The APIs that are compared: Kafka serves more, of which some are not built here.
fn compared() -> Vec<(i16, i16)> {
    pharos_broker::SERVED
        .iter()
        .flat_map(|row| row.versions.clone().map(|version| (row.key.as_i16(), version)))
        .collect()
}

#[test]
fn lawful_shapes_are_answered_as_kafka_answers() {
    let tables = Tables::load();
    let records = batch(Default::default(), &[("k", "v")]);
    compare("shapes", DIFFERENCES, |asked| {
        asked.wait_for_groups();
        let mut line = Line::new(asked, &tables);
        let mut facts = Vec::new();
        for (key, version) in compared() {
            for shape in Shape::ALL {
                let body = tables.body(key, version, shape, &records).bytes;
                let input = format!("{} v{version} {shape:?}", tables.name(key));
                let answer = match line.ask(&tables.frame(key, version, 2, &body)) {
                    Err(end) => end.to_owned(),
                    Ok(answer) => told(
                        &tables
                            .errors(key, version, &answer)
                            .unwrap_or_else(|error| panic!("{input}: {error}: {answer:x?}")),
                    ),
                };
                facts.push((input, answer));
            }
        }
        facts
    });
}

/// Counts and lengths that lie, in the form that they are written in.
fn lies(mark: Mark) -> Vec<Vec<u8>> {
    match mark.form {
        Form::Int16 => [-1, -2, i16::MAX, i16::MIN].map(|n| n.to_be_bytes().to_vec()).to_vec(),
        Form::Int32 => [-1, -2, i32::MAX, i32::MIN].map(|n| n.to_be_bytes().to_vec()).to_vec(),
        Form::Varint => vec![
            vec![0],
            vec![0xff, 0xff, 0xff, 0xff, 0x07],
            vec![0xff, 0xff, 0xff, 0xff, 0x0f],
            vec![0xff; 11],
        ],
    }
}

/// `bytes` with another number at a mark.
fn with(bytes: &[u8], mark: Mark, number: &[u8]) -> Vec<u8> {
    let old = match mark.form {
        Form::Int16 => 2,
        Form::Int32 => 4,
        Form::Varint => 1 + bytes[mark.at..].iter().take_while(|byte| **byte >= 0x80).count(),
    };
    [&bytes[..mark.at], number, &bytes[mark.at + old..]].concat()
}

#[test]
fn bodies_that_lie_or_end_close_or_are_answered() {
    let tables = Tables::load();
    let records = batch(Default::default(), &[("k", "v")]);
    let home = tempfile::tempdir().unwrap();
    let server = crate::start_process::Launch::up(home.path()).start();
    let mut asked = Asked::of(server);
    asked.wait_for_groups();
    let before = asked.server.as_ref().unwrap().resident_bytes();
    let mut line = Line::new(&asked, &tables);
    for (key, version) in served(&asked) {
        let name = format!("{} v{version}", tables.name(key));
        let body = tables.body(key, version, Shape::One, &records);
        for end in 0..body.bytes.len() {
            let frame = tables.frame(key, version, 2, &body.bytes[..end]);
            assert_eq!(line.ask(&frame), Err(CLOSED), "{name} cut at {end}");
        }
        for mark in &body.marks {
            for number in lies(*mark) {
                let body = with(&body.bytes, *mark, &number);
                let Ok(answer) = line.ask(&tables.frame(key, version, 2, &body)) else { continue };
                let errors = tables.errors(key, version, &answer);
                let errors = errors.unwrap_or_else(|error| panic!("{name} {mark:?}: {error}"));
                assert!(!errors.contains(&-1), "{name} {mark:?} {number:x?}: {body:x?}");
            }
        }
    }
    let server = asked.server.as_mut().unwrap();
    server.is_unharmed();
    let grown = server.resident_bytes().saturating_sub(before);
    assert!(grown < SLACK_BYTES, "{grown} bytes");
    let closed = server.metric("pharos_connections_closed_total", "reason=\"invalid_request\"");
    assert!(closed > 1000.0, "{closed} connections closed for their requests");
}
