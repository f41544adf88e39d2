//! Places at which a unit test makes the shard panic. In any other build they are nothing.

#[cfg(not(any(test, feature = "test-util")))]
#[inline]
pub const fn reach(_place: &'static str) {}

#[cfg(any(test, feature = "test-util"))]
pub use armed::{arm, reach};

#[cfg(any(test, feature = "test-util"))]
mod armed {
    use std::cell::RefCell;
    use std::collections::HashMap;

    thread_local! {
        /// How often each place still blows up. A test has its thread, and all that it runs, to itself.
        static ARMED: RefCell<HashMap<&'static str, u32>> = RefCell::default();
    }

    /// Panics, if a test wants it here.
    pub fn reach(place: &'static str) {
        let blows = ARMED.with_borrow_mut(|armed| match armed.get_mut(place) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        });
        assert!(!blows, "failpoint {place}");
    }

    /// Has the next so many passages of a place panic.
    pub fn arm(place: &'static str, times: u32) -> Armed {
        ARMED.with_borrow_mut(|armed| armed.insert(place, times));
        Armed(place)
    }

    /// Proof of the failpoints that went off.
    #[must_use = "a place that nobody passed proves nothing"]
    #[derive(Debug)]
    pub struct Armed(&'static str);

    impl Armed {
        /// How often the place has yet to blow up.
        pub fn left(&self) -> u32 {
            ARMED.with_borrow(|armed| armed[self.0])
        }

        /// Waits, in virtual time, until all have gone off.
        pub async fn gone_off(&self) {
            while self.left() > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        }
    }

    impl Drop for Armed {
        fn drop(&mut self) {
            ARMED.with_borrow_mut(|armed| armed.remove(self.0));
        }
    }
}
