//! One connection out of several addresses: the first that takes it.
//!
//! As in RFC 8305 ("happy eyeballs"), section 4 and 5: the families take turns, and the next address is tried when the one before it
//! has failed, or has not answered for a while. So an address that swallows packets costs 250 ms, and not the connection.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::sleep;

/// How long an address is waited for before the next one is tried beside it: the value that RFC 8305 recommends.
pub(super) const STAGGER: Duration = Duration::from_millis(250);

/// Addresses that are tried: all begin within 4 s, which leaves the last one some seconds of the time for TCP.
pub(super) const MOST_ADDRESSES: usize = 16;

/// The addresses in the order in which they are tried: that of the resolver, but for the families, which take turns.
fn in_turns(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    let (mut same, mut other): (Vec<_>, Vec<_>) = addresses
        .iter()
        .copied()
        .partition(|address| address.is_ipv4() == first.is_ipv4());
    same.reverse();
    other.reverse();
    let mut order = Vec::new();
    while order.len() < MOST_ADDRESSES && !(same.is_empty() && other.is_empty()) {
        order.extend(same.pop());
        order.extend(other.pop());
    }
    order.truncate(MOST_ADDRESSES);
    order
}

/// Opens a connection to the first address that takes it; the attempts at others are dropped.
///
/// # Errors
/// The last address's error, when none takes it.
pub(super) async fn first_of<S, F>(addresses: &[SocketAddr], dial: impl Fn(SocketAddr) -> F) -> io::Result<S>
where
    F: Future<Output = io::Result<S>>,
{
    let mut waiting = in_turns(addresses).into_iter();
    let mut attempts = FuturesUnordered::new();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        match waiting.next() {
            Some(address) => attempts.push(dial(address)),
            None if attempts.is_empty() => return Err(error),
            None => {}
        }
        let mut next = pin!(sleep(STAGGER));
        tokio::select! {
            biased;
            Some(ended) = attempts.next() => match ended {
                Ok(stream) => return Ok(stream),
                Err(failed) => error = failed,
            },
            () = &mut next, if waiting.len() > 0 => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock as _;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    /// How an address takes a connection: after so many milliseconds, or never.
    #[derive(Clone, Copy)]
    enum Takes {
        After(u64),
        Refuses,
        Never,
    }

    /// Which address is connected, and after how long.
    async fn race(addresses: &[(&str, Takes)]) -> (io::Result<SocketAddr>, u128) {
        let clock = crate::TokioClock::start();
        let start = clock.now();
        let all: Vec<_> = addresses.iter().map(|(text, _)| address(text)).collect();
        let dial = |dialled: SocketAddr| {
            let takes = addresses.iter().find(|(text, _)| address(text) == dialled).unwrap().1;
            async move {
                match takes {
                    Takes::After(ms) => sleep(Duration::from_millis(ms)).await,
                    Takes::Refuses => return Err(io::ErrorKind::ConnectionRefused.into()),
                    Takes::Never => std::future::pending().await,
                }
                Ok(dialled)
            }
        };
        let first = first_of(&all, dial).await;
        (first, (clock.now() - start).as_millis())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_swallows_all_costs_a_quarter_of_a_second() {
        let (first, took) = race(&[("[2001:db8::1]:80", Takes::Never), ("192.0.2.1:80", Takes::After(30))]).await;
        assert_eq!((first.unwrap(), took), (address("192.0.2.1:80"), 280));
    }

    #[tokio::test(start_paused = true)]
    async fn the_families_take_turns_so_that_three_dead_addresses_of_one_cost_no_more_than_one() {
        let dead = ["[2001:db8::1]:80", "[2001:db8::2]:80", "[2001:db8::3]:80"].map(|text| (text, Takes::Never));
        let addresses = [dead[0], dead[1], dead[2], ("192.0.2.1:80", Takes::After(0))];
        let (first, took) = race(&addresses).await;
        assert_eq!((first.unwrap(), took), (address("192.0.2.1:80"), 250));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_refuses_costs_no_time_and_a_slow_one_may_still_win() {
        let addresses = [
            ("192.0.2.1:80", Takes::Refuses),
            ("192.0.2.2:80", Takes::After(400)),
            ("192.0.2.3:80", Takes::Never),
        ];
        let (first, took) = race(&addresses).await;
        assert_eq!((first.unwrap(), took), (address("192.0.2.2:80"), 400));
    }

    #[tokio::test(start_paused = true)]
    async fn where_no_address_takes_it_the_error_comes_with_the_last_of_them() {
        let addresses = [("192.0.2.1:80", Takes::Refuses), ("192.0.2.2:80", Takes::Refuses)];
        let (first, took) = race(&addresses).await;
        assert_eq!((first.unwrap_err().kind(), took), (io::ErrorKind::ConnectionRefused, 0));
        assert_eq!(race(&[]).await.0.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn no_more_addresses_are_tried_than_there_is_time_for() {
        let many: Vec<_> = (0..100).map(|n| SocketAddr::from(([192, 0, 2, n], 80))).collect();
        assert_eq!(in_turns(&many), many[..MOST_ADDRESSES]);
    }
}
