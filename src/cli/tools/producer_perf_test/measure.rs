//! Sends the records and times what becomes of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use pharos_client::producer::Delivery;
use pharos_client::{Producer, ProducerConfig, ProducerRecord};
use tokio::sync::mpsc;

use super::Plan;
use super::stats::{Outcome, Stats};
use crate::io::Io;

/// Records whose outcome is awaited; sending waits beyond it.
const OUTSTANDING: usize = 200_000;

/// What was sent when, and whether it counts for the steady state.
struct Sent {
    at: Instant,
    bytes: usize,
    steady: bool,
    delivery: Delivery,
}

/// Sends the records of the plan and reports on the way.
pub async fn measure(plan: Plan, config: ProducerConfig, io: &mut Io<'_>) -> Result<()> {
    let producer = Producer::new(config);
    let (sent, waiting) = mpsc::channel::<Sent>(OUTSTANDING);
    let (told, mut outcomes) = mpsc::unbounded_channel::<Outcome>();
    let collector = tokio::spawn(collect(waiting, told));
    let random = plan.payload.letters();
    let topic: Arc<str> = plan.topic.as_str().into();
    if plan.warmup > 0 {
        io.line(format!(
            "Warmup first {} records. Steady state results will print after the complete test \
             summary.",
            plan.warmup
        ))?;
    }
    let mut stats = Stats::new(plan.interval, plan.warmup > 0);
    let started = Instant::now();
    for number in 0..plan.records {
        if number == plan.warmup {
            stats.steady.started = Instant::now();
        }
        let payload = plan.payload.next(number, &random);
        let bytes = payload.len();
        let at = Instant::now();
        let delivery = producer.send(ProducerRecord::new(topic.clone(), payload)).await?;
        let steady = number >= plan.warmup;
        if sent.send(Sent { at, bytes, steady, delivery }).await.is_err() {
            break;
        }
        while let Ok(outcome) = outcomes.try_recv() {
            stats.add(outcome, io)?;
        }
        if plan.throughput > 0.0 {
            let due = started + Duration::from_secs_f64((number + 1) as f64 / plan.throughput);
            tokio::time::sleep_until(due.into()).await;
        }
    }
    drop(sent);
    producer.flush().await;
    while let Some(outcome) = outcomes.recv().await {
        stats.add(outcome, io)?;
    }
    collector.await?;
    io.line(stats.all.line(""))?;
    if plan.warmup > 0 {
        io.line(stats.steady.line(" steady state"))?;
    }
    Ok(())
}

/// Awaits outcomes in the order of sending, which is the order of completion within a partition.
async fn collect(mut waiting: mpsc::Receiver<Sent>, told: mpsc::UnboundedSender<Outcome>) {
    while let Some(Sent { at, bytes, steady, delivery }) = waiting.recv().await {
        let latency = match delivery.await {
            Ok(_) => Ok(at.elapsed().as_secs_f64() * 1000.0),
            Err(error) => Err(error.to_string()),
        };
        if told.send(Outcome { latency, bytes, steady }).is_err() {
            return;
        }
    }
}
