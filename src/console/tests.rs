//! The console over a registry that tests move by hand.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use pharos_admin::Readiness;
use pharos_base::{Clock, ClockHand};
use pharos_metrics::catalog::broker_topics::{MESSAGES_IN_PER_SEC, MESSAGES_IN_PER_SEC_BY_TOPIC};
use pharos_metrics::catalog::native as rows;
use pharos_metrics::{
    Format, Gauge, Generation, Pages, PagesOptions, Registered, Registry, RuleSet,
};
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tower::ServiceExt;

use crate::allowance::Allowance;
use crate::beans::outcome;
use crate::files::FILES;
use crate::limits::{MAX_NAME, MAX_TRIED_BYTES, MAX_WORKING, TRIED_BEANS_OF_A_ROW};
use crate::pulse::{keep_looking, longest_pause, look};
use crate::section::routes;
use crate::shared::{ConsoleOptions, Shared, open};

/// A name that would be a script, if anyone took it for more than a name.
const HOSTILE: &str = "<script>alert(1)</script>\"'&\n{{$labels.x}}";

struct Seen {
    registry: Registry,
    shared: Arc<Shared>,
    hand: ClockHand,
}

fn seen() -> Seen {
    seen_each(Duration::from_millis(100), 64 << 20)
}

fn seen_each(every: Duration, memory_bytes: usize) -> Seen {
    let (clock, hand) = Clock::simulated(1_000_000);
    let registry = Registry::new(clock);
    let generation = Generation::V1;
    let options = PagesOptions { rule_sets: Vec::new(), generation, revision: "test".to_owned() };
    let pages = Arc::new(Pages::new(&registry, options).unwrap());
    let shared = open(ConsoleOptions {
        registry: registry.clone(),
        pages,
        readiness: Readiness::default(),
        node_id: 7,
        cluster_id: "c".to_owned(),
        instance: "here:9404".to_owned(),
        every,
        memory_bytes,
        generation,
        runtime: Handle::current(),
    });
    Seen { registry, shared, hand }
}

impl Seen {
    async fn ask(&self, path: &str) -> Response {
        let request = Request::get(path).body(Body::empty()).unwrap();
        routes(self.shared.clone()).oneshot(request).await.unwrap()
    }

