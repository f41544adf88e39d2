//! What keeps a user's template from costing more than its author's own agent.
//!
//! Measured with the engine in use (3.1): it bounds nesting in parentheses and blocks by itself, but not chains. A text
//! of 64 KiB that holds one expression of 16 000 `not`, 65 000 `-` or 32 000 `.b` overflows a stack of 2 MiB and ends
//! the process; one of 32 000 `~` takes half a minute to compile, before any fuel counts. Hence a limit on the tokens of
//! one tag and on `elif` branches. What is left needs a few megabytes, so users' texts are worked on in a thread that has them.

use std::thread;

use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;

use crate::{TemplateError, grammar};

/// The largest template source, in bytes: as much as a record keeps of one.
pub const MAX_TEMPLATE: usize = 64 * 1024;

/// The most tokens that one `{{ }}` or `{% %}` may hold: a list of 150 items, or 300 signs in a chain, which need about
/// 1 MiB of stack in a debug build and a quarter of that in a release.
pub const MAX_TOKENS: usize = 300;

/// The most `elif` branches in a template, which nest in the engine's eyes.
pub const MAX_BRANCHES: usize = 100;

/// The stack of the thread that works on users' texts, in bytes: four times what the worst text found within the bounds
/// needs in a debug build. It is address space; only what is used becomes memory.
const STACK: usize = 16 * 1024 * 1024;

/// Refuses a source that is too large, that could exhaust stack or time while it is compiled, or that is made of what is not
/// offered.
pub(crate) fn check_source(shown: &str, source: &str, syntax: SyntaxConfig) -> Result<(), TemplateError> {
    let too_large = |what, limit| {
        Err(TemplateError::TooLarge {
            template: shown.to_owned(),
            what,
            limit,
        })
    };
    if source.len() > MAX_TEMPLATE {
        return too_large("the template", format!("{MAX_TEMPLATE} bytes"));
    }
    let (mut tokens, mut branches) = (0, 0);
    // What the lexer cannot read ends the count: the compiler then stops at the same place and says why.
    for (token, span) in tokenize(source, false, syntax.clone()).map_while(Result::ok) {
        match token {
            Token::TemplateData(_) | Token::VariableStart | Token::BlockStart => tokens = 0,
            Token::Ident("elif") => branches += 1,
            _ => tokens += 1,
        }
        if tokens > MAX_TOKENS {
            return too_large(
                "the tag",
                format!("{MAX_TOKENS} tokens (it ends on or after line {})", span.end_line),
            );
        }
        if branches > MAX_BRANCHES {
            return too_large("the number of elif", MAX_BRANCHES.to_string());
        }
    }
    grammar::check(source, syntax).map_err(|refused| TemplateError::NotOffered {
        template: shown.to_owned(),
        line: refused.line,
        why: refused.why,
    })
}

/// Does the work in a thread of its own with a known stack, and waits for it.
pub(crate) fn with_room<T: Send>(work: impl FnOnce() -> Result<T, TemplateError> + Send) -> Result<T, TemplateError> {
    thread::scope(|scope| {
        let room = thread::Builder::new()
            .name("windlass-templates".to_owned())
            .stack_size(STACK);
        let worker = room.spawn_scoped(scope, work).map_err(TemplateError::NoThread)?;
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
