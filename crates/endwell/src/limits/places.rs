//! How many connections are open, and how many of each client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Requests that every connection may have under way, as long as there is any room: what a
/// browser asks for at once over HTTP/1, with two to spare.
const FEW: usize = 8;

/// Counts the open connections of one server, or of several that share it.
#[derive(Debug, Default)]
pub(crate) struct Places {
    open: AtomicUsize,
    requests: AtomicUsize,
    limit: AtomicUsize,
    freed: Notify,
    clients: Mutex<HashMap<IpAddr, usize>>,
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) late: AtomicU64,
    pub(crate) idle: AtomicU64,
}

/// The place of one open connection; its drop frees it.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    client: Option<IpAddr>,
}

impl Places {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        let places = Self::default();
        places.limit.store(limit, Ordering::Release);
        Arc::new(places)
    }

    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Release);
        self.freed.notify_waiters();
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    /// A connection was closed because its head did not come in time.
    pub(crate) fn count_late(&self) {
        self.late.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed because no further request came.
    pub(crate) fn count_idle(&self) {
        self.idle.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether no more connections are accepted.
    pub(crate) fn is_full(&self) -> bool {
        self.open() >= self.limit.load(Ordering::Acquire)
    }

    /// Waits until a connection may be accepted.
    pub(crate) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            let mut freed = std::pin::pin!(freed);
            // Before the look: what is freed after it is not missed.
            freed.as_mut().enable();
            if !self.is_full() {
                return;
            }
            freed.await;
        }
    }

    /// Takes a place for a connection; `None` if its client has as many as it may have.
    ///
    /// The limit of all is kept by [`Places::room`] before: listeners that share it may each
    /// exceed it by one.
    pub(crate) fn take(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        per_client: Option<usize>,
    ) -> Option<Place> {
        let client = client.map(network);
        if let Some(client) = client {
            let mut clients = self.clients();
            let open = clients.entry(client).or_default();
            if per_client.is_some_and(|limit| *open >= limit) {
                if *open == 0 {
                    clients.remove(&client);
                }
                self.refused.fetch_add(1, Ordering::Relaxed);
                return None;
            }
            *open += 1;
        }
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::AcqRel);
        Some(Place {
            places: Arc::clone(self),
            client,
        })
    }

    /// Whether the next place of a client may be its last, or it has one already.
    #[cfg(feature = "http3")]
    pub(crate) fn is_scarce(&self, client: IpAddr, per_client: Option<usize>) -> bool {
        per_client.is_some_and(|limit| limit <= 1 || self.clients().contains_key(&network(client)))
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::Acquire)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// A request has come to a connection that has so many under way; `false` if it is one too
    /// many.
    pub(crate) fn begin_request(&self, here: usize, limit: usize) -> bool {
        let all = self.places.requests.fetch_add(1, Ordering::AcqRel) + 1;
        let admitted = all <= limit / 2 || (all <= limit && here <= FEW);
        if !admitted {
            self.end_request();
        }
        admitted
    }

    /// Nothing is left of a request.
    pub(crate) fn end_request(&self) {
        self.places.requests.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(client) = self.client {
            let mut clients = self.places.clients();
            if let Some(open) = clients.get_mut(&client) {
                *open -= 1;
                if *open == 0 {
                    clients.remove(&client);
                }
            }
        }
        let was_full = self.places.is_full();
        self.places.open.fetch_sub(1, Ordering::AcqRel);
        if was_full {
            self.places.freed.notify_waiters();
        }
    }
}

/// What one client has to itself: an IPv4 address, or the network of 64 bits that a provider
/// gives each customer on IPv6.
fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = address.to_bits() & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(places: &Arc<Places>, client: &str, limit: usize) -> Option<Place> {
        places.take(Some(client.parse().unwrap()), Some(limit))
    }

    #[test]
    fn a_client_is_an_address_or_a_network_of_64_bits() {
        let places = Places::new(9);
        let first = take(&places, "192.0.2.1", 1);
        assert!(first.is_some());
        assert!(take(&places, "192.0.2.1", 1).is_none());
        assert!(take(&places, "::ffff:192.0.2.1", 1).is_none());
        let second = take(&places, "2001:db8::1", 1);
        assert!(second.is_some());
        assert!(take(&places, "2001:db8::ffff:0:0:1", 1).is_none());
        let third = take(&places, "2001:db8:0:1::1", 1);
        assert!(third.is_some() && places.open() == 3);
        drop((first, second, third));
        assert_eq!((places.open(), places.clients().len()), (0, 0));
        assert!(take(&places, "192.0.2.1", 0).is_none());
        assert_eq!(places.clients().len(), 0, "a refused client is not kept");
    }

    #[test]
    fn who_asks_for_much_leaves_room() {
        let places = Places::new(9);
        let place = places.take(None, None).unwrap();
        for here in 1..=50 {
            assert!(place.begin_request(here, 100), "{here}");
        }
        assert!(!place.begin_request(9, 100));
        assert!(place.begin_request(8, 100));
        assert!(!place.begin_request(1, 51));
        assert_eq!(places.requests(), 51);
        (0..51).for_each(|_| place.end_request());
        assert_eq!(places.requests(), 0);
    }

    #[tokio::test]
    async fn who_waits_for_room_gets_what_is_freed_or_added() {
        let places = Places::new(1);
        let first = places.take(None, None).unwrap();
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.room().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
        let _second = places.take(None, None).unwrap();
        let waiting = tokio::spawn({
            let places = Arc::clone(&places);
            async move { places.room().await }
        });
        tokio::task::yield_now().await;
        places.set_limit(2);
        waiting.await.unwrap();
    }
}
