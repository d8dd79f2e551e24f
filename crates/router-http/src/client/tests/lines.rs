//! Which connections are used again.

use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt;
use tokio::{
    net::TcpStream,
    sync::Barrier,
    time::{Instant, sleep},
};
use tokio_util::task::TaskTracker;

use super::*;

/// What a server does once it has sent its answer.
#[derive(Clone, Copy, Debug)]
enum Then {
    Waits,
    Closes,
    /// Sends this, a moment later.
    Adds(&'static str),
}

/// What the client does with the answer.
#[derive(Clone, Copy, Debug)]
enum And {
    Reads,
    /// Takes the first piece, and goes.
    Leaves,
    Drops,
}

/// A server that answers whatever it is asked.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// The head of the last request.
    head: Arc<Mutex<String>>,
}

impl Server {
    /// The server answers as many questions at once as `together` waits for.
    async fn start(answer: &'static str, then: Then, together: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, head) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(String::new())));
        let (count, seen, barrier) = (Arc::clone(&connections), Arc::clone(&head), Arc::new(Barrier::new(together)));
        let tasks = TaskTracker::new();
        tasks.clone().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tasks.spawn(serve(stream, answer, then, Arc::clone(&barrier), Arc::clone(&seen)));
            }
        });
        Self { address, connections, head }
    }

    fn uri(&self) -> String {
        format!("http://{}/", self.address)
    }
}

async fn serve(
    mut stream: TcpStream,
    answer: &'static str,
    then: Then,
    together: Arc<Barrier>,
    seen: Arc<Mutex<String>>,
) {
    let mut bytes = [0; 1024];
    while let Ok(count @ 1..) = stream.read(&mut bytes).await {
        *seen.lock() = String::from_utf8_lossy(&bytes[..count]).into_owned();
        together.wait().await;
        let _ = stream.write_all(answer.as_bytes()).await;
        match then {
            Then::Waits => {}
            Then::Closes => return,
            Then::Adds(more) => {
                sleep(Duration::from_millis(20)).await;
                let _ = stream.write_all(more.as_bytes()).await;
            }
        }
    }
}

/// Waits until there is an idle connection, or none.
async fn settled(client: &HttpClient, server: &Server, is_kept: bool) {
    let (begun, uri) = (Instant::now(), server.uri().parse().unwrap());
    loop {
        // Whatever has come from the network is known afterwards.
        sleep(Duration::from_millis(5)).await;
        if client.pool(&uri).sweep() == is_kept {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "an idle connection: {}", !is_kept);
    }
}

const WHOLE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
const PIECES: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n";
const END: &str = "0\r\n\r\n";
const PIECES_AND_END: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
const LAST: &str = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";
const NOTHING: &str = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn a_connection_is_used_again_when_its_answer_is_over() {
    for (answer, then, and, is_kept) in [
        (WHOLE, Then::Waits, And::Reads, true),
        (WHOLE, Then::Waits, And::Leaves, true),
        (WHOLE, Then::Waits, And::Drops, false),
        (NOTHING, Then::Waits, And::Drops, true),
        (PIECES_AND_END, Then::Waits, And::Reads, true),
        (PIECES_AND_END, Then::Waits, And::Leaves, true),
        (PIECES, Then::Adds(END), And::Reads, true),
        (PIECES, Then::Adds(END), And::Leaves, true),
        (PIECES, Then::Adds("2\r\nho\r\n"), And::Leaves, false),
        (PIECES, Then::Waits, And::Leaves, false),
        (PIECES, Then::Waits, And::Drops, false),
        (LAST, Then::Waits, And::Reads, false),
        // Closed while it was idle: the next question does not fail for it.
        (WHOLE, Then::Closes, And::Reads, false),
    ] {
        let (client, server) = (HttpClient::new(Duration::from_secs(3)), Server::start(answer, then, 1).await);
        let mut response = client.send(get(&server.uri())).await.unwrap();
        match and {
            And::Reads => assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hi"),
            And::Leaves => {
                assert_eq!(response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap(), "hi");
                response.into_body().leave();
            }
            And::Drops => drop(response),
        }
        settled(&client, &server, is_kept).await;
        client.send(get(&server.uri())).await.unwrap();
        let connections = if is_kept { 1 } else { 2 };
        assert_eq!(server.connections.load(Ordering::Relaxed), connections, "{answer:?} {then:?} {and:?}");
    }
}

#[tokio::test]
async fn questions_at_once_have_a_connection_each_and_share_them_afterwards() {
    let (client, server) = (HttpClient::new(Duration::from_secs(3)), Server::start(WHOLE, Then::Waits, 8).await);
    for _ in 0..3 {
        let all = (0..8).map(|_| async {
            let response = client.send(get(&server.uri())).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        });
        for answer in futures_util::future::join_all(all).await {
            assert_eq!(answer, "hi");
        }
        assert_eq!(server.connections.load(Ordering::Relaxed), 8);
    }
}

#[tokio::test]
async fn an_address_that_was_checked_is_called_whatever_its_name_leads_to() {
    let (client, server) = (HttpClient::new(Duration::from_secs(3)), Server::start(WHOLE, Then::Waits, 1).await);
    let place = format!("no-such-name.invalid:{}", server.address.port());
    for connections in [1, 2] {
        let response = client.send_to(get(&format!("http://{place}/x?y=1")), vec![server.address]).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hi");
        assert_eq!(*server.head.lock(), format!("GET /x?y=1 HTTP/1.1\r\nhost: {place}\r\n\r\n"));
        assert_eq!(server.connections.load(Ordering::Relaxed), connections);
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let place = format!("no-such-name.invalid:{}", closed.port());
    let refused = client.send_to(get(&format!("http://{place}/")), vec![closed]).await.unwrap_err();
    assert_eq!(refused.to_string(), format!("no connection to {place}: Connection refused (os error 111)"));
    assert_eq!(refused.outcome(), Outcome::NotSent);
}
