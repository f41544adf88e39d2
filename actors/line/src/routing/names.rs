//! Names of events, kept once for all events that have them.

use std::cell::RefCell;
use std::sync::Arc;

use rustc_hash::FxHashSet;

/// Names that are kept. The releases measured have some forty each.
const MAX_NAMES: usize = 256;
/// Longest name that is kept, in bytes; theirs have at most 36.
const MAX_LENGTH: usize = 64;

/// The names of the events that the lines of a shard hear. An event with one of them needs no memory for its name.
#[derive(Debug, Default)]
pub(crate) struct EventNames(RefCell<FxHashSet<Arc<str>>>);

impl EventNames {
    /// This name, the same one each time.
    pub(crate) fn get(&self, name: &str) -> Arc<str> {
        let mut names = self.0.borrow_mut();
        if let Some(name) = names.get(name) {
            return Arc::clone(name);
        }
        let new: Arc<str> = name.into();
        if name.len() <= MAX_LENGTH {
            if names.len() >= MAX_NAMES {
                // A gateway that makes up names costs the others one new copy of theirs.
                names.clear();
            }
            names.insert(Arc::clone(&new));
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let names = EventNames::default();
        assert!(Arc::ptr_eq(&names.get("chat"), &names.get("chat")));
        assert_eq!(&*names.get("tick"), "tick");
        let long = "x".repeat(MAX_LENGTH + 1);
        assert!(!Arc::ptr_eq(&names.get(&long), &names.get(&long)));
    }

    #[test]
    fn made_up_names_do_not_pile_up() {
        let names = EventNames::default();
        for n in 0..10 * MAX_NAMES {
            names.get(&n.to_string());
            assert!(names.0.borrow().len() <= MAX_NAMES);
        }
    }
}
