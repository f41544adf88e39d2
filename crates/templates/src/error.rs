//! Why a rendering did not happen. Nothing was rendered then: there is no half result.

use std::path::PathBuf;
use std::time::Duration;

/// The reason why templates can't be used or rendered, with its place. No variant holds a value, a token or rendered text: only
/// names, lines and the template's own source.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A variable that does not exist, or an attribute that a value does not have.
    #[error("{template}, line {line}: there is no variable `{variable}`; correct the name or remove it")]
    UnknownVariable {
        /// Which template: `worker/SOUL.md`, the path of a user's file, or `agent's own SOUL.md`.
        template: String,
        /// Its line, from 1.
        line: usize,
        /// The expression that has no value.
        variable: String,
    },
    /// The template is not well-formed.
    #[error("{template}, line {line}: {why}")]
    Syntax {
        /// Which template.
        template: String,
        /// Its line, from 1.
        line: usize,
        /// The expectation of the parser.
        why: String,
    },
    /// The template is well-formed but asks for something impossible (an unknown filter, a sum of texts...).
    #[error("{template}, line {line}: `{expression}`: {why}")]
    Failed {
        /// Which template.
        template: String,
        /// Its line, from 1.
        line: usize,
        /// The piece of template source.
        expression: String,
        /// The kind of failure.
        why: String,
    },
    /// The template is made of something that is not offered here, because its work could not be bounded.
    #[error("{template}, line {line}: {why}")]
    NotOffered {
        /// Which template.
        template: String,
        /// Its line, from 1.
        line: usize,
        /// The refused construct, and its replacement.
        why: &'static str,
    },
    /// The engine panicked: a fault of it, not of this program.
    #[error("{template}: the template engine failed on it; make the template simpler")]
    Engine {
        /// Which template.
        template: String,
    },
    /// The template does more work than [`MAX_WORK`](crate::MAX_WORK).
    #[error("{template}, line {line}: does too much work; shorten its loops")]
    TooMuchWork {
        /// Which template.
        template: String,
        /// The line where the budget ended, from 1.
        line: usize,
    },
    /// The template or its rendered text is too large.
    #[error("{template}: {what} is larger than {limit}; shorten it")]
    TooLarge {
        /// Which template.
        template: String,
        /// The template, a tag in it, or its rendered text.
        what: &'static str,
        /// The bound, with its unit.
        limit: String,
    },
    /// A value that must not be written. The value itself is not shown.
    #[error("the value of `{variable}` {why}; correct the record")]
    BadValue {
        /// The variable.
        variable: &'static str,
        /// The problem.
        why: &'static str,
    },
    /// A file or folder of the user's templates could not be read.
    #[error("cannot read {}", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A link in the user's folder that leads out of it.
    #[error("{} is a link that leads out of the folder of templates; put a copy of the file in its place", path.display())]
    Outside {
        /// The link.
        path: PathBuf,
    },
    /// A file that overrides nothing: most likely a misspelt name.
    #[error("{} overrides no template; allowed here: {allowed}", path.display())]
    UnknownFile {
        /// Which one.
        path: PathBuf,
        /// The names that are allowed in its folder.
        allowed: String,
    },
    /// The rendering, or the wait for its turn, took too long.
    #[error("rendering took longer than {} s; try again when the machine has less to do", limit.as_secs())]
    Late {
        /// The bound.
        limit: Duration,
    },
    /// The system gave no thread to work on a user's template.
    #[error("no thread to render in; try again when the machine has room")]
    NoThread(#[source] std::io::Error),
}
