//! Hellos of gateways, kept once for all lines with equal ones.

use std::cell::RefCell;
use std::sync::{Arc, Weak};

use windlass_protocol::Features;

/// Different features that are looked through. A fleet has a handful of releases; beyond this a line keeps its own.
const MAX_KNOWN: usize = 32;

/// The features of the gateways that a shard's lines lead to: 466 names of methods on 2026.9.6, 40 kB.
#[derive(Debug, Default)]
pub(crate) struct KnownFeatures(RefCell<Vec<Weak<Features>>>);

impl KnownFeatures {
    /// The same features as `heard`: those of another line if one has heard the same, else these.
    pub(crate) fn share(&self, heard: Arc<Features>) -> Arc<Features> {
        let mut known = self.0.borrow_mut();
        known.retain(|features| features.strong_count() > 0);
        let same = known
            .iter()
            .filter_map(Weak::upgrade)
            .find(|features| *features == heard);
        if let Some(same) = same {
            return same;
        }
        if known.len() < MAX_KNOWN {
            known.push(Arc::downgrade(&heard));
        }
        heard
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(method: &str) -> Arc<Features> {
        Arc::new(Features {
            methods: Some(vec![method.to_owned()]),
            ..Features::default()
        })
    }

    #[test]
    fn lines_that_hear_the_same_share_it_and_what_nobody_keeps_is_forgotten() {
        let known = KnownFeatures::default();
        let first = known.share(features("a"));
        assert!(Arc::ptr_eq(&first, &known.share(features("a"))));
        let other = known.share(features("b"));
        assert!(!Arc::ptr_eq(&first, &other));
        drop((first, other));
        let _ = known.share(features("c"));
        assert_eq!(known.0.borrow().len(), 1);
    }
}
