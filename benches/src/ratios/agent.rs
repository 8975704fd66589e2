//! S: a scrape side by side with Apache Kafka and the agent of jmx_exporter, under the same rules.

use super::scrape::{RULES, under};
use crate::Plan;
use crate::broker::{Scrape, scrape, two_free_ports};
use crate::kafka::{Kafka, fetched};
use crate::load::{self, Topic};
use crate::report::{Better, Report, Row};

/// 2,000 partitions.
const TOPICS: usize = 100;
const PARTITIONS: i32 = 20;
/// The first registers; the agent's code is compiled by and by.
const SCRAPES: usize = 20;

pub(crate) fn measure(plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let Some(script) = fetched("S", "fetch-agent", report)? else { return Ok(()) };
    let ours = {
        let broker = under(plan, "side-by-side", &format!("own={RULES}"))?;
        create(broker.address)?;
        scrapes(|| broker.scrape("/metrics/own"))?
    };
    let theirs = {
        let directory = plan.directory.join("side-by-side-kafka");
        let admin = two_free_ports()?;
        let agent = format!("{}:{RULES}", admin.port());
        let kafka = Kafka::start(&script, &directory, Some(&agent))?;
        create(kafka.address)?;
        scrapes(|| scrape(admin, "/metrics", kafka.pid()))?
    };
    let all = |of: &[Scrape]| of.iter().map(|it| (it.wall, it.cpu, it.series)).collect::<Vec<_>>();
    report.sample("S seconds, CPU seconds, series: pharos", serde_json::json!(all(&ours)));
    report.sample("S seconds, CPU seconds, series: kafka", serde_json::json!(all(&theirs)));
    let rows = [
        ("seconds of the first scrape", first(&ours) / first(&theirs)),
        ("seconds of a later one", later(&ours, |it| it.wall) / later(&theirs, |it| it.wall)),
        ("CPU seconds of a later one", later(&ours, |it| it.cpu) / later(&theirs, |it| it.cpu)),
    ];
    let series = |of: &[Scrape]| of.last().map_or(0, |it| it.series);
    for (what, ratio) in rows {
        let what = format!(
            "2,000 partitions, {what}: Pharos ({} series) / Apache Kafka with jmx_exporter ({})",
            series(&ours),
            series(&theirs)
        );
        let row = Row { id: "S", what, floor: 0.1, target: 0.05, better: Better::Lower, unit: "" };
        report.add(&row, &[ratio]);
    }
    Ok(())
}

fn first(of: &[Scrape]) -> f64 {
    of.first().map_or(f64::NAN, |it| it.wall)
}

/// The mean of all but the first.
fn later(of: &[Scrape], figure: impl Fn(&Scrape) -> f64) -> f64 {
    let later: Vec<f64> = of.iter().skip(1).map(figure).collect();
    #[expect(clippy::cast_precision_loss, reason = "a few scrapes")]
    let count = later.len() as f64;
    later.iter().sum::<f64>() / count
}

fn create(address: std::net::SocketAddr) -> anyhow::Result<()> {
    let names: Vec<String> = (0..TOPICS).map(|index| format!("topic-{index}")).collect();
    let topic = |name| Topic { name, partitions: PARTITIONS, configs: &[] };
    let topics: Vec<_> = names.iter().map(|name| topic(name)).collect();
    load::create_topics(address, &topics)
}

fn scrapes(scrape: impl Fn() -> anyhow::Result<Scrape>) -> anyhow::Result<Vec<Scrape>> {
    (0..SCRAPES).map(|_| scrape()).collect()
}
