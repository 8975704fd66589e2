//! R10, R11, R12: scrapes of many partitions, what they cost, and who notices.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use pharos_protocol::compression::Codec;
use pharos_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use pharos_protocol::messages::{
    FindCoordinatorRequest, OffsetCommitRequest, OffsetCommitResponseRef,
};
use pharos_protocol::{ApiKey, frame};

use super::latency::percentiles;
use crate::Plan;
use crate::broker::{Broker, Scrape, Start};
use crate::load::{self, Client, Topic};
use crate::machine::Place;
use crate::probes;
use crate::report::{Better, Report, Row};
use crate::stats::{abba, ratios};

/// A rule file as operators write it for the JVM agent: patterns that capture, and one that drops.
pub(super) const RULES: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/beans/broker-rules/own-broker.yml");
/// A long rule file: most beans pass by most of its rules before one decides.
const MANY_RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/operators.yml");
const MANY_PAGE: &str = "/metrics/many";
/// 10,000 partitions: one request may not make more records than that.
const TOPICS: [&str; 2] = ["wide", "wider"];
const PARTITIONS: i32 = 5_000;
/// The shape for which the JVM agent is on record with minutes a scrape.
const LARGE_TOPICS: usize = 2_000;
const LARGE_PARTITIONS: i32 = 20;
const TOPICS_AT_ONCE: usize = 400;
const LARGE_GROUPS: usize = 644;
/// What the broker takes for the series of all that.
const LARGE_MEMORY: usize = 1 << 30;
/// Scrapes after the first.
const SCRAPES: usize = 9;
const INTERVAL_SECONDS: f64 = 15.0;
const FIND_COORDINATOR_VERSION: i16 = 4;
const OFFSET_COMMIT_VERSION: i16 = 8;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    // Files are removed at the end: ext4 looks at each number of a file that was removed in the last
    // seconds before it gives out a new one.
    large(plan, report)?;
    let broker = wide(plan, "scraped", &format!("own={RULES}"))?;
    under_rules(&broker, report)?;
    while_producing(plan, &broker, report)?;
    broker.kill()?;
    registered(plan, report)?;
    for name in ["large", "scraped", "registered"] {
        std::fs::remove_dir_all(plan.directory.join(name))?;
    }
    Ok(())
}

/// A broker with many partitions under those rules.
fn wide(plan: &Plan, name: &str, rules: &str) -> anyhow::Result<Broker> {
    let broker = under(plan, name, rules)?;
    for name in TOPICS {
        let topic = Topic { name, partitions: PARTITIONS, configs: &[] };
        load::create_topic(broker.address, &topic)?;
    }
    broker.settle()?;
    Ok(broker)
}

/// A broker with rules of its own beside the built-in ones.
pub(super) fn under(plan: &Plan, name: &str, rules: &str) -> anyhow::Result<Broker> {
    Broker::start(&Start {
        binary: &plan.binary,
        directory: plan.directory.join(name),
        overrides: &[
            &format!("metrics.rules={rules}"),
            "admin.lifecycle.enable=true",
            "log.segment.bytes=1048576",
        ],
        place: Place::Server,
    })
}

