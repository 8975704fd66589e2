import java.io.Closeable;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.CloseOptions;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.message.ProduceRequestData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.SimpleRecord;
import org.apache.kafka.common.requests.ProduceRequest;
import org.apache.kafka.common.requests.ProduceResponse;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * A fixed workload, whose every record and commit is known, so that the beans of any broker after it can be compared:
 * Workload HOST:PORT. Each step prints what it did; all clients but those under quotas stay open until the end.
 */
public class Workload {
    /** One timestamp for every record, so that sizes of batches do not vary. */
    static final long NOW = System.currentTimeMillis();

    static String bootstrap;
    static Admin admin;
    static final List<Closeable> OPEN = new ArrayList<>();

    public static void main(String[] arguments) throws Exception {
        bootstrap = arguments[0];
        admin = Admin.create(properties("client.id", "adm"));
        telemetry();
        topics();
        acknowledgements();
        idempotent();
        compressed();
        compressedAnew();
        compaction();
        failures();
        classic();
        consumerProtocol();
        lag();
        reset();
        unacknowledged();
        sync(producer("p-del"), "d", 0, 10, 100);
        administration();
        admin.deleteTopics(List.of("d")).all().get();
        say("delete-topic", "d, after 10 records to d-0");
        closeAll();
        // It takes as long as the quota says: members of groups would send heartbeats meanwhile.
        quota();
        closeAll();
        admin.close();
        say("end", "all clients closed");
    }

    static void closeAll() throws IOException {
        Collections.reverse(OPEN);
        for (Closeable client : OPEN) client.close();
        OPEN.clear();
    }

    static void telemetry() throws Exception {
        alter(ConfigResource.Type.CLIENT_METRICS, "sub1", Map.of("metrics", "org.apache.kafka.producer.", "interval.ms", "1000"));
        say("telemetry", "client metrics subscription sub1: org.apache.kafka.producer. every 1000 ms");
    }

    static void topics() throws Exception {
        Map<String, String> compact =
            Map.of("cleanup.policy", "compact", "segment.ms", "200", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "100");
        short one = 1;
        admin.createTopics(List.of(new NewTopic("a", 3, one), new NewTopic("b", 1, one), new NewTopic("d", 2, one),
            new NewTopic("t", 1, one), new NewTopic("c", 1, one).configs(compact),
            new NewTopic("z", 1, one).configs(Map.of("compression.type", "uncompressed")))).all().get();
        while (!led(List.of("a", "b", "c", "d", "t", "z"))) Thread.sleep(200);
        say("topics", "a(3) b(1) c(1,compact) d(2) t(1) z(1,uncompressed)");
    }

    static boolean led(Collection<String> topics) throws InterruptedException {
        try {
            return admin.describeTopics(topics).allTopicNames().get().values().stream()
                .allMatch(topic -> topic.partitions().stream().allMatch(it -> it.leader() != null));
        } catch (ExecutionException notYet) {
            return false;
        }
    }

    static void acknowledgements() throws Exception {
        sync(producer("p-all"), "a", 0, 100, 100);
        sync(producer("p-one", "acks", "1"), "a", 1, 50, 100);
        say("acks", "1 record a request, values of 100 bytes, batches of 170: 100 with acks=all to a-0, 50 with acks=1 to a-1");
    }

    static void idempotent() throws Exception {
        sync(producer("p-idem", "enable.idempotence", "true"), "a", 2, 40, 100);
        batch(producer("p-batch", "enable.idempotence", "true", "linger.ms", 500, "batch.size", 1000000), "b", 60, 100);
        say("idempotent", "40 requests of 1 record to a-2; 1 request with one batch of 60 records to b-0");
    }

    static void compressed() throws Exception {
        for (String codec : List.of("gzip", "snappy", "lz4", "zstd")) {
            batch(producer("p-" + codec, "compression.type", codec, "linger.ms", 500, "batch.size", 1000000), "b", 20, 1000);
        }
        say("compressed", "gzip snappy lz4 zstd: 1 request each, one batch of 20 records of 1000 bytes to b-0");
    }

    static void compressedAnew() throws Exception {
        batch(producer("p-anew", "compression.type", "gzip", "linger.ms", 500, "batch.size", 1000000), "z", 20, 1000);
        say("compressed-anew", "1 request, one batch of 20 records of 1000 bytes with gzip to z-0, which keeps no compression");
        short epoch = 0;
        SimpleRecord record = new SimpleRecord(NOW, null, bytes(100));
        MemoryRecords once = MemoryRecords.withIdempotentRecords(Compression.NONE, 1_000_000L, epoch, 0, record);
        say("duplicate", "raw Produce v9 with one batch of one record to z-0, twice: " + raw("z", once) + " " + raw("z", once));
    }

