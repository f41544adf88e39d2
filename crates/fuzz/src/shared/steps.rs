//! Bytes as a list of steps: state machines are driven by what may happen to them, not by texts.

use arbitrary::{Arbitrary, Unstructured};

/// Most steps of one input: longer ones repeat what shorter ones show.
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
