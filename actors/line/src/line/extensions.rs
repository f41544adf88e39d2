//! Values that other crates keep for a line.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

/// One value for each type. A list and not a map: there is one type at present.
#[derive(Default)]
pub(super) struct Extensions(Mutex<Vec<Arc<dyn Any + Send + Sync>>>);

impl Extensions {
    /// The value of this type, made if there is none yet.
    pub(super) fn get<T: Default + Send + Sync + 'static>(&self) -> Arc<T> {
        // Only ever appended to, in one step.
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = values.iter().find_map(|value| Arc::clone(value).downcast().ok());
        known.unwrap_or_else(|| {
            let made = Arc::new(T::default());
            values.push(Arc::clone(&made) as Arc<dyn Any + Send + Sync>);
            made
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32};

    use super::*;

    #[test]
    fn each_type_has_one_value() {
        let extensions = Extensions::default();
        let first = extensions.get::<AtomicU32>();
        assert!(Arc::ptr_eq(&first, &extensions.get::<AtomicU32>()));
        let _ = extensions.get::<AtomicBool>();
        assert!(Arc::ptr_eq(&first, &extensions.get::<AtomicU32>()));
    }
}