/// R11 and R12.
fn under_rules(broker: &Broker, report: &mut Report) -> anyhow::Result<()> {
    let (first, later) = scrapes(broker, "/metrics/own")?;
    #[expect(clippy::cast_precision_loss, reason = "a number of series")]
    let scale = |it: &Scrape| 1e5 / it.series as f64;
    let row = Row {
        id: "R11",
        what: "scrape of 100,000 series through an unchanged rule file".to_owned(),
        floor: 1.0,
        target: 0.1,
        better: Better::Lower,
        unit: " s",
    };
    report.sample("R11 seconds, CPU seconds, series: the first", sample(&first));
    report.sample("R11 seconds, CPU seconds, series: later", serde_json::json!(all(&later)));
    let seconds: Vec<f64> = later.iter().map(|it| it.wall * scale(it)).collect();
    report.add(&row, &seconds);
    let what = "the same, the first scrape after a start".to_owned();
    report.add(&Row { what, ..row }, &[first.wall * scale(&first)]);

    let (_, later) = scrapes(broker, "/metrics")?;
    report.sample("R12 seconds, CPU seconds, series", serde_json::json!(all(&later)));
    let share: Vec<f64> = later.iter().map(|it| it.cpu / INTERVAL_SECONDS * 100.0).collect();
    let row = Row {
        id: "R12",
        what: "processor of a 15 s scrape interval at 10,000 partitions".to_owned(),
        floor: 3.0,
        target: 0.5,
        better: Better::Lower,
        unit: " %",
    };
    report.add(&row, &share);
    Ok(())
}

/// R11: every bean passes the rules of one file anew. What that takes is the reading of the file and
/// the scrape after it, less a scrape under rules that stand.
fn registered(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let broker = wide(plan, "registered", &format!("many={MANY_RULES}"))?;
    broker.scrape(MANY_PAGE)?;
    let mut taken = Vec::new();
    let mut all = Vec::new();
    for _ in 0..plan.repeats {
        let before = broker.scrape(MANY_PAGE)?;
        let begin = Instant::now();
        broker.reload()?;
        let reload = begin.elapsed().as_secs_f64();
        let after = broker.scrape(MANY_PAGE)?;
        ensure!(after.series == before.series, "the same rules make other series");
        all.push(serde_json::json!([reload, sample(&before), sample(&after)]));
        #[expect(clippy::cast_precision_loss, reason = "a number of series")]
        let scale = 1e5 / after.series as f64;
        taken.push((reload + after.wall - before.wall) * scale);
    }
    report.sample("R11 reload, a scrape before it and one after", serde_json::json!(all));
    let row = Row {
        id: "R11",
        what: "registration of 100,000 series through a rule file of 46 rules".to_owned(),
        floor: 1.0,
        target: 0.5,
        better: Better::Lower,
        unit: " s",
    };
    report.add(&row, &taken);
    broker.kill()
}

/// R10.
fn while_producing(plan: &Plan, broker: &Broker, report: &mut Report) -> anyhow::Result<()> {
    let frame = load::produce("wide", &[0], &load::batch(1, 1024, Codec::None)?, 1)?;
    let p99 = || -> anyhow::Result<[f64; 1]> {
        let mut client = Client::connect(broker.address)?;
        let [_, p99] = percentiles(|| {
            client.send(&frame)?;
            client.must_be_acked()
        })?;
        Ok([p99])
    };
    let scraped = || -> anyhow::Result<[f64; 1]> {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let scraper = scope.spawn(|| scrape_until(broker, &done));
            let found = p99();
            done.store(true, Ordering::Release);
            scraper.join().map_err(|_| anyhow::anyhow!("the scraper panicked"))??;
            found
        })
    };
    let found = abba(plan.repeats, scraped, p99)?;
    report.sample("R10 p99 seconds: scraped, scraped, left alone", serde_json::json!(found));
    let row = Row {
        id: "R10",
        what: "ack p99 with a 1 s scrape of 10,000 partitions / without".to_owned(),
        floor: 1.3,
        target: 1.1,
        better: Better::Lower,
        unit: "",
    };
    report.add(&row, &ratios(&found, 0));
    Ok(())
}

