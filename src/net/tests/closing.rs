//! What ends a connection, one case per reason: the counter of that reason moves, and no other.

use super::*;

/// Lets `act` close one connection of a fresh room, and sees that it is counted under `reason`.
async fn closes(reason: &'static str, quotas: QuotaLimits, act: impl AsyncFnOnce(&Room)) {
    let limits = Limits { max_idle: Duration::from_secs(60), ..Limits::default() };
    let room = Room::open(limits, quotas, usize::MAX).await;
    act(&room).await;
    while room.closed().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(room.closed(), [(reason, 1.0)]);
}

/// Sends `body` on a connection of its own and waits for its end.
async fn sends(room: &Room, body: &[u8]) {
    let mut client = room.connect().await;
    send(&mut client, body).await;
    at_end(&mut client).await;
}

/// Ends a connection as a crashing peer does.
pub(super) fn reset(client: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
}

/// A client with more replies than fit between it and the server, of which it reads nothing.
async fn reads_nothing(room: &Room) -> TcpStream {
    let mut client = room.connect().await;
    client.write_all(&frame(b"M").repeat(64)).await.unwrap();
    room.script.until(|it| it.handled.load(Ordering::SeqCst) >= 16).await;
    client
}

/// A listener whose connections push out others, when it is full.
async fn beside_a_protected_listener(room: &Room) {
    let mut first = room.connect().await;
    send(&mut first, b"e").await;
    receive(&mut first).await;
    let bound =
        room.server.bind(ListenerConfig::plaintext("PROTECTED", "localhost", 0)).await.unwrap();
    let port = bound.port();
    room.server.serve(bound, room.script.clone(), &Handle::current());
    let _second = TcpStream::connect(("localhost", port)).await.unwrap();
    at_end(&mut first).await;
}

#[tokio::test]
async fn every_reason_is_counted() {
    let any = QuotaLimits::default;
    closes("peer_closed", any(), async |room| drop(room.connect().await)).await;
    closes("truncated", any(), async |room| {
        room.connect().await.write_all(&frame(b"ehello")[..7]).await.unwrap();
    })
    .await;
    closes("read_error", any(), async |room| {
        let mut client = room.connect().await;
        send(&mut client, b"e").await;
        receive(&mut client).await;
        reset(client);
    })
    .await;
    closes("write_error", any(), async |room| reset(reads_nothing(room).await)).await;
    for (reason, size) in [("invalid_size", -1), ("too_large", i32::MAX)] {
        closes(reason, any(), async |room| {
            let mut client = room.connect().await;
            client.write_all(&i32::to_be_bytes(size)).await.unwrap();
            at_end(&mut client).await;
        })
        .await;
    }
    for (reason, request) in [("invalid_request", b"x"), ("refused", b"r"), ("panicked", b"p")] {
        closes(reason, any(), async |room| sends(room, request).await).await;
    }
    for (reason, len) in [("reply_too_large", 1 << 31), ("file_error", 1)] {
        closes(reason, any(), async |room| {
            let file = Arc::new(tempfile::tempfile().unwrap());
            *room.script.files.lock() = vec![ReplyChunk::File { file, offset: 0, len, disk: None }];
            let mut client = room.connect().await;
            send(&mut client, b"f").await;
            // The size of a reply leaves before its file turns out to be short.
            client.read_to_end(&mut Vec::new()).await.ok();
        })
        .await;
    }
    let none = QuotaLimits { max_connections_per_ip: 0, ..any() };
    closes("address_limit", none, async |room| at_end(&mut room.connect().await).await).await;
    let protected = ListenerQuota { protected: true, ..ListenerQuota::default() };
    let one = QuotaLimits {
        max_connections: 1,
        listeners: [("PROTECTED".into(), protected)].into(),
        ..any()
    };
    closes("evicted", one, beside_a_protected_listener).await;
    closes("asked", any(), async |room| {
        let mut client = room.connect().await;
        room.script.until(|it| it.opened.load(Ordering::SeqCst) == 1).await;
        room.server.connections()[0].close();
        at_end(&mut client).await;
    })
    .await;
    closes("stopped", any(), async |room| {
        let mut client = room.connect().await;
        room.script.until(|it| it.opened.load(Ordering::SeqCst) == 1).await;
        room.server.stop(Duration::MAX).await;
        at_end(&mut client).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn reasons_of_time_are_counted() {
    let any = QuotaLimits::default;
    closes("idle", any(), async |room| at_end(&mut room.connect().await).await).await;
    closes("slow_request", any(), async |room| {
        let mut client = room.connect().await;
        client.write_all(&frame(b"ehello")[..7]).await.unwrap();
        at_end(&mut client).await;
    })
    .await;
    closes("not_reading", any(), async |room| {
        let _client = reads_nothing(room).await;
        room.script.until(|it| !it.closed.lock().is_empty()).await;
    })
    .await;
}

/// A reason that is added needs its case above.
#[test]
fn no_reason_is_without_a_case() {
    let text = include_str!("closing.rs");
    for reason in CloseReason::LABELS {
        assert!(text.contains(&format!("(\"{reason}\"")), "{reason}");
    }
}
