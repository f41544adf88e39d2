//! Bytes as a list of steps: the input of a state machine is a list of events, not a text.

use arbitrary::{Arbitrary, Unstructured};

/// Most steps of one input. Longer inputs find nothing that shorter ones do not find.
pub(crate) const MOST: usize = 400;

/// The steps that these bytes stand for; every input is some list.
pub(crate) fn read<'a, S: Arbitrary<'a>>(data: &'a [u8]) -> impl Iterator<Item = S> {
    let mut source = Unstructured::new(data);
    std::iter::from_fn(move || {
        if source.is_empty() {
            None
        } else {
            S::arbitrary(&mut source).ok()
        }
    })
    .take(MOST)
}
