import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.Metric;
import org.apache.kafka.common.MetricName;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionReplica;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.LogDirNotFoundException;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.quota.ClientQuotaFilter;

/**
 * What a user of Apache Kafka's Java clients expects, a check each: Checks HOST:PORT [NAME...] prints PASS or FAIL, the
 * name and why. Without names it runs all; every check has topics and groups of its own.
 */
public class Checks {
    static final long LIMIT_SECONDS = 60;
    static String bootstrap;
    static Admin admin;

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        Map<String, Callable<?>> checks = checks();
        Set<String> wanted = new java.util.TreeSet<>(checks.keySet());
        if (arguments.length > 1) {
            wanted.retainAll(List.of(arguments));
        }
        ExecutorService threads = Executors.newFixedThreadPool(4);
        admin = Admin.create(properties());
        Map<String, Future<?>> running = new TreeMap<>();
        for (String name : wanted) {
            running.put(name, threads.submit(checks.get(name)));
        }
        for (Map.Entry<String, Future<?>> check : running.entrySet()) {
            try {
                check.getValue().get(LIMIT_SECONDS * 2, TimeUnit.SECONDS);
                System.out.println("PASS\t" + check.getKey() + "\t");
            } catch (Exception failure) {
                Throwable why = failure.getCause() == null ? failure : failure.getCause();
                System.out.println("FAIL\t" + check.getKey() + "\t" + why.toString().lines().findFirst().orElse(""));
            }
        }
        // A check that hangs does not hold the others up.
        Runtime.getRuntime().halt(0);
    }

    static Map<String, Callable<?>> checks() {
        Map<String, Callable<?>> checks = new HashMap<>();
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            checks.put("produce." + codec, () -> roundTrip("produce-" + codec, "compression.type", codec));
        }
        for (String acks : List.of("0", "1")) {
            checks.put("produce.acks" + acks, () -> roundTrip("acks" + acks, "acks", acks, "enable.idempotence", "false"));
        }
        checks.put("produce.tooLarge", Checks::tooLarge);
        checks.put("group.classic", () -> group("classic"));
        checks.put("group.consumer", () -> group("consumer"));
        checks.put("group.reset", Checks::reset);
        checks.put("topics.lifecycle", Checks::topics);
        checks.put("topics.deleteRecords", Checks::deleteRecords);
        checks.put("topics.offsetsForTimes", Checks::times);
        checks.put("configs.topic", Checks::configs);
        checks.put("cluster.describe", Checks::cluster);
        checks.put("absent.transactions", Checks::transaction);
        checks.put("admin.clientQuotas", Checks::quotas);
        checks.put("absent.scram", Checks::scram);
        checks.put("absent.reassignment", Checks::reassign);
        checks.put("absent.alterReplicaLogDirs", Checks::moveLog);
        checks.put("absent.brokerLoggers", Checks::loggers);
        checks.put("absent.shareGroups", Checks::share);
        return checks;
    }

    static Properties properties(String... pairs) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        for (String side : List.of("key", "value")) {
            properties.put(side + ".serializer", "org.apache.kafka.common.serialization.StringSerializer");
            properties.put(side + ".deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        }
        properties.put("auto.offset.reset", "earliest");
        for (int i = 0; i < pairs.length; i += 2) {
            properties.put(pairs[i], pairs[i + 1]);
        }
        return properties;
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static <T> void equal(T expected, T found) {
        check(expected.equals(found), "expected " + expected + ", found " + found);
    }

    static void fails(Class<?> expected, Callable<?> call) throws Exception {
        try {
            call.call();
        } catch (ExecutionException failure) {
            check(expected.isInstance(failure.getCause()), "expected " + expected + ", found " + failure.getCause());
            return;
        }
        throw new AssertionError("expected " + expected);
    }

    static String topic(String name, int partitions) throws Exception {
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get();
        // Apache Kafka answers before every broker, also itself, knows the topic.
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (System.nanoTime() < end) {
            try {
                admin.describeTopics(List.of(name)).allTopicNames().get();
                return name;
            } catch (ExecutionException notYet) {
                check(notYet.getCause() instanceof UnknownTopicOrPartitionException, notYet.toString());
            }
        }
        throw new AssertionError(name + " does not come into being");
    }

    static void produce(String topic, int count, String... pairs) throws Exception {
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties(pairs))) {
            List<Future<?>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                sent.add(producer.send(new ProducerRecord<>(topic, null, 1000L * (i + 1), "k" + i, "v" + i)));
            }
            for (Future<?> one : sent) {
                one.get();
            }
        }
    }

    static List<String> consume(KafkaConsumer<String, String> consumer, int count) {
        List<String> values = new ArrayList<>();
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        while (values.size() < count && System.nanoTime() < end) {
            for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(200))) {
                values.add(record.value());
            }
        }
        return values;
    }

    static List<String> values(int count) {
        List<String> values = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            values.add("v" + i);
        }
        return values;
    }

    static Void roundTrip(String name, String... pairs) throws Exception {
        produce(topic(name, 1), 500, pairs);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties())) {
            consumer.assign(List.of(new TopicPartition(name, 0)));
            equal(values(500), consume(consumer, 500));
        }
        return null;
    }

    static Void tooLarge() throws Exception {
        String name = topic("too-large", 1);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties("max.request.size", "5000000"))) {
            fails(org.apache.kafka.common.errors.RecordTooLargeException.class,
                () -> producer.send(new ProducerRecord<>(name, "v".repeat(2_000_000))).get());
        }
        return null;
    }

    static Void group(String protocol) throws Exception {
        String name = topic("group-" + protocol, 4);
        produce(name, 400);
        Properties properties = properties("group.id", name, "group.protocol", protocol, "enable.auto.commit", "false");
        try (KafkaConsumer<String, String> first = new KafkaConsumer<>(properties);
                KafkaConsumer<String, String> second = new KafkaConsumer<>(properties)) {
            first.subscribe(List.of(name));
            equal(400, consume(first, 400).size());
            first.commitSync();
            second.subscribe(List.of(name));
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
            while ((first.assignment().size() != 2 || second.assignment().size() != 2) && System.nanoTime() < end) {
                check(first.poll(Duration.ofMillis(50)).isEmpty(), "a record twice");
                check(second.poll(Duration.ofMillis(50)).isEmpty(), "a committed record again");
            }
            equal(List.of(2, 2), List.of(first.assignment().size(), second.assignment().size()));
        }
        long committed = admin.listConsumerGroupOffsets(name).partitionsToOffsetAndMetadata().get().values().stream()
            .mapToLong(OffsetAndMetadata::offset).sum();
        equal(400L, committed);
        return null;
    }

    static Void reset() throws Exception {
        String name = topic("reset", 1);
        produce(name, 10);
        TopicPartition partition = new TopicPartition(name, 0);
        admin.alterConsumerGroupOffsets(name, Map.of(partition, new OffsetAndMetadata(7, "note"))).all().get();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties("group.id", name))) {
            consumer.subscribe(List.of(name));
            equal(List.of("v7", "v8", "v9"), consume(consumer, 3));
        }
        admin.deleteConsumerGroups(List.of(name)).all().get();
        fails(org.apache.kafka.common.errors.GroupIdNotFoundException.class,
            () -> admin.deleteConsumerGroups(List.of(name)).all().get());
        return null;
    }

    static Void topics() throws Exception {
        String name = topic("lifecycle", 2);
        fails(TopicExistsException.class, () -> topic(name, 2));
        admin.createPartitions(Map.of(name, NewPartitions.increaseTo(5))).all().get();
        equal(5, admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size());
        admin.deleteTopics(List.of(name)).all().get();
        fails(UnknownTopicOrPartitionException.class, () -> admin.describeTopics(List.of(name)).allTopicNames().get());
        return null;
    }

    static Void deleteRecords() throws Exception {
        String name = topic("delete-records", 1);
        produce(name, 10);
        TopicPartition partition = new TopicPartition(name, 0);
        admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(4))).all().get();
        equal(4L, admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).partitionResult(partition).get().offset());
        return null;
    }

    static Void times() throws Exception {
        String name = topic("times", 1);
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, name), List.of(
            new AlterConfigOp(new ConfigEntry("retention.ms", "-1"), AlterConfigOp.OpType.SET)))).all().get();
        produce(name, 10);
        TopicPartition partition = new TopicPartition(name, 0);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(properties())) {
            equal(4L, consumer.offsetsForTimes(Map.of(partition, 4500L)).get(partition).offset());
            check(consumer.offsetsForTimes(Map.of(partition, 99_000L)).get(partition) == null, "a time of the future");
        }
        return null;
    }

    static Void configs() throws Exception {
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic("configs", 1));
        AlterConfigOp set = new AlterConfigOp(new ConfigEntry("retention.ms", "12345"), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
        ConfigEntry entry;
        long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
        // A change takes effect on Apache Kafka a moment after it is acknowledged.
        do {
            entry = admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms");
        } while (!entry.value().equals("12345") && System.nanoTime() < end);
        equal("12345", entry.value());
        equal(ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG, entry.source());
        AlterConfigOp wrong = new AlterConfigOp(new ConfigEntry("retention.ms", "soon"), AlterConfigOp.OpType.SET);
        fails(org.apache.kafka.common.errors.InvalidConfigurationException.class,
            () -> admin.incrementalAlterConfigs(Map.of(resource, List.of(wrong))).all().get());
        return null;
    }

    static Void cluster() throws Exception {
        equal(1, admin.describeCluster().nodes().get().size());
        equal(1, admin.describeMetadataQuorum().quorumInfo().get().voters().size());
        equal((short) 30, admin.describeFeatures().featureMetadata().get().finalizedFeatures().get("metadata.version")
            .maxVersionLevel());
        return null;
    }

    static Void transaction() throws Exception {
        String name = topic("transactions", 1);
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(properties("transactional.id", name, "max.block.ms", "10000"))) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(name, "v")).get();
            producer.commitTransaction();
        }
        return null;
    }

    static Void quotas() throws Exception {
        limit(Map.of("user", "checks"), "producer_byte_rate", 1e6);
        ClientQuotaEntity user = new ClientQuotaEntity(Map.of("user", "checks"));
        equal(1e6, admin.describeClientQuotas(ClientQuotaFilter.all()).entities().get().get(user).get("producer_byte_rate"));
        String name = topic("quotas", 1);
        limit(Map.of("client-id", name), "producer_byte_rate", 1000.0);
        try (KafkaProducer<String, String> producer = new KafkaProducer<>(properties("client.id", name))) {
            producer.send(new ProducerRecord<>(name, "v".repeat(11000))).get();
            check(throttled(producer.metrics(), "produce-throttle-time-max") > 0, "the producer was not throttled");
        }
        return null;
    }

    static void limit(Map<String, String> entity, String key, double value) throws Exception {
        ClientQuotaAlteration.Op rate = new ClientQuotaAlteration.Op(key, value);
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(new ClientQuotaEntity(entity), List.of(rate)))).all().get();
    }

    static double throttled(Map<MetricName, ? extends Metric> metrics, String name) {
        return metrics.entrySet().stream().filter(it -> it.getKey().name().equals(name) && it.getKey().group().equals("producer-metrics"))
            .mapToDouble(it -> (Double) it.getValue().metricValue()).max().orElse(0);
    }

    static Void scram() throws Exception {
        ScramCredentialInfo info = new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 4096);
        admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion("checks", info, "secret"))).all().get();
        check(admin.describeUserScramCredentials().users().get().contains("checks"), "the user is not there");
        return null;
    }

    static Void reassign() throws Exception {
        TopicPartition partition = new TopicPartition(topic("reassign", 1), 0);
        int broker = admin.describeCluster().nodes().get().iterator().next().id();
        admin.alterPartitionReassignments(Map.of(partition,
            java.util.Optional.of(new NewPartitionReassignment(List.of(broker))))).all().get();
        return null;
    }

    static Void moveLog() throws Exception {
        int broker = admin.describeCluster().nodes().get().iterator().next().id();
        TopicPartitionReplica replica = new TopicPartitionReplica(topic("move", 1), 0, broker);
        fails(LogDirNotFoundException.class, () -> admin.alterReplicaLogDirs(Map.of(replica, "/nowhere")).all().get());
        return null;
    }

    static Void loggers() throws Exception {
        int broker = admin.describeCluster().nodes().get().iterator().next().id();
        ConfigResource resource = new ConfigResource(ConfigResource.Type.BROKER_LOGGER, Integer.toString(broker));
        Collection<ConfigEntry> loggers = admin.describeConfigs(List.of(resource)).all().get().get(resource).entries();
        check(!loggers.isEmpty(), "no loggers");
        return null;
    }

    static Void share() throws Exception {
        String name = topic("share", 1);
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, name), List.of(
            new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET)))).all().get();
        produce(name, 10);
        Properties properties = properties("group.id", name);
        properties.remove("auto.offset.reset");
        try (KafkaShareConsumer<String, String> consumer = new KafkaShareConsumer<>(properties)) {
            consumer.subscribe(List.of(name));
            long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
            int count = 0;
            while (count < 10 && System.nanoTime() < end) {
                count += consumer.poll(Duration.ofMillis(200)).count();
            }
            equal(10, count);
        }
        return null;
    }
}
