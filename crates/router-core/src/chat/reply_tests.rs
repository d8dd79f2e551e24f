//! How a reply is watched and paced.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{advance, sleep};

use super::*;

/// One text after each of the gaps, in seconds, then the end or an error.
fn reply(gaps: &'static [u64], error: Option<Kind>) -> ChatReply {
    let texts = stream::iter(gaps).then(|gap| async move {
        sleep(Duration::from_secs(*gap)).await;
        Ok(Event::Text("x".into()))
    });
    let error = stream::iter(error.map(|kind| Err(Error::new(kind, "broken"))));
    ChatReply::events(Shape::Stream, texts.chain(error))
}

/// The reply, watched, and what the watch heard.
fn watched(reply: ChatReply) -> (ChatReply, Arc<Mutex<Vec<End>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let ends = Arc::clone(&heard);
    (reply.watch(Box::new(move |end| ends.lock().push(end))), heard)
}

fn pace(idle: Option<u64>, end: Option<(u64, Kind)>) -> Pace {
    let idle = idle.map(Duration::from_secs);
    Pace { idle, end: end.map(|(end, kind)| (Instant::now() + Duration::from_secs(end), kind)) }
}

async fn read(reply: ChatReply) -> Result<usize, Kind> {
    let frames: Vec<_> = reply.collect().await;
    frames.into_iter().collect::<Result<Vec<_>>>().map(|frames| frames.len()).map_err(|error| error.kind())
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_told_once_how_it_ended() {
    let (mut whole, heard) = watched(reply(&[0, 1], None));
    while whole.next().await.is_some() {}
    assert!(whole.next().await.is_none(), "and it can be asked again");
    drop(whole);
    assert_eq!(*heard.lock(), [End::Complete(Usage::default())]);

    let (broken, heard) = watched(reply(&[0], Some(Kind::Protocol)));
    assert_eq!(read(broken).await, Err(Kind::Protocol));
    assert_eq!(*heard.lock(), [End::Broken(Kind::Protocol, Usage::default())]);

    let (mut dropped, heard) = watched(reply(&[0, 1], None));
    dropped.next().await.unwrap().unwrap();
    drop(dropped);
    assert_eq!(*heard.lock(), [End::Dropped(Usage::default())]);
}

#[tokio::test(start_paused = true)]
async fn what_was_used_until_a_reply_was_cut_is_told() {
    let used = Usage { input: 7, output: 1, ..Usage::default() };
    let begun = || {
        let told = stream::iter([Ok(Event::Usage(used)), Ok(Event::Text("x".into()))]);
        let cut = stream::iter([Err(Error::new(Kind::Protocol, "cut"))]);
        watched(ChatReply::events(Shape::Stream, told.chain(cut)))
    };
    let (broken, heard) = begun();
    assert_eq!(read(broken).await, Err(Kind::Protocol));
    assert_eq!(*heard.lock(), [End::Broken(Kind::Protocol, used)]);

    let (mut dropped, heard) = begun();
    dropped.next().await.unwrap().unwrap();
    drop(dropped);
    assert_eq!(*heard.lock(), [End::Dropped(used)]);
}

#[tokio::test(start_paused = true)]
async fn whoever_watches_hears_after_the_upstream_was_let_go() {
    let upstream = Arc::new(());
    let held = Arc::clone(&upstream);
    let endless = stream::pending().map(move |(): ()| {
        let _ = &held;
        Ok(Event::Close)
    });
    let holders = Arc::new(Mutex::new(None));
    let seen = Arc::clone(&holders);
    let count = move |_| *seen.lock() = Some(Arc::strong_count(&upstream));
    drop(ChatReply::events(Shape::Stream, endless).watch(Box::new(count)));
    assert_eq!(*holders.lock(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn usage_is_the_last_one_told() {
    let usage = |output| Usage { input: 3, output, ..Usage::default() };
    let events = [1, 7].map(|output| Ok(Event::Usage(usage(output))));
    let (reply, heard) = watched(ChatReply::events(Shape::Stream, stream::iter(events)));
    assert_eq!(read(reply).await, Ok(2));
    assert_eq!(*heard.lock(), [End::Complete(usage(7))]);
}

#[tokio::test(start_paused = true)]
async fn a_pace_is_kept_or_breaks_the_reply() {
    const GAPS: &[u64] = &[0, 2, 2, 4];
    let cases = [
        (None, None, Ok(4), 8),
        (Some(5), None, Ok(4), 8),
        (Some(3), None, Err(Kind::Timeout), 7),
        (Some(3), Some((9, Kind::Timeout)), Err(Kind::Timeout), 7),
        (Some(5), Some((6, Kind::Deadline)), Err(Kind::Deadline), 6),
        (None, Some((0, Kind::Protocol)), Err(Kind::Protocol), 0),
    ];
    for (idle, end, expected, after) in cases {
        let (started, (reply, heard)) = (Instant::now(), watched(reply(GAPS, None)));
        assert_eq!(read(reply.paced(pace(idle, end))).await, expected, "{idle:?} {end:?}");
        assert_eq!(started.elapsed().as_secs(), after, "{idle:?} {end:?}");
        let told =
            expected.map_or_else(|kind| End::Broken(kind, Usage::default()), |_| End::Complete(Usage::default()));
        assert_eq!(*heard.lock(), [told], "{idle:?} {end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_narrower_pace_wins() {
    let both = reply(&[0, 4], None).paced(pace(Some(9), Some((2, Kind::Deadline)))).paced(pace(Some(3), None));
    assert_eq!(read(both).await, Err(Kind::Deadline));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_no_silence() {
    let mut reply = reply(&[0, 1, 1], None).paced(pace(Some(3), None));
    reply.next().await.unwrap().unwrap();
    advance(Duration::from_mins(1)).await;
    assert_eq!(read(reply).await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_total_time_ends_also_a_stream_that_never_pauses() {
    let busy = stream::repeat_with(|| Ok(Event::Text("x".into()))).then(|event| async {
        advance(Duration::from_millis(100)).await;
        event
    });
    let mut reply = ChatReply::events(Shape::Stream, busy).paced(pace(None, Some((1, Kind::Timeout))));
    let mut frames = 0;
    while reply.next().await.unwrap().is_ok() {
        frames += 1;
    }
    assert_eq!(frames, 9);
}