    async fn text(&self, path: &str) -> String {
        let body = to_bytes(self.ask(path).await.into_body(), 1 << 24).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    async fn try_rules(&self, rules: &str) -> Response {
        let request = Request::post("/api/try").body(Body::from(rules.to_owned())).unwrap();
        routes(self.shared.clone()).oneshot(request).await.unwrap()
    }

    async fn json(&self, path: &str) -> Value {
        serde_json::from_str(&self.text(path).await).unwrap()
    }

    /// Lets the rules be asked a second later, and gives `/api/now`.
    async fn looked(&self) -> Value {
        self.hand.advance(Duration::from_secs(1));
        look(&self.shared);
        self.json("/api/now").await
    }

    fn gauge(
        &self,
        row: &'static pharos_metrics::FamilyRow,
        labels: &[&str],
        value: f64,
    ) -> Registered<Gauge> {
        let gauge = self.registry.family(row).gauge(labels);
        gauge.set(value);
        gauge
    }
}

async fn json_of(answer: Response) -> Value {
    serde_json::from_slice(&to_bytes(answer.into_body(), 1 << 24).await.unwrap()).unwrap()
}

#[tokio::test]
async fn what_is_wrong_is_told_and_names_stay_names() {
    let seen = seen();
    let now = seen.looked().await;
    assert_eq!(now["node"]["id"], 7);
    assert!(now["look"]["rules"].as_u64().unwrap() > 50, "{now}");
    assert!(!now["alerts"].to_string().contains("LogDirOffline"));
    let _dir = seen.gauge(&rows::PHAROS_LOG_DIR_ONLINE, &[HOSTILE], 0.0);
    let now = seen.looked().await;
    let alerts = now["alerts"].as_array().unwrap();
    let alert = alerts.iter().find(|it| it["name"] == "LogDirOffline").unwrap();
    assert_eq!(alert["state"], "pending");
    assert_eq!(alert["severity"], "critical");
    assert_eq!(alert["labels"]["log_dir"], HOSTILE);
    assert_eq!(alert["runbook"], "/runbooks/LogDirOffline");
    let page = seen.text("/").await;
    assert!(!page.contains("<script>alert"), "{page}");
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"), "{page}");
    assert!(seen.text("/runbooks/LogDirOffline").await.starts_with("# LogDirOffline"));
    assert_eq!(seen.ask("/runbooks/..%2Fx").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_nobody_watches_keeps_no_past() {
    let seen = seen();
    tokio::spawn(keep_looking(Arc::downgrade(&seen.shared)));
    let mut looks = seen.shared.pulse.subscribe();
    let hour = Duration::from_secs(3600);
    assert!(tokio::time::timeout(hour, looks.changed()).await.is_err());
    // Its own look at a page is nobody's scrape.
    seen.shared.pages.read("default", &|_| true, &mut |_, _, _| {});
    assert!(tokio::time::timeout(hour, looks.changed()).await.is_err());
    seen.shared.pages.render("native", Format::Text).unwrap();
    looks.changed().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_visit_is_enough_to_begin_to_look() {
    let seen = seen();
    tokio::spawn(keep_looking(Arc::downgrade(&seen.shared)));
    let mut looks = seen.shared.pulse.subscribe();
    seen.text("/").await;
    looks.changed().await.unwrap();
}

#[tokio::test]
async fn nothing_comes_from_elsewhere() {
    let seen = seen();
    let mut size = 0;
    for path in ["/", "/api/now"]
        .into_iter()
        .map(str::to_owned)
        .chain(FILES.iter().map(|(name, ..)| format!("/console/{name}")))
    {
        let response = seen.ask(&path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(response.headers()[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        let text =
            String::from_utf8(to_bytes(response.into_body(), 1 << 24).await.unwrap().to_vec())
                .unwrap();
        size += text.len();
        let far = text.match_indices("://").filter(|(at, _)| {
            let before = &text[at.saturating_sub(5)..*at];
            let after = &text[at + 3..];
            before.ends_with("http")
                || before.ends_with("https") && !after.starts_with("github.com/leeoniya")
        });
        let far: Vec<_> = far
            .map(|(at, _)| &text[at..(at + 40).min(text.len())])
            .filter(|it| !it.starts_with("://www.w3.org/2000/svg"))
            .collect();
        assert!(far.is_empty(), "{path}: {far:?}");
    }
    assert!(size < 300_000, "{size} bytes");
}

#[tokio::test]
async fn files_are_sent_once() {
    let seen = seen();
    let tag = seen.ask("/console/app.js").await.headers()[header::ETAG].clone();
    let request = Request::get("/console/app.js").header(header::IF_NONE_MATCH, tag);
    let request = request.body(Body::empty()).unwrap();
    let response = routes(seen.shared.clone()).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
    assert_eq!(seen.ask("/console/none.js").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn groups_are_told_the_furthest_behind_first() {
    let seen = seen();
    let group = |id: &str, seconds: f64| {
        let labels = [id, HOSTILE];
        let partition = [id, HOSTILE, "3"];
        [
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_MEMBERS, &[id], 2.0),
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_LAG_SUM, &labels, 10.0),
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS_MAX, &labels, seconds),
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_DRAIN_SECONDS, &labels, f64::INFINITY),
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_LAST_COMMIT_TIMESTAMP_SECONDS, &labels, 5.0),
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_STATUS, &[id, HOSTILE, "stall"], 1.0),
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_STATE, &[id, "Stable"], 1.0),
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_INFO, &[id, "classic", "range"], 1.0),
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_CURRENT_OFFSET, &partition, 90.0),
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_LAG, &partition, 10.0),
            seen.gauge(&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS, &partition, seconds),
        ]
    };
    let (_near, _far) = (group("near", 1.0), group("far", 400.0));
    let listed = seen.json("/api/groups").await;
    let ids: Vec<_> = listed["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["far", "near"]);
    let far = &listed["groups"][0];
    assert_eq!((&far["status"], &far["state"]), (&"stall".into(), &"Stable".into()));
    assert_eq!((&far["lag_seconds"], &far["drain_seconds"]), (&400.0.into(), &"+Inf".into()));
    let one = seen.json("/api/group?id=far").await;
    assert_eq!((&one["protocol"], &one["assignor"]), (&"classic".into(), &"range".into()));
    assert_eq!(one["topics"][0]["topic"], HOSTILE);
    let partition = &one["partitions"][0];
    assert_eq!((&partition["topic"], &partition["partition"]), (&HOSTILE.into(), &3.into()));
    assert_eq!((&partition["lag"], &partition["committed"]), (&10.0.into(), &90.0.into()));
    assert_eq!(seen.ask("/api/group?id=none").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(seen.ask("/api/group").await.status(), StatusCode::BAD_REQUEST);
    let long = format!("/api/group?id={}", "x".repeat(MAX_NAME + 1));
    assert_eq!(seen.ask(&long).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn topics_are_told_with_their_partitions() {
    let seen = seen();
    let partition = |index: &str, leader: f64| {
        let labels = [HOSTILE, index];
        [
            seen.gauge(&rows::KAFKA_TOPIC_PARTITION_LEADER, &labels, leader),
            seen.gauge(&rows::KAFKA_TOPIC_PARTITION_REPLICAS, &labels, 3.0),
            seen.gauge(&rows::KAFKA_TOPIC_PARTITION_IN_SYNC_REPLICA, &labels, 2.0),
            seen.gauge(&rows::KAFKA_TOPIC_PARTITION_UNDER_REPLICATED_PARTITION, &labels, 1.0),
        ]
    };
    let _topic = seen.gauge(&rows::KAFKA_TOPIC_PARTITIONS, &[HOSTILE], 2.0);
    let _partitions = [partition("0", 1.0), partition("1", -1.0)];
    let listed = seen.json("/api/topics").await;
    let topic = &listed["topics"][0];
    assert_eq!((&topic["name"], &topic["partitions"]), (&HOSTILE.into(), &2.0.into()));
    assert_eq!((&topic["offline"], &topic["under_replicated"]), (&1.into(), &2.into()));
    let path = "/api/topic?name=%3Cscript%3Ealert(1)%3C/script%3E%22%27%26%0A%7B%7B$labels.x%7D%7D";
    let one = seen.json(path).await;
    assert_eq!(one["partitions"][1]["leader"], -1.0);
    assert_eq!(one["partitions"].as_array().unwrap().len(), 2);
    assert_eq!(seen.ask("/api/topic?name=none").await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_number_leads_to_its_truth() {
    let seen = seen();
    let found = seen.json("/api/explain?series=kafka_consumergroup_lag_seconds").await;
    let one = &found["explained"][0];
    assert_eq!(one["source"]["family"], "kafka_consumergroup_lag_seconds");
    assert_eq!(one["unit"], "seconds");
    let readers = one["readers"].to_string();
    assert!(readers.contains("alert GroupStalled"), "{readers}");
    let found =
        seen.json("/api/explain?series=kafka_server_brokertopicmetrics_messagesin_total").await;
    let bean = found["explained"][0]["source"]["bean"].as_str().unwrap();
    assert!(bean.contains("name=MessagesInPerSec"), "{bean}");
    assert_eq!(seen.ask("/api/explain?series=made_up").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(seen.ask("/api/explain?series=").await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn charts_and_costs_have_what_is_there() {
    let seen = seen();
    let _lag = seen.gauge(&rows::KAFKA_CONSUMERGROUP_LAG_SECONDS_MAX, &["g", "t"], 12.0);
    seen.looked().await;
    let lines = seen.json("/api/lines").await;
    let charts = lines["charts"].as_array().unwrap();
    let lag = charts.iter().find(|it| it["id"] == "lag").unwrap();
    assert_eq!(lag["lines"][0]["labels"]["consumergroup"], "g");
    assert_eq!(lag["lines"][0]["times_ms"].as_array().unwrap().last().unwrap(), &lines["at_ms"]);
    assert_eq!(lag["lines"][0]["values"].as_array().unwrap().last().unwrap(), 12.0);
    let cost = seen.json("/api/cost").await;
    let families = cost["families"].as_array().unwrap();
    let family =
        families.iter().find(|it| it["family"] == "kafka_consumergroup_lag_seconds_max").unwrap();
    assert_eq!((&family["samples"], &family["page"]), (&1.into(), &"native".into()));
}

#[tokio::test]
async fn rates_are_drawn_however_rare_the_looks_are() {
    for every_s in [15, 30, 60, 600, 7200] {
        let every = Duration::from_secs(every_s);
        let seen = seen_each(every, 64 << 20);
        let longest = longest_pause(every);
        let all = seen.registry.meter(&MESSAGES_IN_PER_SEC, &[]);
        for _ in 0..3 {
            // A look takes its time, too.
            seen.hand.advance(longest + Duration::from_millis(every_s * 100));
            all.mark(u64::from(longest.as_secs() as u32) * 10);
            look(&seen.shared);
        }
        let lines = seen.json("/api/lines").await;
        let charts = lines["charts"].as_array().unwrap();
        let chart = charts.iter().find(|it| it["id"] == "messages_in").unwrap();
        let rate = chart["lines"][0]["values"].as_array().unwrap().last().unwrap();
        let rate = rate.as_f64().unwrap();
        assert!((8.0..10.1).contains(&rate), "each {every_s} s: {rate}");
    }
}

#[tokio::test]
async fn what_there_is_no_room_for_is_told() {
    let seen = seen_each(Duration::from_millis(100), 400_000);
    let partition = |at: u32| {
        let labels = ["t", &at.to_string()];
        [
            seen.gauge(&rows::KAFKA_TOPIC_PARTITION_LEADER, &labels, -1.0),
            seen.gauge(&rows::KAFKA_TOPIC_PARTITION_CURRENT_OFFSET, &labels, 1.0),
        ]
    };
    let few: Vec<_> = (0..200).map(partition).collect();
    let now = seen.looked().await;
    assert_eq!(now["memory"]["budget_bytes"], 400_000);
    assert_eq!(now["memory"]["left_out"], json!([]));
    let blind = |now: &Value, name: &str| now["blind"].to_string().contains(name);
    assert!(!blind(&now, "OfflinePartitions"), "{now}");
    let many: Vec<_> = (200..5000).map(partition).collect();
    seen.looked().await;
    let now = seen.looked().await;
    assert!(now["memory"]["bytes"].as_u64().unwrap() <= 400_000, "{now}");
    assert!(now["memory"]["left_out"].to_string().contains("kafka_topic_partition_"), "{now}");
    assert!(blind(&now, "OfflinePartitions") && blind(&now, "no room"), "{now}");
    drop((few, many));
    let now = seen.looked().await;
    assert!(now["memory"]["bytes"].as_u64().unwrap() < 200_000, "{now}");
}

#[tokio::test]
async fn what_charts_come_from_is_known() {
    let seen = seen();
    for chart in seen.json("/api/lines").await["charts"].as_array().unwrap() {
        let path = format!("/api/explain?series={}", chart["of"].as_str().unwrap());
        assert_eq!(seen.ask(&path).await.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn the_stream_begins_with_the_last_look() {
    let seen = seen();
    let response = seen.ask("/api/stream").await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    let held: Vec<_> =
        futures_util::future::join_all((1..32).map(|_| seen.ask("/api/stream"))).await;
    assert_eq!(seen.ask("/api/stream").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(held);
    assert_eq!(seen.ask("/api/stream").await.status(), StatusCode::OK);
}

#[tokio::test]
async fn beans_are_found_by_words_and_shown_with_what_rules_make_of_them() {
    let seen = seen();
    let meters: Vec<_> = ["orders", HOSTILE]
        .iter()
        .map(|topic| seen.registry.meter(&MESSAGES_IN_PER_SEC_BY_TOPIC, &[("topic", topic)]))
        .collect();
    meters[0].mark(3);
    let all = seen.json("/api/beans").await;
    assert_eq!(all["all"], seen.registry.len());
    let found = seen.json("/api/beans?find=ORDERS+messagesin").await;
    let name = "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec,topic=orders";
    assert_eq!(found["beans"][0]["name"], name);
    assert_eq!(found["beans"].as_array().unwrap().len(), 1);
    assert_eq!(seen.json("/api/beans?find=orders+nothing").await["beans"], json!([]));
    let bean = seen.json(&format!("/api/bean?name={name}")).await;
    let count = bean["attributes"].as_array().unwrap().iter().find(|it| it["name"] == "Count");
    assert_eq!(count.unwrap()["value"], 3);
    let page = &bean["pages"][0]["page"].to_string();
    assert!(page.contains("messagesin_total{topic=\\\"orders\\\"} 3.0"), "{page}");
    assert_eq!(seen.ask("/api/bean?name=x:y=z").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(seen.ask("/api/bean").await.status(), StatusCode::BAD_REQUEST);
    let long = "x".repeat(MAX_NAME + 1);
    assert_eq!(
        seen.ask(&format!("/api/beans?find={long}")).await.status(),
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn rules_are_tried_and_kept_nowhere() {
    let seen = seen();
    let topics: Vec<_> = (0..TRIED_BEANS_OF_A_ROW + 7).map(|it| format!("t{it}")).collect();
    let _meters: Vec<_> = topics
        .iter()
        .map(|topic| seen.registry.meter(&MESSAGES_IN_PER_SEC_BY_TOPIC, &[("topic", topic)]))
        .collect();
    let rules = "rules:\n- pattern: kafka.server<type=BrokerTopicMetrics, name=(.+), topic=(.+)><>Count\n  \
        name: mine_$1\n  labels: {topic: \"$2\"}\n- pattern: no such bean\n  name: x\n";
    let tried = seen.try_rules(rules).await;
    assert_eq!(tried.status(), StatusCode::OK);
    let tried = json_of(tried).await;
    assert_eq!(
        (&tried["samples"], &tried["beans_left"]),
        (&json!(TRIED_BEANS_OF_A_ROW), &json!(7))
    );
    let decided = json!([
        { "line": 2, "attributes": TRIED_BEANS_OF_A_ROW },
        { "line": 5, "attributes": 0 },
    ]);
    assert_eq!(tried["rules"], decided);
    let page = tried["page"].to_string();
    assert!(page.contains("mine_MessagesInPerSec{topic=\\\"t0\\\"} 0.0"), "{page}");
    assert!(!page.contains("jmx_"), "{page}");
    assert!(!seen.text("/api/cost").await.contains("mine_"));
    let bad = seen.try_rules("rules:\n- pattern: '('\n  name: x\n").await;
    assert_eq!(bad.status(), StatusCode::BAD_REQUEST);
    assert!(json_of(bad).await["message"].as_str().unwrap().starts_with("line "));
    let large = format!("# {}", "x".repeat(MAX_TRIED_BYTES));
    assert_eq!(seen.try_rules(&large).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn rules_are_tried_as_long_as_there_is_work_left() {
    let seen = seen();
    let _meter = seen.registry.meter(&MESSAGES_IN_PER_SEC, &[]);
    let all = seen.registry.beans("").len();
    for (allowed, left) in [(Duration::ZERO, all), (Duration::from_secs(3600), 0)] {
        let rules = RuleSet::parse("rules: [{pattern: '.*'}]", "rules", Generation::V1).unwrap();
        let tried = outcome(&seen.shared, rules, Allowance::of(allowed));
        assert_eq!(tried["beans_left"], left, "{tried}");
        assert_eq!(tried["beans"], all - left, "{tried}");
        assert_eq!(tried["cut"], left > 0, "{tried}");
    }
}

/// Work that nobody waits for any more is still work.
#[tokio::test]
async fn who_goes_away_leaves_no_more_work_than_is_allowed() {
    let seen = seen();
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let mut holds = Vec::new();
    for _ in 0..MAX_WORKING {
        let (hold, held) = std::sync::mpsc::channel::<()>();
        let (shared, begun) = (seen.shared.clone(), begun.clone());
        let work = move |_: &Shared| {
            begun.send(()).unwrap();
            let _ = held.recv();
            Response::default()
        };
        let asking = tokio::spawn(async move { shared.work(work).await });
        begins.recv().await.unwrap();
        asking.abort();
        assert!(asking.await.unwrap_err().is_cancelled());
        holds.push(hold);
    }
    assert_eq!(seen.shared.working.available_permits(), 0);
    drop(holds);
    seen.shared.work(|_| Response::default()).await;
}

#[tokio::test]
async fn the_hottest_keys_come_first_each_with_its_error() {
    let seen = seen();
    let told = |text: String| serde_json::from_str::<Value>(&text).unwrap();
    let answer = told(seen.text("/api/skew").await);
    assert_eq!((&answer["keys"], &answer["keys_left_out"]), (&Value::Array(vec![]), &0.into()));
    let ratio = seen.registry.family(&rows::PHAROS_HOT_KEY_RATIO);
    let errors = seen.registry.family(&rows::PHAROS_HOT_KEY_ERROR_RATIO);
    let set = |gauge: Registered<Gauge>, value: f64| {
        gauge.set(value);
        gauge
    };
    let _error = set(errors.gauge(&["t", "3"]), 0.01);
    let _keys: Vec<_> = (0..205)
        .map(|n| {
            let (topic, partition) = if n == 204 { (HOSTILE, "0") } else { ("t", "3") };
            set(ratio.gauge(&[topic, partition, &format!("{n:016x}")]), f64::from(n) / 1000.0)
        })
        .collect();
    let answer = told(seen.text("/api/skew").await);
    assert_eq!(
        (answer["keys"].as_array().unwrap().len(), &answer["keys_left_out"]),
        (200, &5.into())
    );
    let first = serde_json::json!({
        "topic": HOSTILE, "partition": 0, "key": "00000000000000cc", "share": 0.204, "error": null,
    });
    let second = serde_json::json!({
        "topic": "t", "partition": 3, "key": "00000000000000cb", "share": 0.203, "error": 0.01,
    });
    assert_eq!((&answer["keys"][0], &answer["keys"][1]), (&first, &second));
}

#[tokio::test]
async fn a_node_that_is_not_ready_is_told_before_all_else() {
    let seen = seen();
    assert!(seen.text("/").await.contains(">The first look is under way.<"));
    let recovery = seen.shared.readiness.condition("recovery", "3 <logs> are left");
    let page = seen.text("/").await;
    assert!(page.contains(">This broker is not ready.<"), "{page}");
    assert!(page.contains("<b>Not ready: recovery.</b> 3 &lt;logs&gt; are left"), "{page}");
    recovery.met();
    assert!(seen.text("/").await.contains(">The first look is under way.<"));
}
