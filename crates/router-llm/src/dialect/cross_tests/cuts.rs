//! The events of a stream do not depend on where the network cuts it.

use router_core::chat::Shape;

use super::{disorder, read, tongues::upstreams};
use crate::dialect::Framing;

/// The same stream as other servers send it.
fn variants(framing: Framing, stream: &str) -> Vec<String> {
    let cut_short = stream.trim_end();
    let with_crlf = stream.replace('\n', "\r\n");
    match framing {
        Framing::Sse => vec![
            stream.to_owned(),
            with_crlf,
            stream.replace('\n', "\r"),
            format!("\u{feff}{stream}"),
            stream.replace("\n\n", "\n\n: a comment\n\n"),
            stream.replace("data: ", "id: 7\nretry: 3\ndata:"),
            // One JSON text in two lines of data.
            stream.replace("data: {", "data: {\ndata: "),
            format!("{cut_short}\n"),
            cut_short.to_owned(),
        ],
        Framing::Ndjson => vec![stream.to_owned(), with_crlf, stream.replace('\n', "\n\n"), cut_short.to_owned()],
    }
}

#[test]
fn a_stream_is_the_same_wherever_it_is_cut() {
    for (language, said) in upstreams() {
        let sound = read(language, Shape::Stream, [said.stream.as_bytes()]).unwrap();
        assert_eq!(disorder(&sound), None, "{}", language.name());
        for (variant, stream) in variants(language.framing(), said.stream).into_iter().enumerate() {
            let bytes = stream.as_bytes();
            assert_eq!(read(language, Shape::Stream, [bytes]).unwrap(), sound, "{stream}");
            // The rest is cut at every byte at once.
            for cut in (0..=bytes.len()).filter(|_| variant < 2) {
                let (one, two) = bytes.split_at(cut);
                let events = read(language, Shape::Stream, [one, two]).unwrap();
                assert_eq!(events, sound, "{} cut at {cut}: {stream}", language.name());
            }
            for size in 1..4 {
                let events = read(language, Shape::Stream, bytes.chunks(size)).unwrap();
                assert_eq!(events, sound, "{} in chunks of {size}: {stream}", language.name());
            }
        }
    }
}
