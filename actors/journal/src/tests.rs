//! The recorder under supervision: the cells of docs/supervision.md that need a panic in a chosen place.

mod supervised;
