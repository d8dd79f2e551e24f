//! Where nobody may be led (T-10, T-11).

use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A resolver of names that a test makes up; each name's answers are given one after the other, the last for ever.
struct Names {
    table: Mutex<Vec<(&'static str, Vec<&'static str>)>>,
    asked: AtomicUsize,
}

impl Resolve for Arc<Names> {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, io::Result<Vec<IpAddr>>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut table = self.table.lock();
        let found = table
            .iter_mut()
            .find(|(known, _)| *known == name)
            .map(|(_, answers)| if answers.len() > 1 { answers.remove(0) } else { answers[0] });
        let addresses = found.map(|found| found.split(' ').map(|address| address.parse().unwrap()).collect());
        Box::pin(async move { addresses.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound)) })
    }
}

fn egress(exempt: &[&str], table: &[(&'static str, &[&'static str])]) -> (Egress, Arc<Names>) {
    let table = table.iter().map(|(name, answers)| (*name, answers.to_vec())).collect();
    let names = Arc::new(Names { table: Mutex::new(table), asked: AtomicUsize::new(0) });
    let exempt = exempt.iter().map(|text| text.parse().unwrap()).collect();
    (Egress::new(exempt, Box::new(Arc::clone(&names))), names)
}

fn home(url: &str) -> Place {
    Place::read(url).unwrap()
}

async fn verdict(egress: &Egress, url: &str, home: &Place) -> std::result::Result<(), String> {
    let place = egress.admit(url, home).map_err(|error| error.message().to_owned())?;
    egress.addresses(&place, home).await.map(drop).map_err(|error| error.message().to_owned())
}

/// Every way that is known of writing an address that is not to be called.
const REFUSED: &[&str] = &[
    "https://127.0.0.1/",
    "https://127.1/",
    "https://127.0.1/",
    "https://127.255.255.254/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0x7f.0.0.1/",
    "https://0x7f.1/",
    "https://127.0.0.0x1/",
    "https://0177.0.0.1/",
    "https://017700000001/",
    "https://0177.1/",
    "https://0127.0.0.1/",
    "https://127.0.0.1./",
    "https://%31%32%37.0.0.1/",
    "https://\u{ff11}27.0.0.1/",
    "https://\u{2460}27.0.0.1/",
    "https://0/",
    "https://0.0.0.0/",
    "https://0.1.2.3/",
    "https://10.0.0.1/",
    "https://10.255.255.255/",
    "https://012.0.0.1/",
    "https://100.64.0.1/",
    "https://100.127.255.255/",
    "https://100.100.100.200/",
    "https://168.63.129.16/",
    "https://169.254.169.254/",
    "https://0xa9fea9fe/",
    "https://2852039166/",
    "https://172.16.0.1/",
    "https://172.31.255.255/",
    "https://192.0.0.192/",
    "https://192.0.2.1/",
    "https://192.88.99.1/",
    "https://192.168.0.1/",
    "https://192.168.1/",
    "https://198.18.0.1/",
    "https://198.19.255.255/",
    "https://198.51.100.1/",
    "https://203.0.113.1/",
    "https://224.0.0.1/",
    "https://239.255.255.255/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[::]/",
    "https://[::1]/",
    "https://[0:0:0:0:0:0:0:1]/",
    "https://[::ffff:127.0.0.1]/",
    "https://[::ffff:7f00:1]/",
    "https://[::ffff:8.8.8.8]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",
    "https://[64:ff9b:1::10.0.0.1]/",
    "https://[100::1]/",
    "https://[2001::1]/",
    "https://[2001:db8::1]/",
    "https://[2002:7f00:1::]/",
    "https://[2002:a9fe:a9fe::1]/",
    "https://[2002:0808:0808::1]/",
    "https://[3fff::1]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[febf::1]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://a.localhost/",
    "https://router/",
    "https://printer.local/",
    "https://metadata.google.internal/",
    "https://mapped.example/",
    "https://inside.example/",
    "https://half.example/",
    "https://half6.example/",
    "https://nowhere.example/",
    "https://a..example/",
    "https://-/\u{0}",
    "https://user@8.8.8.8/",
    "https://8.8.8.8:99999/",
    "https://8.8.8.8:/",
    "https://8.8.8.8/#x",
    "https://8.8.8.8\\@127.0.0.1/",
    "http://8.8.8.8/",
    "http://public.example/",
    "//8.8.8.8/",
    "ftp://8.8.8.8/",
    "file:///etc/passwd",
    "gopher://8.8.8.8/",
    "javascript:alert(1)",
    "data:text/plain,x",
    "$(calc)",
    "--upload-pack=x",
    "https://$(calc)/",
    "https://a b.example/",
    "",
];

