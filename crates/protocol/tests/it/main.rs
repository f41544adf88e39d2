//! What holds for every frame that a gateway has been seen to send.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "helpers of tests: a panic is the failure, and what was seen is printed with it"
)]

mod corpus;
mod decoders;
mod errors;
mod frames;
mod one_decoder;
mod requests;
mod roster;
mod runs;
