"""The console in a real browser: real trouble at a real broker, read from the page and compared with what the broker's
own pages and beans say."""
import http.server
import json
import threading
import time
import urllib.request

import pytest
from alerting.rehearsal import wait_until
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError
from kafka.structs import OffsetAndMetadata

try:
    import browser
except ImportError as missing:
    browser, why = None, str(missing)

pytestmark = pytest.mark.skipif(browser is None or browser.CHROMIUM is None, reason="no Chromium: apt-get install chromium")
# Often, so that a test need not wait for it.
OFTEN = "admin.console.interval.ms=300"
VIEWS = ["", "groups", "topics", "skew", "slow", "timeline", "number", "beans", "config"]
HOSTILE = "<img src=x onerror=alert(1)>\"'&{{x}}"

# The first poll of a member, in ms: kafka-python loses its assignment for ever when that ends before the group has
# answered. It ends with the first records.
JOINING_MS = 60_000
# Thousands of partitions are not made in the 30 s that kafka-python waits.
CREATING_MS = 300_000

# Of what Kafka lets into the name of a topic.
HOSTILE_TOPIC = "__-.a_b"


@pytest.fixture
def tab():
    """`tab(node, color_scheme="dark", ...)` opens a page."""
    with browser.chromium() as running:
        tabs = []

        def open_tab(node, **options):
            options.setdefault("viewport", {"width": 1280, "height": 900})
            tabs.append(browser.Tab(running, node, **options))
            return tabs[-1]

        yield open_tab
        for one in tabs:
            one.close()


def create(node, *topics):
    admin = KafkaAdminClient(bootstrap_servers=node.bootstrap, request_timeout_ms=CREATING_MS)
    admin.create_topics([NewTopic(name, partitions, 1) for name, partitions in topics])
    admin.close()


def produce(node, topic, counts, value=b"x" * 100, key=None):
    """So many records to each partition."""
    producer = KafkaProducer(bootstrap_servers=node.bootstrap, client_id="pläne <b>")
    for partition, count in enumerate(counts):
        for _ in range(count):
            producer.send(topic, value, key=key, partition=partition)
    producer.flush()
    producer.close()


def commit(node, group, topic, offsets):
    consumer = KafkaConsumer(bootstrap_servers=node.bootstrap, group_id=group, enable_auto_commit=False)
    partitions = [TopicPartition(topic, partition) for partition in offsets]
    consumer.assign(partitions)
    consumer.commit({TopicPartition(topic, partition): OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()})
    consumer.close()


def api(node, path):
    return json.loads(node.get(path))


def number(text):
    return float(text.split()[0].replace("−", "-"))


def test_a_slow_group_is_explained_by_its_partitions(make_node, tab):
    node = make_node(OFTEN)
    create(node, ("orders", 3))
    produce(node, "orders", [10, 20, 300])
    commit(node, "billing", "orders", {0: 10, 1: 20, 2: 40})
    commit(node, HOSTILE, "orders", {0: 1})
    wait_until("a lag", lambda: node.metric("kafka_consumergroup_lag", consumergroup="billing", partition="2") == 260)
    page = tab(node).open("groups")
    page.until("() => [...document.querySelectorAll('main tbody tr')].some(row => row.textContent.includes('260'))")
    rows = {row["Group"]: row for row in page.table("Groups")}
    assert number(rows["billing"]["Records"]) == node.metric("kafka_consumergroup_lag_sum", consumergroup="billing")
    assert number(rows["billing"]["Members"]) == node.metric("kafka_consumergroup_members", consumergroup="billing") == 0
    assert HOSTILE in rows
    page.page.click("main a >> text=billing")
    page.until("() => document.querySelector('main h1').textContent === 'billing'")
    partitions = page.table("Partitions of the group")
    assert partitions[0]["Partition"] == "orders / 2"
    for row in partitions:
        index = row["Partition"].split(" / ")[1]
        assert number(row["Records"]) == node.metric("kafka_consumergroup_lag", consumergroup="billing", partition=index)
        assert number(row["Offset"]) == node.metric("kafka_consumergroup_current_offset", consumergroup="billing", partition=index)
        assert row["Last commit"].endswith(" ago")
    assert [row["Status"] for row in partitions] == ["nobody reads", "keeps up", "keeps up"]
    assert "no members" in page.text()
    page.picture("group")
    # A name that looks like markup is a name, as a heading and as an address.
    page.open("groups")
    page.page.get_by_role("link", name=HOSTILE).click()
    page.until("name => document.querySelector('main h1').textContent === name", HOSTILE)
    page.picture("hostile")


