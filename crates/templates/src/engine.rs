//! The template engine with its bounds, and its errors in our words.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::ValueKind;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value, escape_formatter};

use crate::error::TemplateError;
use crate::grammar::{self, check_source};

/// The longest rendered text, in UTF-16 units (gateways count that way). Three of them and their headings fit into one
/// file or scratch ([`MAX_FILE`](crate::MAX_FILE)), which merged layouts need.
pub const MAX_RENDERED: usize = 60_000;

/// The work that one rendering may do, in the engine's fuel: about as many instructions, or 64 bytes of text for each.
/// A shipped template takes some hundreds. It bounds time (milliseconds) and memory (about 1.3 MB) of a user's text.
pub const MAX_WORK: u64 = 20_000;

/// How deep includes and blocks may nest, in the engine's count (an include counts ten): a template that includes
/// itself ends long before the stack does.
const MAX_DEPTH: usize = 120;

/// The longest piece of template source that an error repeats, in characters.
const MAX_EXCERPT: usize = 120;

/// Compiled templates, by name.
pub(crate) struct Engine {
    environment: Environment<'static>,
    /// The names that errors show for templates with another name here.
    shown: BTreeMap<String, String>,
}

impl Engine {
    pub(crate) fn new() -> Self {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(MAX_WORK));
        environment.set_recursion_limit(MAX_DEPTH);
        // Errors then know the expression; they are translated here, and the values they carry are dropped.
        environment.set_debug(true);
        environment.set_syntax(syntax());
        environment.add_filter("quoted", quoted);
        for name in grammar::NO_FUNCTIONS {
            environment.remove_global(name);
        }
        for name in grammar::NO_FILTERS {
            environment.remove_filter(name);
        }
        environment.set_formatter(|out, state, value: &Value| {
            if value.kind() == ValueKind::Bool {
                Ok(out.write_str(if value.is_true() { "true" } else { "false" })?)
            } else {
                escape_formatter(out, state, value)
            }
        });
        Self {
            environment,
            shown: BTreeMap::new(),
        }
    }

    /// Adds or replaces a template; errors call it `shown`.
    pub(crate) fn add(&mut self, name: &str, shown: &str, source: String) -> Result<(), TemplateError> {
        check_source(shown, &source, syntax())?;
        self.shown.insert(name.to_owned(), shown.to_owned());
        let added = self.environment.add_template_owned(name.to_owned(), source);
        added.map_err(|error| self.explain(shown, &error))
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.shown.contains_key(name)
    }

    /// Renders a template that was added.
    pub(crate) fn render(&self, name: &str, values: &Value) -> Result<String, TemplateError> {
        let shown = self.shown.get(name).map_or(name, String::as_str);
        self.finished(shown, || {
            self.environment
                .get_template(name)
                .and_then(|template| template.render(values.clone()))
        })
    }

    /// Renders a text that is not a file.
    pub(crate) fn render_text(&self, shown: &str, source: &str, values: &Value) -> Result<String, TemplateError> {
        check_source(shown, source, syntax())?;
        self.finished(shown, || {
            self.environment.render_named_str(shown, source, values.clone())
        })
    }

    /// Lets the engine work. It has panicked on some templates (a slice with the smallest integer as its step, where overflows
    /// are checked); nothing of ours is changed while it works, so nothing is left half done.
    fn finished(
        &self,
        shown: &str,
        work: impl FnOnce() -> Result<String, minijinja::Error>,
    ) -> Result<String, TemplateError> {
        let rendered = catch_unwind(AssertUnwindSafe(work)).map_err(|_| TemplateError::Engine {
            template: shown.to_owned(),
        })?;
        finish(shown, &rendered.map_err(|error| self.explain(shown, &error))?)
    }

    fn explain(&self, shown: &str, error: &minijinja::Error) -> TemplateError {
        let error = innermost(error);
        let name = error.name().unwrap_or(shown);
        let template = self.shown.get(name).map_or(name, String::as_str).to_owned();
        let line = error.line().unwrap_or(1);
        match error.kind() {
            ErrorKind::SyntaxError | ErrorKind::InvalidDelimiter => {
                let why = error.detail().unwrap_or("is not well-formed");
                TemplateError::Syntax {
                    template,
                    line,
                    why: shortened(why),
                }
            }
            ErrorKind::OutOfFuel => TemplateError::TooMuchWork { template, line },
            kind => match undefined_name(error) {
                Some(variable) => TemplateError::UnknownVariable {
                    template,
                    line,
                    variable,
                },
                None => TemplateError::Failed {
                    template,
                    line,
                    expression: excerpt(error),
                    why: kind.to_string(),
                },
            },
        }
    }
}

