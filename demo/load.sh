#!/bin/sh
# Something to look at: three topics, three groups, and one of the groups does not keep up. Needs Kafka's
# tools on the path (ours or Apache Kafka's) and ends when one of its parts does.
#   BOOTSTRAP=localhost:9092 demo/load.sh
set -eu
bootstrap=${BOOTSTRAP:-localhost:9092}
forever=2000000000

topic() { # name partitions
  kafka-topics.sh --bootstrap-server "$bootstrap" --create --if-not-exists --topic "$1" --partitions "$2"
}

write() { # topic bytes records-a-second
  kafka-producer-perf-test.sh --bootstrap-server "$bootstrap" --topic "$1" --record-size "$2" --throughput "$3" \
    --num-records "$forever" --reporting-interval 60000 &
  parts="${parts:-} $!"
}

read_all() { # topic group
  kafka-consumer-perf-test.sh --bootstrap-server "$bootstrap" --topic "$1" --group "$2" --num-records "$forever" \
    --timeout "$forever" &
  parts="${parts:-} $!"
}

read_slowly() { # topic group: fifty records a second, since a full pipe holds the reader back
  kafka-console-consumer.sh --bootstrap-server "$bootstrap" --topic "$1" --group "$2" |
    while read_lines 50; do sleep 1; done &
  parts="${parts:-} $!"
}

read_lines() { # how many
  lines=0
  while [ "$lines" -lt "$1" ]; do
    read -r _ || return 1
    lines=$((lines + 1))
  done
}

topic orders 6
topic payments 3
topic audit 2
write orders 400 500
write payments 1000 100
write audit 150 100
read_all orders billing
read_all payments ledger
read_slowly audit archive

stop() { kill $parts 2>/dev/null || true; }
trap 'stop; exit 0' INT TERM
while for part in $parts; do kill -0 "$part" 2>/dev/null || break 2; done; do
  sleep 2 & wait $!
done
stop
exit 1
