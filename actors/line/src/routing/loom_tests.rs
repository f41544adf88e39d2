//! Subscribers and the line on two threads, in every order of their steps. loom reports a wait that nothing ends.

use std::sync::Arc;

use loom::future::block_on;
use loom::thread;
use windlass_protocol::Generation;

use super::queue::Queue;
use super::*;

fn marker() -> Marker {
    Marker::Disconnected {
        generation: Generation::new(1),
    }
}

/// The markers of a subscription until its end, and the items that it was told were dropped.
async fn rest(subscription: &mut Subscription) -> (u64, u64) {
    let (mut read, mut dropped) = (0, 0);
    while let Some(item) = subscription.next().await {
        match item {
            LineEvent::Marker(marker) => match *marker {
                Marker::Lagged(items) => dropped += items,
                _ => read += 1,
            },
            LineEvent::Event(_) => read += 1,
        }
    }
    (read, dropped)
}

#[test]
fn a_reader_that_waits_is_woken_by_each_item_and_by_the_end() {
    loom::model(|| {
        let router = Arc::new(Router::default());
        let mut subscription = router.subscribe(EventFilter::all(), 4);
        let line = {
            let router = Arc::clone(&router);
            thread::spawn(move || {
                router.mark(&marker());
                router.close();
            })
        };
        assert_eq!(block_on(rest(&mut subscription)), (1, 0));
        line.join().unwrap();
    });
}

#[test]
fn each_item_of_a_full_queue_is_read_or_counted_as_dropped() {
    loom::model(|| {
        let router = Arc::new(Router::default());
        let mut subscription = router.subscribe(EventFilter::all(), 1);
        let line = {
            let router = Arc::clone(&router);
            thread::spawn(move || {
                router.mark(&marker());
                router.mark(&marker());
                router.close();
            })
        };
        let (read, dropped) = block_on(rest(&mut subscription));
        assert_eq!(read + dropped, 2, "{read} read, {dropped} dropped");
        line.join().unwrap();
    });
}

#[test]
fn a_queue_that_was_abandoned_keeps_no_item() {
    loom::model(|| {
        let queue = Arc::new(Queue::new(4.into()));
        let line = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push_marker(marker(), Router::default().meter()))
        };
        queue.abandon();
        line.join().unwrap();
        assert!(!queue.push_marker(marker(), Router::default().meter()));
        assert_eq!(queue.len(), 0);
    });
}

#[test]
fn a_subscription_that_comes_while_the_line_closes_ends() {
    loom::model(|| {
        let router = Arc::new(Router::default());
        let line = {
            let router = Arc::clone(&router);
            thread::spawn(move || router.close())
        };
        let mut subscription = router.subscribe(EventFilter::all(), 4);
        assert_eq!(block_on(rest(&mut subscription)), (0, 0));
        line.join().unwrap();
        assert_eq!(router.len(), 0);
    });
}