const NAMES: &[(&str, &[&str])] = &[
    ("public.example", &["8.8.8.8 2606:4700::1111"]),
    ("mapped.example", &["::ffff:10.0.0.1"]),
    ("inside.example", &["10.1.2.3"]),
    ("half.example", &["8.8.8.8 127.0.0.1"]),
    ("half6.example", &["2606:4700::1111 fd00::1"]),
    ("corp.example", &["10.1.2.3"]),
    ("cloud.example", &["169.254.169.254"]),
];

#[tokio::test]
async fn no_spelling_leads_inside() {
    let (egress, _) = egress(&[], NAMES);
    let home = home("https://mcp.example/mcp");
    for url in REFUSED {
        assert!(verdict(&egress, url, &home).await.is_err(), "{url:?} was let through");
    }
    for url in [
        "https://8.8.8.8/",
        "https://[2606:4700::1111]:8443/x?y=z",
        "https://public.example",
        "https://Public.Example./",
    ] {
        assert_eq!(verdict(&egress, url, &home).await, Ok(()), "{url:?}");
    }
}

#[tokio::test]
async fn what_is_ours_can_be_exempt() {
    let table = [
        ("corp.example", "https://corp.example/", true),
        ("corp.example", "http://corp.example/", true),
        ("corp.example", "https://inside.example/", false),
        ("corp.example", "https://10.1.2.3/", false),
        ("10.0.0.0/8", "https://inside.example/", true),
        ("10.0.0.0/8", "https://10.1.2.3/", true),
        ("10.0.0.0/8", "https://192.168.0.1/", false),
        ("cloud.example", "https://cloud.example/", false),
        ("169.254.169.254", "https://cloud.example/", true),
        ("[::1]", "https://[::1]/", true),
    ];
    for (exempt, url, allowed) in table {
        let (egress, _) = egress(&[exempt], NAMES);
        let verdict = verdict(&egress, url, &home("https://mcp.example/mcp")).await;
        assert_eq!(verdict.is_ok(), allowed, "{exempt} {url}: {verdict:?}");
    }
    for text in ["", "http://corp.example", "10.0.0.0/33", "a/b", "corp.example:1", "0x7f.1"] {
        assert!(text.parse::<Exempt>().is_err(), "{text:?}");
    }
}

#[tokio::test]
async fn a_private_upstream_may_name_itself_and_nobody_else() {
    let names: &[(&str, &[&str])] =
        &[("mcp.internal", &["10.0.0.9"]), ("localhost", &["127.0.0.1"]), ("corp.example", &["10.1.2.3"])];
    let table = [
        ("http://127.0.0.1:8080/mcp", "http://127.0.0.1:8080/.well-known/x", true),
        ("http://127.0.0.1:8080/mcp", "http://127.0.0.1:8081/x", false),
        ("http://127.0.0.1:8080/mcp", "https://127.0.0.1:8080/x", false),
        ("http://127.0.0.1:8080/mcp", "http://localhost:8080/x", false),
        ("http://localhost:8080/mcp", "http://localhost:8080/x", true),
        ("https://mcp.internal/mcp", "https://mcp.internal/x", true),
        ("https://mcp.internal/mcp", "https://other.internal/x", false),
        ("http://10.0.0.9/mcp", "http://10.0.0.9/x", true),
        ("http://169.254.169.254/mcp", "http://169.254.169.254/latest", true),
        // A public name does not become private by what its owner lets it lead to.
        ("https://corp.example/mcp", "https://corp.example/x", false),
    ];
    for (server, url, allowed) in table {
        let (egress, _) = egress(&[], names);
        let verdict = verdict(&egress, url, &home(server)).await;
        assert_eq!(verdict.is_ok(), allowed, "{server} {url}: {verdict:?}");
    }
}

