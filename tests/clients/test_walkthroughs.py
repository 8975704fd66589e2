"""What a newcomer does first, as tutorials tell it: quick start, a compose file's environment, small services."""
import itertools
import json
import re
import socket
import subprocess
import threading

import pytest
from confluent_kafka.admin import AdminClient
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import KafkaAdminClient, NewTopic

import tools as toolbox

TOPIC = "quickstart-events"
LIMIT_SECONDS = 90


@pytest.fixture(params=["ours", "ours.sh", "java"])
def tools(request, node):
    if request.param == "java":
        if not toolbox.HAS_JAVA:
            pytest.skip("no Java")
        return toolbox.Tools(node.bootstrap, toolbox.java)
    suffix = ".sh" if request.param.endswith(".sh") else ""
    return toolbox.Tools(node.bootstrap, toolbox.ours(node.directory, suffix))


def test_quick_start(tools):
    created = tools.call(
        "topics", "--create", "--partitions", "1", "--replication-factor", "1", "--topic", TOPIC
    )
    assert created == f"Created topic {TOPIC}.\n"
    assert tools.call("topics", "--list") == f"{TOPIC}\n"
    described = tools.call("topics", "--describe", "--topic", TOPIC)
    assert re.fullmatch(
        rf"Topic: {TOPIC}\tTopicId: [\w-]{{22}}\tPartitionCount: 1\tReplicationFactor: 1\tConfigs: \S*\n"
        rf"\tTopic: {TOPIC}\tPartition: 0\tLeader: 0\tReplicas: 0\tIsr: 0\tElr: ?\tLastKnownElr: ?\n",
        described,
    ), described

    tools.call("console-producer", "--topic", TOPIC, stdin="event #1\nevent #2\n")
    from_beginning = ["console-consumer", "--topic", TOPIC, "--from-beginning", "--max-messages", "2"]
    for _ in range(2):
        assert tools.call(*from_beginning) == "event #1\nevent #2\n"


