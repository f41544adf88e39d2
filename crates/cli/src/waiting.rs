//! A sign of life while something takes its time.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::output::Output;

/// Between two turns of the sign.
const TURN: Duration = Duration::from_millis(120);

/// A turning sign on the terminal, with words and the time that it takes. Gone when it is dropped; nothing where nobody looks.
#[derive(Debug)]
pub(crate) struct Waiting(Option<ProgressBar>);

impl Waiting {
    pub(crate) fn new(output: &Output, words: &str) -> Self {
        let draws = !output.json() && std::io::stderr().is_terminal();
        Self(draws.then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg} {elapsed:.dim}");
            let bar = ProgressBar::new_spinner()
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
                .with_message(words.to_owned());
            bar.enable_steady_tick(TURN);
            bar
        }))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(bar) = self.0.take() {
            bar.finish_and_clear();
        }
    }
}