def test_long_and_strange_names_leave_room_for_the_others(make_node, tab):
    node = make_node(OFTEN)
    create(node, ("orders", 1))
    produce(node, "orders", [10])
    long = "x" * 10_000
    for group in (long, "tab\tgroup", "tab group", "line\ngroup"):
        commit(node, group, "orders", {0: 1})
    page = tab(node, viewport={"width": 1280, "height": 800}).open("groups")
    page.until("() => document.querySelectorAll('main tbody tr').length === 4")
    assert sorted(row["Group"] for row in page.table("Groups"))[:3] == ["line\\ngroup", "tab group", "tab\\tgroup"]
    assert page.page.evaluate("Math.max(...[...document.querySelectorAll('main tbody tr')].map(row => row.offsetHeight))") < 80
    page.page.click(f"main tbody a[href='#/group/{long}']")
    page.until("() => (document.querySelector('main h1') || {}).textContent.startsWith('xxxx')")
    assert page.page.evaluate("document.querySelector('main h1').offsetHeight") < 200
    assert page.table("Partitions of the group")[0]["Partition"] == "orders / 0"


def test_a_rebalance_names_its_member(make_node, tab):
    node = make_node(OFTEN)
    create(node, ("orders", 1))
    produce(node, "orders", [1])
    consumer = KafkaConsumer("orders", bootstrap_servers=node.bootstrap, group_id="billing", client_id="till-7", auto_offset_reset="earliest")
    assert consumer.poll(timeout_ms=JOINING_MS)
    page = tab(node).open("group/billing")
    page.until("() => [...document.querySelectorAll('.events li')].some(it => it.textContent.includes('rebalanced: join of till-7-'))")
    consumer.close()
    # The words of the tabs are addresses, too.
    for word, heading in (("numbers", "From number to truth"), ("settings", "Settings")):
        page.page.goto(f"http://{node.admin}/#/{word}")
        page.until("heading => (document.querySelector('main h1') || {}).textContent === heading", heading)
    chosen = {row["Key"]: row["From"] for row in page.table("Settings")}
    assert (chosen["group.initial.rebalance.delay.ms"], chosen["listeners"]) == ("pharos up", "file or environment")
    # Every family that is listed leads to what it is.
    page.open("number")
    page.page.click("main a >> text=pharos_request_phase_duration_seconds")
    page.until("() => document.querySelectorAll('.explained').length === 3")


