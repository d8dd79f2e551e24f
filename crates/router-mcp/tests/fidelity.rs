//! What leaves is what came: every method in every cell of the two eras, over HTTP and over pipes, with the bytes that a
//! careless relay would lose. The goldens beside this file show each message on both sides; whatever differs there is
//! one of the few rewrites that the protocol itself asks for.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod between;

mod fidelity {
    pub(crate) mod client;
    pub(crate) mod questions;
    pub(crate) mod server;
}

use self::fidelity::{
    client::{Client, Era},
    questions,
    server::{Server, Way},
};

/// Keys out of order, numbers that no float holds, spellings that a parser would tidy up.
const ODD: &str = r#"{"zeta":1.0, "alpha" : 12345678901234567890123,"e":1E+2,"esc":"\u00e9\/\ud83d\ude00 é","deep":{"y":[ ],"b":{ "a":null}}}"#;

/// A method, the parameters that a client sends, and the result that the server gives; `ODD` stands for the odd value.
const CASES: [(&str, &str, &str); 9] = [
    (
        "tools/list",
        "",
        r##"{"vendorTop":ODD,"tools":[{"x-vendor":ODD,"name":"echo","inputSchema":{"type":"object","properties":{"zeta":{},"alpha":{"$ref":"#/$defs/a"}},"$defs":{"a":{"$anchor":"a"}}},"annotations":{"vendorHint":1.0},"icons":[{"src":"data:,"}],"execution":{"taskSupport":"optional"},"_meta":{"ui":{"resourceUri":"ui://app"}}},{"name":"fail"}],"_meta":{"k":ODD}}"##,
    ),
    (
        "tools/call",
        r#""x-vendor":[ ],"name":"echo","arguments":ODD,"task":{"ttl":1.0}"#,
        r#"{"content":[{"type":"future/kind","x":ODD},{"text":"t","type":"text","annotations":{"audience":["robot"]}}],"structuredContent":ODD,"vendorTop":1.50,"_meta":{"k":ODD}}"#,
    ),
    ("resources/list", "", r#"{"resources":[{"name":"r","uri":"odd:/r","size":1E3,"x":ODD}],"_meta":{"k":ODD}}"#),
    (
        "resources/templates/list",
        "",
        r#"{"resourceTemplates":[{"uriTemplate":"odd:/{x}","name":"t","x":ODD}],"vendorTop":ODD}"#,
    ),
    (
        "resources/read",
        r#""x-vendor":ODD,"uri":"odd:/r""#,
        r#"{"contents":[{"text":"\u0041","uri":"odd:/r","mimeType":"x/odd","x":ODD}],"vendorTop":ODD}"#,
    ),
    ("prompts/list", "", r#"{"prompts":[{"name":"p","arguments":[{"name":"a","x":ODD}],"x":ODD}],"vendorTop":ODD}"#),
    (
        "prompts/get",
        r#""arguments":{"a":"\u00e9"},"name":"p","x-vendor":ODD"#,
        r#"{"messages":[{"role":"robot","content":{"type":"future/kind","x":ODD}}],"description":"\/"}"#,
    ),
    (
        "completion/complete",
        r#""argument":{"name":"a","value":"\u00e9","x":ODD},"ref":{"name":"p","type":"ref/prompt","x":1.0}"#,
        r#"{"completion":{"total":1E1,"values":["\u00e9"],"x":ODD}}"#,
    ),
    (
        "tools/call",
        r#""name":"fail","arguments":{}"#,
        r#"error {"vendor":1.0,"message":"\u00e9", "data":ODD,"code":77}"#,
    ),
];

fn odd(text: &str) -> String {
    text.replace("ODD", ODD)
}

/// Sends every case, and writes down who sent and heard what.
async fn corpus(client_era: Era, server_era: Era, over: (Way, Way)) -> String {
    let (client_way, server_way) = over;
    let answers = CASES.iter().map(|(method, params, result)| (*method, *params, odd(result)));
    let server = Server::start(server_era, server_way, answers.collect()).await;
    let mut client = Client::connect(client_era, client_way, server.url()).await;
    let mut told = Vec::new();
    for (method, params, result) in CASES {
        let (sent, heard) = client.ask(method, &odd(params)).await;
        let arrived = server.last(method);
        let name = format!("{method} {client_era:?} {server_era:?} {over:?}");
        assert!(!params.contains("ODD") || arrived.contains(ODD), "{name}: the server heard {arrived}");
        assert!(heard.last().unwrap().contains(ODD), "{name}: the client heard {heard:?}");
        let parts = [
            vec![("client", sent), ("server hears", arrived), ("server", odd(result))],
            heard.into_iter().map(|heard| ("client hears", heard)).collect(),
        ];
        told.push(method.to_owned());
        for (who, what) in parts.concat() {
            told.push(format!("  {who:>12} {}", what.replace(ODD, "ODD")));
        }
    }
    client.end().await;
    told.join("\n").replace(env!("CARGO_PKG_VERSION"), "[version]")
}

#[tokio::test]
async fn every_method_in_every_cell() {
    for client_era in [Era::Legacy, Era::Modern] {
        for server_era in [Era::Legacy, Era::Modern] {
            let mut goldens = Vec::new();
            for over in [(Way::Http, Way::Http), (Way::Http, Way::Pipe), (Way::Pipe, Way::Http), (Way::Pipe, Way::Pipe)]
            {
                goldens.push(corpus(client_era, server_era, over).await);
            }
            // What carries a message changes nothing about it.
            assert!(goldens.windows(2).all(|pair| pair[0] == pair[1]), "{client_era:?} {server_era:?}: {goldens:#?}");
            insta::assert_snapshot!(format!("{client_era:?}_client_{server_era:?}_server").to_lowercase(), goldens[0]);
        }
    }
}

/// What a server asks back, with what, and what it is answered.
const QUESTIONS: [(&str, &str, &str); 3] = [
    (
        "sampling/createMessage",
        r#"{"maxTokens":1E2,"messages":[{"content":{"text":"\u0041","type":"text","x":ODD},"role":"user"}],"metadata":ODD}"#,
        r#"{"model":"m","role":"assistant","content":{"type":"text","text":"\u00e9","x":ODD},"vendorTop":1.50}"#,
    ),
    (
        "elicitation/create",
        r#"{"requestedSchema":{"type":"object","properties":{"zeta":{"type":"string"},"alpha":{"type":"number"}}},"message":"\u0041?","x":ODD}"#,
        r#"{"content":{"zeta":"\/","alpha":12345678901234567890123},"action":"accept","x":ODD}"#,
    ),
    ("roots/list", r#"{"x":1.0}"#, r#"{"x":ODD,"roots":[{"name":"\u00e9","uri":"file:///r"}]}"#),
];

#[tokio::test]
async fn every_question_back_in_every_cell() {
    let questions = QUESTIONS.map(|(method, params, answer)| (method, odd(params), odd(answer)));
    for client_era in [Era::Legacy, Era::Modern] {
        for server_era in [Era::Legacy, Era::Modern] {
            let golden = questions::corpus(client_era, server_era, &questions).await.replace(ODD, "ODD");
            insta::assert_snapshot!(
                format!("asked_{client_era:?}_client_{server_era:?}_server").to_lowercase(),
                golden
            );
        }
    }
}