/// Scrapes once a second. What comes is not read: the processor of the one who measures is the same.
fn scrape_until(broker: &Broker, done: &AtomicBool) -> anyhow::Result<()> {
    let mut next = Instant::now();
    while !done.load(Ordering::Acquire) {
        broker.page("/metrics")?;
        next += Duration::from_secs(1);
        while Instant::now() < next && !done.load(Ordering::Acquire) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    Ok(())
}

/// 2,000 topics, 40,000 partitions and 644 groups.
fn large(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let broker = under(plan, "large", &format!("own={RULES}"))?;
    let names: Vec<String> = (0..LARGE_TOPICS).map(|index| format!("topic-{index}")).collect();
    for names in names.chunks(TOPICS_AT_ONCE) {
        let topic = |name| Topic { name, partitions: LARGE_PARTITIONS, configs: &[] };
        let topics: Vec<_> = names.iter().map(|name| topic(name)).collect();
        load::create_topics(broker.address, &topics)?;
    }
    let mut client = Client::connect(broker.address)?;
    for group in 0..LARGE_GROUPS {
        commit(&mut client, &format!("group-{group}"), names.get(group).context("no topic")?)?;
    }
    broker.settle()?;
    probes::find_memory(LARGE_MEMORY);
    let (first, later) = scrapes(&broker, "/metrics")?;
    report.sample("40,000 partitions: the first scrape", sample(&first));
    report.sample("40,000 partitions: later scrapes", serde_json::json!(all(&later)));
    let row = Row {
        id: "R11",
        what: format!(
            "scrape of 2,000 topics, 40,000 partitions, 644 groups: {} series",
            first.series
        ),
        floor: 2.0,
        target: 0.3,
        better: Better::Lower,
        unit: " s",
    };
    let seconds: Vec<f64> = later.iter().map(|it| it.wall).collect();
    report.add(&row, &seconds);
    let what = "the same, the first scrape after a start".to_owned();
    report.add(&Row { what, ..row }, &[first.wall]);
    broker.kill()
}

/// The first scrape and those after it.
fn scrapes(broker: &Broker, path: &str) -> anyhow::Result<(Scrape, Vec<Scrape>)> {
    let first = broker.scrape(path)?;
    let later = (0..SCRAPES).map(|_| broker.scrape(path)).collect::<Result<_, _>>()?;
    Ok((first, later))
}

fn sample(of: &Scrape) -> serde_json::Value {
    serde_json::json!([of.wall, of.cpu, of.series])
}

fn all(of: &[Scrape]) -> Vec<serde_json::Value> {
    of.iter().map(sample).collect()
}

/// Commits offset 0 of every partition of `topic` for a group without members.
fn commit(client: &mut Client, group: &str, topic: &str) -> anyhow::Result<()> {
    let find = FindCoordinatorRequest {
        key_type: 0,
        coordinator_keys: vec![group.to_owned()],
        ..Default::default()
    };
    let partitions = (0..LARGE_PARTITIONS).map(|index| OffsetCommitRequestPartition {
        partition_index: index,
        committed_offset: 0,
        ..Default::default()
    });
    let body = OffsetCommitRequest {
        group_id: group.to_owned(),
        generation_id_or_member_epoch: -1,
        topics: vec![OffsetCommitRequestTopic {
            name: topic.to_owned(),
            partitions: partitions.collect(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let begin = Instant::now();
    // The topic that keeps offsets is made by the first who looks for a coordinator.
    loop {
        client.send(&load::request(ApiKey::FindCoordinator, FIND_COORDINATOR_VERSION, &find)?)?;
        client.receive()?;
        client.send(&load::request(ApiKey::OffsetCommit, OFFSET_COMMIT_VERSION, &body)?)?;
        let answer = client.receive()?;
        let (_, answer) =
            frame::split_response(answer, ApiKey::OffsetCommit, OFFSET_COMMIT_VERSION)?;
        let answer = OffsetCommitResponseRef::decode(answer, OFFSET_COMMIT_VERSION)?;
        let topic = answer.topics.iter().next().context("no topic was answered")?;
        let code = topic.partitions.iter().map(|it| it.error_code).find(|code| *code != 0);
        let Some(code) = code else { return Ok(()) };
        ensure!(begin.elapsed() < Duration::from_secs(30), "commit was answered with {code}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