def test_a_dead_directory_is_wrong_now(make_node, tab, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    node = make_node(OFTEN, f"log.dirs={first},{second}", "log.flush.interval.messages=1")
    page = tab(node).open()
    page.until("() => document.querySelector('.verdict').textContent === 'Nothing is wrong.'")
    page.picture("well")
    create(node, ("orders", 8))
    produce(node, "orders", [1] * 8)
    # What is opened there from now on is not found.
    second.rename(tmp_path / "gone")
    second.write_text("no directory")
    producer = KafkaProducer(bootstrap_servers=node.bootstrap, retries=0, request_timeout_ms=2000)

    def fails():
        for partition in range(8):
            producer.send("orders", b"x" * 1000, partition=partition)
        create_one(node)
        return node.metric("pharos_log_dir_online", log_dir=str(second)) == 0

    wait_until("a directory that is offline", fails)
    producer.close(timeout=1)
    page.until("() => document.querySelector('[data-alert=LogDirOffline]')")
    alert = page.page.inner_text("[data-alert=LogDirOffline]")
    assert f"Log directory {second} of" in alert and "is offline" in alert
    assert "critical" in alert
    told = next(it for it in api(node, "/api/now")["alerts"] if it["name"] == "LogDirOffline")
    assert told["labels"]["log_dir"] == str(second) and told["value"] == node.metric("pharos_log_dir_online", log_dir=str(second))
    page.picture("wrong", whole=True)
    page.page.click("[data-alert=LogDirOffline] >> text=Runbook")
    page.until("() => document.querySelector('main h1').textContent === 'LogDirOffline'")
    assert "What to do" in page.text()
    page.picture("runbook")
    page.open("timeline")
    assert any(row["Kind"] == "Log directory" and str(second) in row["What"] for row in page.table("Events"))
    # Without scripts the same stands in the page.
    plain = tab(node, java_script_enabled=False)
    plain.page.goto(f"http://{node.admin}/")
    assert f"Log directory {second} of" in plain.text()


created = iter(range(10_000))


def create_one(node):
    """A new topic wants to be laid out on the disk."""
    try:
        create(node, (f"new-{next(created)}", 2))
    except Exception:  # whatever the broker answers, its page tells
        pass


def test_a_hot_partition_is_seen_with_its_share(make_node, tab):
    node = make_node(OFTEN, "metrics.hot.keys=uneven")
    create(node, ("uneven", 4))
    finished = threading.Event()

    def load():
        while not finished.is_set():
            produce(node, "uneven", [2, 2, 26, 2], b"x" * 5000, b"customer-17")

    thread = threading.Thread(target=load)
    thread.start()
    try:
        page = tab(node).open("skew")
        page.until("""() => {
            const rows = [...document.querySelectorAll('main tbody tr')].filter(row => row.cells.length === 5);
            return rows.length === 1 && rows[0].cells[0].textContent === 'uneven / 2' && parseFloat(rows[0].cells[1].textContent.replace('×', '')) > 2;
        }""")
    finally:
        finished.set()
        thread.join()
    page.open("topic/uneven")
    page.picture("hot")
    shares = [number(row["Share of bytes"]) for row in page.table("Partitions")]
    assert max(range(4), key=lambda at: shares[at]) == 2 and abs(sum(shares) - 100) < 1, shares
    ends = {it["partition"]: it["high_watermark"] for it in api(node, "/api/topic?name=uneven")["partitions"]}
    for partition, end in ends.items():
        assert end == node.metric("kafka_topic_partition_current_offset", topic="uneven", partition=str(partition))
    page.open("topics")
    assert [row["Topic"] for row in page.table("Topics")] == ["uneven"]
    page.open("skew")
    skewed = page.table("Partitions that take too much")
    assert [row["Partition"] for row in skewed] == ["uneven / 2"] and number(skewed[0]["Against even"].replace("×", "")) > 2
    page.until("() => [...document.querySelectorAll('main table')].some(it => it.caption.textContent === 'Hot keys' && it.textContent.includes('uneven / 2'))")
    asked = urllib.request.Request(f"http://{node.admin}/api/keys/hash?topic=uneven", data=b"customer-17")
    with urllib.request.urlopen(asked, timeout=10) as answer:
        name = json.load(answer)["hash"]
    hot = [row for row in page.table("Hot keys") if row["Partition"] == "uneven / 2"]
    assert [(row["Key"], number(row["Share of records"])) for row in hot] == [(name, 100)]


class Collector(http.server.BaseHTTPRequestHandler):
    """Takes spans, and forgets them."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def collector():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_slow_requests_and_members_are_named(make_node, tab, collector):
    node = make_node(OFTEN, f"otel.exporter.otlp.endpoint={collector}")
    create(node, ("orders", 1))
    produce(node, "orders", [5])
    consumer = KafkaConsumer("orders", bootstrap_servers=node.bootstrap, group_id="billing", client_id=HOSTILE, auto_offset_reset="earliest")
    assert consumer.poll(timeout_ms=JOINING_MS)
    consumer.commit()
    with pytest.raises(TopicAlreadyExistsError):
        create(node, ("orders", 1))
    page = tab(node).open("slow")
    rows = page.table("Slow requests")
    assert any("TOPIC_ALREADY_EXISTS" in row["Errors"] for row in rows)
    # All of a row is there without scrolling to the side, the trace to its last digit.
    assert page.page.evaluate("() => { const it = document.querySelector('main .scroll'); return it.scrollWidth - it.clientWidth }") <= 0
    assert page.page.evaluate("() => [...document.querySelectorAll('.trace')].every(it => it.scrollWidth <= it.clientWidth)")
    mine = [row for row in rows if row["Request"].startswith("Produce") and row["Client"].startswith("pläne <b>")]
    assert mine and all(row["About"] == "orders / 0" for row in mine), rows
    told = api(node, "/api/slow")["requests"]
    assert [it["cost_ms"] for it in told] == sorted((it["cost_ms"] for it in told), reverse=True)
    for it in told:
        assert abs(sum(it["phases_ms"].values()) - it["phases_ms"]["throttle"] - it["total_ms"]) < 0.001, it
    produced = node.metric("pharos_request_duration_seconds_sum", request="Produce")
    assert sum(it["total_ms"] for it in told if it["request"] == "Produce") / 1000 == pytest.approx(produced)
    traces = {it["trace_id"] for it in told}
    assert len(traces) == len(told) and {row["Trace"] for row in rows} <= traces
    page.picture("slow")
    page.open("group/billing")
    member = page.table("Members of the group")
    assert [row["Client"] for row in member] == [HOSTILE] and member[0]["Partitions"] == "1"
    assert page.table("Partitions of the group")[0]["Read by"].startswith(HOSTILE)
    consumer.close()
    page.open("config")
    settings = {row["Key"]: row for row in page.table("Settings")}
    assert settings["admin.console.interval.ms"]["Value"] == "300" and settings["admin.console.interval.ms"]["From"] == "file or environment"
    page.picture("config")


def test_numbers_lead_to_their_beans(make_node, tab):
    node = make_node(OFTEN)
    create(node, ("orders", 1))
    produce(node, "orders", [5])
    page = tab(node).open()
    page.page.click("[data-chart=messages_in] a.figure")
    page.until("() => document.querySelector('.explained')")
    text = page.text()
    assert "kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec" in text
    assert "default.yml" in text
    beans = api(node, "/beans?name=kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec")["beans"]
    assert beans["kafka.server:type=BrokerTopicMetrics,name=MessagesInPerSec"]["Count"]["value"] == 5
    page.picture("number")
    page.page.fill("input[name=series]", "made_up_name")
    page.page.press("input[name=series]", "Enter")
    page.until("() => document.querySelector('main .problem')")
    assert "made_up_name" in page.text()
    # The browser tells of the answer 404 that was asked for.
    page.complaints = [it for it in page.complaints if "404" not in it]
    page.open("number")
    families = {row["Family"]: row for row in page.table("Families")}
    assert "pharos_request_phase_duration_seconds" in families
    page.picture("cost")


def test_rules_are_tried_on_the_beans(make_node, tab):
    node = make_node(OFTEN)
    create(node, ("orders", 1), (HOSTILE_TOPIC, 1))
    produce(node, "orders", [7])
    produce(node, HOSTILE_TOPIC, [1])
    page = tab(node).open("beans")
    page.page.fill("input[name=find]", "orders messagesin")
    page.until("() => document.querySelectorAll('main tbody tr').length === 1")
    # The form is still as it was after the broker has looked at its rules again.
    page.page.fill("textarea", "rules:\n- pattern: nothing\n- pattern: '.*<.*MessagesInPerSec, topic=(.+)><>Count'\n  name: mine\n  labels: {of: $1}\n")
    page.page.click("main button >> text=Try")
    page.until("() => document.querySelector('pre.page')")
    made = page.page.inner_text("pre.page")
    assert 'mine{of="orders"} 7.0' in made and f'mine{{of="{HOSTILE_TOPIC}"}} 1.0' in made
    assert "Rule 1, line 2, matches nothing" in page.page.inner_text("#tried")
    page.picture("tried")
    page.page.fill("textarea", "rules:\n- pattern: '('\n")
    page.page.click("main button >> text=Try")
    # What was said of the rules before is still there when the question leaves.
    page.until("() => document.querySelector('main .problem')?.textContent.startsWith('line ')")
    page.complaints = [it for it in page.complaints if "400" not in it]
    page.page.click("main tbody a")
    page.until("() => document.querySelector('main h1').textContent.endsWith('topic=orders')")
    rows = {row["Attribute"]: row for row in page.table("Attributes")}
    assert number(rows["Count"]["Value"]) == 7
    assert 'kafka_server_brokertopicmetrics_messagesin_total{topic="orders"} 7.0' in page.text()
    page.picture("bean")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_serves_everybody(make_node, tab, scheme):
    node = make_node(OFTEN)
    create(node, ("orders", 2))
    produce(node, "orders", [3, 30])
    commit(node, "billing", "orders", {0: 3, 1: 3})
    wait_until("a lag", lambda: node.metric("kafka_consumergroup_lag_sum", consumergroup="billing") == 27)
    for width in (320, 1280):
        page = tab(node, color_scheme=scheme, viewport={"width": width, "height": 800})
        for view in [*VIEWS, "group/billing", "topic/orders", "number/kafka_consumergroup_lag_seconds", "runbook/GroupStalled",
                     "bean/kafka.server%3Atype%3DBrokerTopicMetrics%2Cname%3DMessagesInPerSec%2Ctopic%3Dorders"]:
            page.open(view)
            page.picture(f"{scheme}-{width}-{view.replace('/', '-') or 'now'}", whole=True)
            assert page.fair() == [], (view, width)
            wide = page.page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{view} is {wide} pixels wider than {width}"


def test_two_thousand_topics_are_listed_and_filtered(make_node, tab):
    """Prints how long it takes (`-s`, with `PHAROS_BIN` of a release build), for docs/performance.md."""
    node = make_node(OFTEN)
    create(node, *((f"topic-{index}", 1) for index in range(2000)))
    wait_until("all topics", lambda: len(api(node, "/api/topics")["topics"]) == 2000)
    page = tab(node)
    first = seconds(lambda: page.open("topics"))
    page.until("() => document.querySelector('main .more').textContent.includes('2000')")
    filtering = seconds(lambda: page.page.evaluate("""() => {
        const box = document.querySelector('main input[type=search]');
        box.value = 'topic-1234';
        box.dispatchEvent(new Event('input'));
        return new Promise(requestAnimationFrame);
    }"""))
    assert [row["Topic"] for row in page.table("Topics")] == ["topic-1234"]
    for view in VIEWS:
        page.open(view)
    heap = page.context.new_cdp_session(page.page).send("Runtime.getHeapUsage")["usedSize"]
    print(f"first view {first:.2f} s, filter {filtering * 1000:.0f} ms, heap {heap / 1e6:.0f} MB")


def test_what_opens_stays_open_where_it_is_now(make_node, tab):
    node = make_node(OFTEN)
    now = api(node, "/api/now")
    late = {"name": "Late", "state": "firing", "severity": "warning", "since_ms": now["time_ms"], "for_ms": 0, "summary": "Late", "description": "", "runbook": "/runbooks/Late", "value": 1, "expr": "late > 0"}
    told = [{**late, "labels": {"topic": "orders"}}]
    page = tab(node)
    page.page.route("**/api/now", lambda route: route.fulfill(json={**now, "alerts": told}))
    page.open()
    page.page.click("main summary >> text=Rule")
    page.page.focus("main a >> text=Runbook")
    # Another one comes in above it.
    told.insert(0, {**late, "labels": {"topic": "payments"}})
    page.until("() => document.querySelectorAll('main .alert').length === 2")
    alerts = page.page.evaluate("() => [...document.querySelectorAll('main .alert')].map(it => [it.textContent.includes('payments'), it.querySelector('details').open, it.contains(document.activeElement)])")
    assert alerts == [[True, False, False], [False, True, True]]


def test_what_there_is_no_room_for_is_told(make_node, tab):
    node = make_node(OFTEN, "admin.console.memory.bytes=1048576")
    page = tab(node).open()
    page.until("() => document.querySelector('.verdict').textContent === 'Nothing is wrong.'")
    assert "of 1 MiB" in page.text() and not page.page.query_selector("#left-out")
    create(node, ("orders", 2500))
    page.until("() => document.querySelector('#left-out')?.textContent.includes('_partition_')")
    page.picture("left-out")
    memory = api(node, "/api/now")["memory"]
    assert memory["bytes"] <= memory["budget_bytes"] == 1 << 20 and memory["left_out"]
    assert page.fair() == []


def test_what_is_not_known_yet_is_not_called_well(make_node, tab):
    # One look, and no other before the test is over.
    node = make_node("admin.console.interval.ms=3600000")
    create(node, ("orders", 2))
    produce(node, "orders", [5, 5])
    consumer = KafkaConsumer("orders", bootstrap_servers=node.bootstrap, group_id="billing", auto_offset_reset="earliest", max_poll_records=1, enable_auto_commit=False)
    assert consumer.poll(timeout_ms=JOINING_MS)
    consumer.commit()
    wait_until("a lag", lambda: node.metric("kafka_consumergroup_lag_sum", consumergroup="billing") == 9)
    wait_until("a look", lambda: api(node, "/api/now")["look"]["at_ms"])
    page = tab(node).open("group/billing")
    page.until("() => document.querySelector('main .reason').textContent.includes('not known yet')")
    consumer.close()
    page.open("topic/orders")
    assert "no traffic" not in page.text()
    assert not page.page.query_selector("main .bar")
    page.open("skew")
    assert "No rate of a partition is known" in page.text()
    page.open()
    page.page.click("main summary >> text=cannot be seen")
    assert "HotPartition it asks what happened within 300 s, and the broker looks only each 3600 s" in page.text()


def seconds(work):
    began = time.monotonic()
    work()
    return time.monotonic() - began


def test_keys_alone_are_enough(make_node, tab):
    node = make_node(OFTEN)
    create(node, ("orders", 1), ("payments", 1))
    page = tab(node).open()
    keys = page.page.keyboard
    keys.press("3")
    page.until("() => document.querySelector('main h1').textContent === 'Topics' && document.querySelectorAll('main tbody tr').length === 2")
    keys.press("/")
    keys.type("pay")
    page.until("() => document.querySelectorAll('main tbody tr').length === 1")
    # Drawn again meanwhile, it keeps what was typed, and where.
    drawn = page.drawn()
    page.until("before => Number(document.getElementById('main').dataset.drawn) > before + 1", drawn)
    assert page.page.evaluate("() => [document.activeElement.value, document.querySelectorAll('main tbody tr').length]") == ["pay", 1]
    keys.press("Tab")
    for _ in range(40):
        if page.page.evaluate("() => document.activeElement.textContent") == "payments":
            break
        keys.press("Tab")
    keys.press("Enter")
    page.until("() => document.querySelector('main h1').textContent === 'payments'")
    keys.press("Escape")
    page.until("() => document.querySelector('main h1').textContent === 'Topics'")


def test_a_broker_that_goes_is_told(make_node, tab):
    node = make_node(OFTEN)
    page = tab(node).open()
    page.until("() => document.getElementById('live').dataset.state === 'live'")
    page.served = False
    node.stop()
    page.until("() => document.getElementById('live').dataset.state === 'stale'")


def test_events_are_told_once(make_node, tab):
    node = make_node(OFTEN)
    create(node, ("orders", 1))
    page = tab(node).open("timeline")
    # Two views ask at the same time, as they do when the broker looks at its rules while a page opens.
    told = page.page.evaluate(
        """async () => {
            const views = await import('/console/views.js');
            views.forget_events();
            await Promise.all([views.recent_events(), views.recent_events()]);
            return (await views.recent_events()).map(event => event.id);
        }"""
    )
    assert told and told == sorted(set(told))


# Waits in the page for so many looks of the broker; the first event tells of one that was before.
LOOKS = """times => new Promise(done => {
    const stream = new EventSource('/api/stream');
    stream.addEventListener('look', () => { if (times-- === 0) { stream.close(); done(); } });
})"""


def test_a_view_that_takes_longer_than_a_look_is_drawn(make_node, tab):
    node = make_node(OFTEN)
    create(node, ("orders", 1))
    page = tab(node).open()
    held = []
    page.page.route("**/api/topics", lambda route: held.append(route))

    def answer():
        """The next answer comes, long after it was asked for."""
        page.page.evaluate(LOOKS, 2)
        [route] = held
        held.clear()
        route.continue_()

    page.page.keyboard.press("3")
    answer()
    page.until("() => document.querySelector('main h1').textContent === 'Topics'")
    # It goes on so: what is new is asked for once what was asked for before is there.
    create(node, ("payments", 1))
    for _ in range(2):
        drawn = page.drawn()
        answer()
        page.until("before => Number(document.getElementById('main').dataset.drawn) > before", drawn)
    assert [row["Topic"] for row in page.table("Topics")] == ["orders", "payments"]
    # Another address does not wait for it, and its place at the broker is given back.
    page.page.evaluate(LOOKS, 2)
    assert len(held) == 1
    with page.page.expect_event("requestfailed", lambda request: request.url.endswith("/api/topics")):
        page.open("groups")
    assert len(held) == 1


def test_what_is_pressed_stays_until_it_is_let_go(make_node, tab):
    node = make_node(OFTEN)
    create(node, ("orders", 1), ("payments", 1))
    page = tab(node).open()
    wait_until("looks", lambda: api(node, "/api/now")["look"]["at_ms"])
    page.open("topics")
    mouse = page.page.mouse
    page.page.hover("main a >> text=payments")
    mouse.down()
    drawn = page.drawn()
    page.page.evaluate(LOOKS, 2)
    assert page.drawn() == drawn
    mouse.up()
    page.until("() => document.querySelector('main h1').textContent === 'payments'")
    # Charts stay as they are, too.
    page.open("")
    page.page.hover("main h3 >> nth=0")
    mouse.down()
    page.page.evaluate(LOOKS, 2)
    assert page.page.evaluate("() => [...document.querySelectorAll('main .chart')].every(it => it.querySelector('.canvas'))")
    # Who lets go elsewhere sees the page move on.
    for lost in ("window.dispatchEvent(new Event('blur'))", "document.dispatchEvent(new PointerEvent('pointermove', { buttons: 0 }))", "document.dispatchEvent(new PointerEvent('pointercancel'))"):
        drawn = page.drawn()
        page.page.evaluate(lost)
        page.until("before => Number(document.getElementById('main').dataset.drawn) > before", drawn)
        page.page.evaluate("document.dispatchEvent(new PointerEvent('pointerdown', { buttons: 1 }))")
    mouse.up()