    static void compaction() throws Exception {
        Producer<byte[], byte[]> producer = producer("p-compact");
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 10; i++) producer.send(sentNow("k" + i % 5)).get();
            // A segment ends when a record arrives that is segment.ms younger than its first.
            Thread.sleep(400);
        }
        producer.send(sentNow("last")).get();
        String refused = failure(() -> producer.send(record("c", 0, 50)).get());
        say("compaction", "31 records with key to c-0 in 4 segments; one without key: " + refused);
    }

    static void failures() throws Exception {
        Producer<byte[], byte[]> large = producer("p-large", "max.request.size", 5000000, "buffer.memory", 8000000);
        say("failures", "one record of 2000000 bytes to b-0: " + failure(() -> large.send(record("b", 0, 2000000)).get()));
        MemoryRecords good = MemoryRecords.withRecords(Compression.NONE, new SimpleRecord(NOW, null, bytes(100)));
        say("failures", "raw Produce v9 to topic nope-0: " + raw("nope", good));
        ByteBuffer bad = ByteBuffer.allocate(good.buffer().remaining());
        bad.put(good.buffer().duplicate()).flip();
        bad.put(bad.limit() - 3, (byte) '!');
        say("failures", "raw Produce v9 with wrong CRC to b-0: " + raw("b", MemoryRecords.readableRecords(bad)));
    }

    static void classic() {
        KafkaConsumer<byte[], byte[]> consumer = consumer("c-classic", "g-classic");
        consumer.subscribe(List.of("a"));
        int read = drain(consumer, 190);
        consumer.commitSync();
        say("classic", "g-classic subscribed to a: " + read + " records (100 a-0, 50 a-1, 40 a-2); one commitSync of 3 offsets");
    }

    static void consumerProtocol() {
        KafkaConsumer<byte[], byte[]> consumer =
            consumer("c-848", "g-848", "group.protocol", "consumer", "isolation.level", "read_committed");
        consumer.subscribe(List.of("a", "b"));
        int read = drain(consumer, 190 + 140);
        consumer.commitSync();
        say("consumer-protocol", "g-848 subscribed to a and b, read_committed: " + read + " records; one commitSync of 4 offsets");
    }

    static void lag() {
        KafkaConsumer<byte[], byte[]> consumer = consumer("c-lag", "g-lag", "max.poll.records", 10);
        consumer.assign(List.of(new TopicPartition("a", 0)));
        int read = drain(consumer, 30);
        consumer.commitSync();
        say("lag", "g-lag assigned a-0, read " + read + ", committed 30 of 100");
    }

    static void reset() {
        KafkaConsumer<byte[], byte[]> consumer = consumer("c-reset", "g-reset");
        TopicPartition partition = new TopicPartition("a", 2);
        consumer.assign(List.of(partition));
        consumer.seek(partition, 100000);
        say("reset", "assigned a-2, seek to 100000, one OFFSET_OUT_OF_RANGE, then " + drain(consumer, 40) + " records");
    }

    static void unacknowledged() throws Exception {
        sync(producer("p-none", "acks", "0"), "a", 1, 10, 100);
        say("acks-none", "10 requests of 1 record, acks 0, a-1");
    }

    static void administration() throws Exception {
        ConfigResource broker = new ConfigResource(ConfigResource.Type.BROKER, "1");
        admin.describeConfigs(List.of(new ConfigResource(ConfigResource.Type.TOPIC, "a"), broker)).all().get();
        alter(ConfigResource.Type.TOPIC, "b", Map.of("retention.ms", "86400000"));
        admin.listGroups().all().get();
        admin.describeConsumerGroups(List.of("g-classic")).all().get();
        admin.listConsumerGroupOffsets("g-lag").partitionsToOffsetAndMetadata().get();
        admin.describeCluster().nodes().get();
        admin.describeLogDirs(List.of(1)).allDescriptions().get();
        admin.listTransactions().all().get();
        admin.describeProducers(List.of(new TopicPartition("a", 0))).all().get();
        admin.deleteRecords(Map.of(new TopicPartition("d", 0), RecordsToDelete.beforeOffset(5))).all().get();
        admin.createPartitions(Map.of("t", NewPartitions.increaseTo(2))).all().get();
        say("admin", "2 configs described, 1 altered, groups and offsets and log dirs read, d-0 deleted before 5, t grown to 2");
    }

    static void quota() throws Exception {
        ClientQuotaEntity throttled = new ClientQuotaEntity(Map.of("client-id", "throttled"));
        List<ClientQuotaAlteration.Op> rates = List.of(
            new ClientQuotaAlteration.Op("producer_byte_rate", 8000.0), new ClientQuotaAlteration.Op("consumer_byte_rate", 8000.0));
        admin.alterClientQuotas(List.of(new ClientQuotaAlteration(throttled, rates))).all().get();
        // Kafka's broker lives by it a moment later.
        Thread.sleep(1000);
        sync(producer("throttled"), "t", 0, 10, 10000);
        KafkaConsumer<byte[], byte[]> consumer =
            consumer("throttled", "g-throttled", "fetch.max.bytes", 20000, "max.partition.fetch.bytes", 20000);
        consumer.assign(List.of(new TopicPartition("t", 0)));
        int read = drain(consumer, 10);
        say("quota", "client id throttled, 8000 bytes a second each way: 10 requests of 1 record of 10000 bytes to t-0, read back " + read);
    }

    static void alter(ConfigResource.Type type, String name, Map<String, String> values) throws Exception {
        List<AlterConfigOp> changes = new ArrayList<>();
        values.forEach((key, value) -> changes.add(new AlterConfigOp(new ConfigEntry(key, value), AlterConfigOp.OpType.SET)));
        admin.incrementalAlterConfigs(Map.of(new ConfigResource(type, name), changes)).all().get();
    }

    /** Produces without the client's own checks; the answer's error. */
    static String raw(String topic, MemoryRecords records) throws IOException {
        ProduceRequestData data = new ProduceRequestData().setAcks((short) -1).setTimeoutMs(5000);
        var partition = new ProduceRequestData.PartitionProduceData().setIndex(0).setRecords(records);
        data.topicData().add(new ProduceRequestData.TopicProduceData().setName(topic).setPartitionData(List.of(partition)));
        short version = 9;
        RequestHeader header = new RequestHeader(ApiKeys.PRODUCE, version, "raw", 1);
        ByteBuffer request = new ProduceRequest(data, version).serializeWithHeader(header);
        String[] address = bootstrap.split(":");
        try (Socket socket = new Socket(address[0], Integer.parseInt(address[1]))) {
            DataOutputStream out = new DataOutputStream(socket.getOutputStream());
            byte[] frame = new byte[request.remaining()];
            request.get(frame);
            out.writeInt(frame.length);
            out.write(frame);
            DataInputStream in = new DataInputStream(socket.getInputStream());
            byte[] answer = new byte[in.readInt()];
            in.readFully(answer);
            ByteBuffer body = ByteBuffer.wrap(answer).position(5); // correlation id and an empty tag section
            ProduceResponse response = ProduceResponse.parse(new ByteBufferAccessor(body), version);
            return Errors.forCode(response.data().responses().iterator().next().partitionResponses().get(0).errorCode()).name();
        }
    }

    static Properties properties(Object... pairs) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        for (int i = 0; i < pairs.length; i += 2) properties.put(pairs[i], pairs[i + 1].toString());
        return properties;
    }

    static Producer<byte[], byte[]> producer(String id, Object... pairs) {
        Properties properties = properties("client.id", id, "linger.ms", 0, "enable.idempotence", "false", "acks", "all");
        properties.putAll(properties(pairs));
        KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
        OPEN.add(() -> producer.close(Duration.ofSeconds(5)));
        return producer;
    }

    static KafkaConsumer<byte[], byte[]> consumer(String id, String group, Object... pairs) {
        Properties properties = properties("client.id", id, "group.id", group, "group.protocol", "classic",
            "auto.offset.reset", "earliest", "enable.auto.commit", "false");
        properties.putAll(properties(pairs));
        KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        OPEN.add(() -> consumer.close(CloseOptions.timeout(Duration.ofSeconds(10))));
        return consumer;
    }

    static byte[] bytes(int count) {
        byte[] bytes = new byte[count];
        for (int i = 0; i < count; i++) bytes[i] = (byte) ('a' + i % 26);
        return bytes;
    }

    static ProducerRecord<byte[], byte[]> record(String topic, int partition, int size) {
        return new ProducerRecord<>(topic, partition, NOW, null, bytes(size));
    }

    /** With the time of sending: segment.ms goes by the timestamps of records. */
    static ProducerRecord<byte[], byte[]> sentNow(String key) {
        return new ProducerRecord<>("c", 0, System.currentTimeMillis(), key.getBytes(), bytes(50));
    }

    static void sync(Producer<byte[], byte[]> producer, String topic, int partition, int count, int size) throws Exception {
        for (int i = 0; i < count; i++) producer.send(record(topic, partition, size)).get();
    }

    static void batch(Producer<byte[], byte[]> producer, String topic, int count, int size) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = 0; i < count; i++) sent.add(producer.send(record(topic, 0, size)));
        producer.flush();
        for (Future<RecordMetadata> one : sent) one.get();
    }

    /** Reads until there are that many; fails when they do not come within a minute. */
    static int drain(KafkaConsumer<byte[], byte[]> consumer, int wanted) {
        int read = 0;
        long end = System.nanoTime() + 60_000_000_000L;
        while (read < wanted) {
            if (System.nanoTime() > end) throw new IllegalStateException("read " + read + " of " + wanted);
            read += consumer.poll(Duration.ofMillis(500)).count();
        }
        return read;
    }

    static String failure(Callable<?> call) {
        try {
            call.call();
            return "none";
        } catch (Exception error) {
            Throwable cause = error;
            while (cause.getCause() != null) cause = cause.getCause();
            return cause.getClass().getSimpleName();
        }
    }

    static void say(String step, String facts) {
        System.out.println(step + "\t" + facts);
    }
}
