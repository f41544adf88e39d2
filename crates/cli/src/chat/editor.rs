//! The line that is typed on. It is edited on a thread of its own, and notices are shown above it.

use std::io;

use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter as _};
use windlass_line::threads;

use crate::exit::Failure;
use crate::interrupts::Interrupts;
use crate::output::DIM;
use crate::turn::Notices;

/// What stands before the line. Without colours: its width is counted.
const PROMPT: &str = "> ";

/// Lines that can be called back; they are kept in memory only.
const REMEMBERED: usize = 500;

/// What was typed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    Line(String),
    /// Ctrl-C, with the line thrown away.
    Interrupted,
    /// Ctrl-D.
    Ended,
    /// The process is to end.
    Told,
}

/// A line editor.
pub(crate) struct Editor {
    /// Nothing while it is on its thread.
    editor: Option<DefaultEditor>,
    print: Box<dyn FnMut(String) + Send>,
}

impl Editor {
    pub(crate) fn open() -> Result<Self, Failure> {
        let config = Config::builder()
            .max_history_size(REMEMBERED)
            .map_err(failed)?
            .auto_add_history(true)
            .build();
        let mut editor = DefaultEditor::with_config(config).map_err(failed)?;
        // A terminal without the means for it shows no notices while somebody types.
        let mut printer = editor.create_external_printer().ok();
        let print = move |text| {
            if let Some(printer) = &mut printer {
                // A terminal that is gone shows at the next line.
                let _ = printer.print(text);
            }
        };
        Ok(Self {
            editor: Some(editor),
            print: Box::new(print),
        })
    }

    /// Reads a line; what happens to the gateway's line meanwhile is shown above it.
    pub(crate) async fn read(&mut self, notices: &mut Notices, interrupts: &mut Interrupts) -> Result<Typed, Failure> {
        let Some(mut editor) = self.editor.take() else {
            return Ok(Typed::Told);
        };
        let mut reading = threads::detached("editor", move || {
            let typed = editor.readline(PROMPT);
            (editor, typed)
        })?;
        let read = loop {
            tokio::select! {
                read = &mut reading => break read,
                notice = notices.next() => (self.print)(format!("{DIM}-- {notice}{DIM:#}\n")),
                // Ctrl-C is a key here; a signal comes from elsewhere.
                _ = interrupts.next() => return Ok(Typed::Told),
            }
        };
        let (editor, typed) = read.map_err(io::Error::other)?;
        self.editor = Some(editor);
        match typed {
            Ok(line) => Ok(Typed::Line(line)),
            Err(ReadlineError::Interrupted) => Ok(Typed::Interrupted),
            Err(ReadlineError::Eof) => Ok(Typed::Ended),
            Err(error) => Err(failed(error)),
        }
    }
}

fn failed(error: ReadlineError) -> Failure {
    Failure::Output(match error {
        ReadlineError::Io(error) => error,
        other => io::Error::other(other),
    })
}