/// Lines that hold only a statement leave no line behind.
fn syntax() -> SyntaxConfig {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build();
    syntax.expect("the delimiters are the default ones")
}

/// Each line as a Markdown quotation, where it can be no heading and no `KEY=value` line of ours.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.lines() {
        let _ = writeln!(out, "{}", format!("> {line}").trim_end());
    }
    out.truncate(out.trim_end().len());
    out
}

/// Trims the blanks around the text; it ends with one line break, or is empty.
fn finish(shown: &str, rendered: &str) -> Result<String, TemplateError> {
    let trimmed = rendered.trim_start_matches(['\n', '\r']).trim_end();
    if trimmed.trim_start().is_empty() {
        return Ok(String::new());
    }
    fitting(shown, format!("{trimmed}\n"))
}

/// The text, unless it is too long for a file.
pub(crate) fn fitting(shown: &str, text: String) -> Result<String, TemplateError> {
    if text.encode_utf16().count() <= MAX_RENDERED {
        return Ok(text);
    }
    let limit = format!("{MAX_RENDERED} characters");
    Err(TemplateError::TooLarge {
        template: shown.to_owned(),
        what: "the rendered text",
        limit,
    })
}

/// An error inside an included template is the source of the including one's.
fn innermost(error: &minijinja::Error) -> &minijinja::Error {
    let mut inner = error;
    while let Some(next) = inner.source().and_then(|source| source.downcast_ref()) {
        inner = next;
    }
    inner
}

/// The expression that had no value. The engine reconstructs it from the template's source, so it holds no value; for
/// kinds of errors that could repeat values, only a text of the source is taken.
fn undefined_name(error: &minijinja::Error) -> Option<String> {
    let named = error.detail().and_then(|detail| {
        let before = &detail[..detail.rfind("` is undefined")?];
        Some(&before[before.rfind('`')? + 1..])
    });
    if error.kind() == ErrorKind::UndefinedError {
        return Some(named.map_or_else(|| excerpt(error), shortened));
    }
    named
        .filter(|name| error.template_source().is_some_and(|source| source.contains(name)))
        .map(shortened)
}

/// The piece of template source that failed.
fn excerpt(error: &minijinja::Error) -> String {
    let piece = error.range().and_then(|range| error.template_source()?.get(range));
    shortened(piece.unwrap_or("?").trim())
}

fn shortened(text: &str) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut short: String = chars.by_ref().take(MAX_EXCERPT).collect();
    if chars.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::TemplateContext;
    use crate::{TemplateRole, Variables, sources};

    #[test]
    fn shipped_templates_take_a_twentieth_of_the_work_at_most() {
        let mut engine = Engine::new();
        for (name, source) in sources::TEMPLATES {
            engine.add(name, name, source.to_owned()).unwrap();
        }
        let mut context = TemplateContext::of(TemplateRole::Lead, &Variables::default()).unwrap();
        for name in [
            "reference",
            "sender",
            "message",
            "channel",
            "correlation_id",
            "tags",
            "source",
        ] {
            context.line(name, "words").unwrap();
        }
        context.flag("has_bootstrap", true);
        let values = context.value();
        for (name, _) in sources::TEMPLATES {
            let rendered = engine
                .environment
                .get_template(name)
                .unwrap()
                .render_captured(values.clone())
                .unwrap();
            let (used, _) = rendered.state().fuel_levels().expect("fuel is set");
            assert!(used > 0 && used <= MAX_WORK / 20, "{name} uses {used}");
        }
    }
}