/// A server that answers each connection with the next of `answers`, and counts them.
async fn server(answers: Vec<String>) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, count) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let seen = Arc::clone(&count);
    tokio_util::task::TaskTracker::new().spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            seen.fetch_add(1, Ordering::Relaxed);
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let answer = answer.replace("PORT", &port.to_string());
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (port, count)
}

fn to(location: &str) -> String {
    format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
}

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";

#[tokio::test]
async fn each_redirect_is_checked_and_they_end() {
    let here = "http://127.0.0.1:PORT/x";
    let cases: [(Vec<String>, std::result::Result<&str, &str>, usize); 7] = [
        (vec![to(here), to("/relative"), OK.to_owned()], Ok("hi"), 3),
        (vec![to(here), to(here), to(here), to(here)], Err("is one redirect too many"), 4),
        (vec![to("http://127.0.0.2:PORT/"), OK.to_owned()], Err("leads to 127.0.0.2"), 1),
        (vec![to("http://169.254.169.254/latest/meta-data/"), OK.to_owned()], Err("metadata"), 1),
        (vec![to("file:///etc/passwd"), OK.to_owned()], Err("is not an address"), 1),
        (vec![to("//127.0.0.2:PORT/"), OK.to_owned()], Err("neither http nor https"), 1),
        (vec![to("http://[::ffff:127.0.0.1]:PORT/"), OK.to_owned()], Err("not a public address"), 1),
    ];
    for (answers, expect, connections) in cases {
        let (port, count) = server(answers.clone()).await;
        let (egress, _) = egress(&["127.0.0.1"], &[]);
        let told =
            egress.get(&format!("http://127.0.0.1:{port}/"), HeaderMap::new(), &home("https://mcp.example")).await;
        match (told, expect) {
            (Ok(told), Ok(body)) => assert_eq!(told.body, body),
            (Err(error), Err(why)) => assert!(error.message().contains(why), "{answers:?}: {error}"),
            (told, expect) => panic!("{answers:?}: {told:?}, not {expect:?}"),
        }
        assert_eq!(count.load(Ordering::Relaxed), connections, "{answers:?}");
    }
}

#[tokio::test]
async fn what_is_sent_is_not_sent_on() {
    let (port, count) = server(vec![to("http://127.0.0.1:PORT/elsewhere"), OK.to_owned()]).await;
    let (egress, _) = egress(&["127.0.0.1"], &[]);
    let url = format!("http://127.0.0.1:{port}/token");
    let ask = Ask { method: Method::POST, url, headers: HeaderMap::new(), body: Bytes::from_static(b"secret") };
    let told = egress.send(ask, &home("https://mcp.example")).await.unwrap();
    assert_eq!((told.status.as_u16(), count.load(Ordering::Relaxed)), (302, 1));
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_a_moment_later_gains_nothing() {
    // Asked once a hop: what was checked is what is called.
    let (port, count) = server(vec![OK.to_owned()]).await;
    let (way, names) = egress(&["127.0.0.1"], &[("rebind.example", &["127.0.0.1", "127.0.0.2"])]);
    let url = format!("http://rebind.example:{port}/");
    let told = way.get(&url, HeaderMap::new(), &home("https://mcp.example")).await.unwrap();
    assert_eq!(
        (told.body.as_ref(), names.asked.load(Ordering::Relaxed), count.load(Ordering::Relaxed)),
        (&b"hi"[..], 1, 1)
    );
    // The next hop is asked about and checked anew.
    let (port, count) = server(vec![to("http://rebind.example:PORT/again"), OK.to_owned()]).await;
    let (way, names) = egress(&["127.0.0.1"], &[("rebind.example", &["127.0.0.1", "127.0.0.2"])]);
    let url = format!("http://rebind.example:{port}/");
    let error = way.get(&url, HeaderMap::new(), &home("https://mcp.example")).await.unwrap_err();
    assert!(error.message().contains("leads to 127.0.0.2"), "{error}");
    assert_eq!((names.asked.load(Ordering::Relaxed), count.load(Ordering::Relaxed)), (2, 1));
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let (port, _) =
        server(vec![format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(300 * 1024))]).await;
    let (egress, _) = egress(&["127.0.0.1"], &[]);
    let told = egress.get(&format!("http://127.0.0.1:{port}/"), HeaderMap::new(), &home("https://mcp.example")).await;
    assert!(told.unwrap_err().message().contains("is above 262144 bytes"));
}