def test_a_consumer_without_from_beginning_sees_only_what_is_new(tools, node):
    admin = KafkaAdminClient(bootstrap_servers=node.bootstrap)
    admin.create_topics([NewTopic(TOPIC, 1, 1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=node.bootstrap)
    producer.send(TOPIC, b"old").get(timeout=LIMIT_SECONDS)
    consumer = tools.start("console-consumer", "--topic", TOPIC, "--max-messages", "1")
    finished = threading.Event()

    def keep_producing():
        number = 0
        while not finished.wait(0.2):
            producer.send(TOPIC, f"new {number}".encode()).get(timeout=LIMIT_SECONDS)
            number += 1

    producing = threading.Thread(target=keep_producing)
    producing.start()
    try:
        output, _ = consumer.communicate(timeout=LIMIT_SECONDS)
    finally:
        finished.set()
        producing.join()
        consumer.kill()
        producer.close()
    assert re.fullmatch(r"new \d+\n", output), output


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def brokers_seen_from(bootstrap):
    metadata = AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=LIMIT_SECONDS)
    return {broker.id: f"{broker.host}:{broker.port}" for broker in metadata.brokers.values()}


def test_the_environment_of_an_old_compose_file(make_node):
    inside, outside = free_ports(2)
    node = make_node(
        bare=True,
        environment={
            "KAFKA_BROKER_ID": "1",
            "KAFKA_ZOOKEEPER_CONNECT": "zookeeper:2181",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://broker:{inside},PLAINTEXT_HOST://localhost:{outside}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT",
            "KAFKA_INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        },
    )
    assert brokers_seen_from(f"localhost:{outside}") == {1: f"localhost:{outside}"}
    assert brokers_seen_from(f"127.0.0.1:{inside}") == {1: f"broker:{inside}"}
    warnings = [line for line in node.log().splitlines() if " WARN " in line]
    assert len(warnings) == 1 and "zookeeper.connect" in warnings[0], warnings

    producer = [*toolbox.ours(node.directory, "")("console-producer"), "--topic", "topic-test"]
    subprocess.run(
        [*producer, "--broker-list", f"localhost:{outside}"],
        input="hello\n", text=True, check=True, capture_output=True, timeout=LIMIT_SECONDS,
    )
    consumer = KafkaConsumer(
        "topic-test", bootstrap_servers=f"localhost:{outside}", auto_offset_reset="earliest",
        group_id="g", consumer_timeout_ms=LIMIT_SECONDS * 1000,
    )
    assert next(consumer).value == b"hello"
    consumer.close()


def test_a_malformed_listener_stops_the_start_with_one_line(tmp_path):
    refused = subprocess.run(
        [toolbox.BINARY, "up"], cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT_SECONDS,
        env={"KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT:://broker:29092"},
    )
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    assert "advertised.listeners=PLAINTEXT:://broker:29092: expected " in refused.stderr


STAGES = ["pizza", "pizza-with-sauce", "pizza-with-cheese", "pizza-with-meats", "pizza-with-veggies"]


def producer_of(node):
    return KafkaProducer(
        bootstrap_servers=node.bootstrap, acks=0, compression_type="gzip",
        key_serializer=lambda key: json.dumps(key).encode(),
        value_serializer=lambda value: json.dumps(value).encode(),
    )


def consumer_of(node, topic, group):
    return KafkaConsumer(
        topic, bootstrap_servers=node.bootstrap, group_id=group, auto_offset_reset="earliest",
        enable_auto_commit=False, max_poll_records=500, value_deserializer=json.loads,
    )


def polls(consumer, timeout_ms):
    """What each poll brings. kafka-python 3.0.12 forgets the answers to a join between two polls: a first one that is
    short may end before they come, and then it is never given a partition."""
    yield consumer.poll(timeout_ms=LIMIT_SECONDS * 1000)
    while True:
        yield consumer.poll(timeout_ms=timeout_ms)


def drain(consumer, count):
    """Polls until `count` records came; the test's own limit ends a wait that would never."""
    values = []
    for polled in itertools.islice(polls(consumer, 500), LIMIT_SECONDS * 2):
        for records in polled.values():
            values += [record.value for record in records]
        if len(values) >= count:
            break
    consumer.close()
    return values


def test_services_chained_by_topics(node):
    pizzas = 20
    admin = KafkaAdminClient(bootstrap_servers=node.bootstrap)
    admin.create_topics([NewTopic(topic, 3, 1) for topic in STAGES])
    admin.close()
    finished = threading.Event()

    def add(topping, source, target):
        consumer, producer = consumer_of(node, source, topping), producer_of(node)
        for polled in polls(consumer, 200):
            if finished.is_set():
                break
            for records in polled.values():
                for record in records:
                    pizza = {**record.value, "toppings": [*record.value["toppings"], topping]}
                    producer.send(target, key=pizza["id"], value=pizza)
            producer.flush()
            consumer.commit()
        consumer.close()
        producer.close()

    toppings = [topic.rpartition("-")[2] for topic in STAGES[1:]]
    services = [
        threading.Thread(target=add, args=step, daemon=True) for step in zip(toppings, STAGES, STAGES[1:])
    ]
    for service in services:
        service.start()
    try:
        orders = producer_of(node)
        for number in range(pizzas):
            orders.send(STAGES[0], key=number, value={"id": number, "toppings": []})
        orders.flush()
        orders.close()
        done = drain(consumer_of(node, STAGES[-1], "delivery"), pizzas)
        late = drain(consumer_of(node, "pizza-with-meats", "late-comer"), pizzas)
    finally:
        finished.set()
        for service in services:
            service.join(timeout=LIMIT_SECONDS)
    assert sorted(pizza["id"] for pizza in done) == list(range(pizzas))
    assert all(pizza["toppings"] == toppings for pizza in done)
    assert sorted(pizza["id"] for pizza in late) == list(range(pizzas))
    assert all(pizza["toppings"] == toppings[:3] for pizza in late)
