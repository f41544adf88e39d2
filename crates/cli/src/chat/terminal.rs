//! How the terminal was, and how it is to be left.

use std::io::{Write as _, stdin, stdout};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

/// Ends the mode in which pasted text is marked.
const NO_PASTE_MARKS: &[u8] = b"\x1b[?2004l";

/// The terminal as it was; it becomes so again when this is dropped, wherever the program ends.
pub(crate) struct Terminal(Option<Termios>);

impl Terminal {
    pub(crate) fn of_stdin() -> Self {
        Self(tcgetattr(stdin()).ok())
    }

    /// Shows nothing of what is typed: it would stand in the middle of an answer. It is not lost, the next prompt has it.
    pub(crate) fn quiet(&self) {
        if let Some(mut modes) = self.0.clone() {
            modes.local_modes.remove(LocalModes::ECHO);
            set(&modes);
        }
    }

    /// As it was.
    pub(crate) fn restore(&self) {
        if let Some(modes) = &self.0 {
            set(modes);
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if self.0.is_some() {
            self.restore();
            let _ = stdout().write_all(NO_PASTE_MARKS).and_then(|()| stdout().flush());
        }
    }
}

fn set(modes: &Termios) {
    // A terminal that is gone needs no modes.
    let _ = tcsetattr(stdin(), OptionalActions::Drain, modes);
}
