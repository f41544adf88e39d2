//! The templates of a fleet, and rendering with them.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use minijinja::Value;

use crate::content::{Content, Rendered, TemplateRole};
use crate::context::TemplateContext;
use crate::engine::Engine;
use crate::error::TemplateError;
use crate::sources::{self, CLEANUP, WAKE};
use crate::variables::Variables;
use crate::{engine, grammar};

/// The longest reference in a wake message, in bytes: a UUID and a prefix fit several times.
pub const MAX_REFERENCE: usize = 200;

/// The shipped templates, with a user's folder over them. Immutable; a clone shares them.
#[derive(Clone)]
pub struct Templates(Arc<TemplateSet>);

struct TemplateSet {
    engine: Engine,
    /// The template of each content: the name that the engine knows.
    names: BTreeMap<(TemplateRole, Content), String>,
    overridden: usize,
}

/// A replacement for a role's template, for one agent. A blank one counts as none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Override {
    /// The source of a template: text of the operator, because a template sees every variable, the token among them.
    Template(String),
    /// The text itself. It is never read as a template, and comes out unchanged.
    Text(String),
}

impl Override {
    fn is_blank(&self) -> bool {
        let (Self::Template(content) | Self::Text(content)) = self;
        content.trim().is_empty()
    }
}

/// An agent's own files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// In place of the role's IDENTITY.md template.
    pub identity: Option<Override>,
    /// In place of the role's SOUL.md template.
    pub soul: Option<Override>,
}

impl Overrides {
    /// Whether one of them is a template, which has to be worked on where it has room.
    fn hold_a_template(&self) -> bool {
        let all = [&self.identity, &self.soul];
        all.into_iter().any(|own| matches!(own, Some(Override::Template(_))))
    }
}

impl Templates {
    /// The templates that come with the program. They are compiled once in a process; this is cheap to call.
    ///
    /// # Panics
    ///
    /// Never: that the shipped templates compile is proven by every test of this crate.
    pub fn shipped() -> Self {
        static SHIPPED: LazyLock<Templates> = LazyLock::new(|| {
            Templates(Arc::new(
                Templates::load_shipped().expect("the shipped templates compile"),
            ))
        });
        SHIPPED.clone()
    }

    /// The shipped templates, with those of a folder in their place:
    ///
    /// * `<folder>/<role>/AGENTS.md.j2` for one role, before `<folder>/AGENTS.md.j2` for all (each of the eight);
    /// * `<folder>/shared/api.md.j2`, `routine`, `safety`: the pieces that the shipped AGENTS.md are made of;
    /// * `<folder>/messages/wake.j2`, `cleanup.j2`, and those of [`MessageKind`](crate::MessageKind): `nudge.j2`,
    ///   `ask-user.j2`, `lead-question.j2`, `lead-handoff.j2`, `onboarding.j2`.
    ///
    /// A template may include a shipped one by its name: `{% include "worker/SOUL.md" %}`. Names that begin with a dot
    /// are passed over. Links are followed as long as they stay within the folder.
    ///
    /// A template may use the variables ([`VARIABLE_NAMES`](crate::VARIABLE_NAMES)), conditions, loops, variables that it sets,
    /// literal lists of constants and variables, and the engine's filters on texts, numbers and such lists. It builds no
    /// lists of lists, repeats none, and takes no macros and imports: their work could not be bounded.
    ///
    /// # Errors
    ///
    /// When something cannot be read, has a name that overrides nothing, is too large or is not well-formed.
    pub fn with_folder(path: &Path) -> Result<Self, TemplateError> {
        let files = sources::read(path)?;
        let inner = grammar::with_room(move || {
            let mut inner = Self::load_shipped()?;
            files.iter().try_for_each(|file| inner.add(file))?;
            Ok(inner)
        })?;
        Ok(Self(Arc::new(inner)))
    }

    fn load_shipped() -> Result<TemplateSet, TemplateError> {
        let mut engine = Engine::new();
        for (name, source) in sources::TEMPLATES {
            engine.add(name, name, source.to_owned())?;
        }
        let mut names = BTreeMap::new();
        for role in TemplateRole::ALL {
            for content in Content::ALL {
                let own = format!("{role}/{content}");
                let name = if engine.contains(&own) {
                    own
                } else {
                    content.to_string()
                };
                names.insert((role, content), name);
            }
        }
        Ok(TemplateSet {
            engine,
            names,
            overridden: 0,
        })
    }

    /// Whether rendering with these works on text of a user, which may take some tenths of a second and 17 MB until its work is
    /// used up: not on a thread that has other things to do.
    pub fn work_on_users_text(&self, overrides: &Overrides) -> bool {
        self.0.overridden > 0 || overrides.hold_a_template()
    }

    /// Renders every content of an agent, BOOTSTRAP.md too: whether it is written, the caller decides when placing.
    /// Contents that render to nothing are left out.
    ///
    /// # Errors
    ///
    /// The first failure, and then nothing at all is rendered.
    pub fn render(
        &self,
        role: TemplateRole,
        variables: &Variables,
        overrides: &Overrides,
    ) -> Result<Rendered, TemplateError> {
        let values = TemplateContext::of(role, variables)?.value();
        self.0
            .with_room(overrides.hold_a_template(), || self.0.render(role, overrides, &values))
    }

    /// The greeting that wakes an agent. It always contains `reference`, by which the caller finds it in the session's
    /// history later: as the last line, `ref: <reference>`, unless a user's template shows it elsewhere.
    ///
    /// # Errors
    ///
    /// When the reference is empty, longer than [`MAX_REFERENCE`] or not on one line, or the template fails.
    pub fn wake_message(
        &self,
        role: TemplateRole,
        variables: &Variables,
        reference: &str,
        has_bootstrap: bool,
    ) -> Result<String, TemplateError> {
        if reference.is_empty() || reference.len() > MAX_REFERENCE {
            return Err(TemplateError::BadValue {
                variable: "reference",
                why: "is empty or too long",
            });
        }
        let mut context = TemplateContext::of(role, variables)?;
        context.exact("reference", reference)?;
        context.flag("has_bootstrap", has_bootstrap);
        let mut text = self.0.message(WAKE, context)?;
        if !text.contains(reference) {
            let _ = write!(text, "\n\nref: {reference}");
        }
        Ok(text)
    }

    pub(crate) fn message(&self, name: &str, context: TemplateContext) -> Result<String, TemplateError> {
        self.0.message(name, context)
    }

    /// The message to the main agent after another agent was deleted: its name and its workspace.
    ///
    /// # Errors
    ///
    /// When the template fails; its only variables are `agent_name` and `workspace_path`.
    pub fn cleanup_message(&self, agent_name: &str, workspace_path: &str) -> Result<String, TemplateError> {
        let mut context = TemplateContext::empty();
        context.line("agent_name", agent_name)?;
        context.line("workspace_path", workspace_path)?;
        self.0.message(CLEANUP, context)
    }
}

impl TemplateSet {
    /// Works where a user's text has room; shipped templates alone need none.
    fn with_room<T: Send>(
        &self,
        own_text: bool,
        work: impl FnOnce() -> Result<T, TemplateError> + Send,
    ) -> Result<T, TemplateError> {
        if own_text || self.overridden > 0 {
            grammar::with_room(work)
        } else {
            work()
        }
    }

    fn render(&self, role: TemplateRole, overrides: &Overrides, values: &Value) -> Result<Rendered, TemplateError> {
        let mut texts = BTreeMap::new();
        for content in Content::ALL {
            let text = self.content(role, content, overrides, values)?;
            if !text.is_empty() {
                texts.insert(content, text);
            }
        }
        Ok(texts.into_iter().collect())
    }

    fn message(&self, name: &str, context: TemplateContext) -> Result<String, TemplateError> {
        let values = context.value();
        let text = self.with_room(false, || self.engine.render(name, &values))?;
        Ok(text.trim_end().to_owned())
    }

    fn content(
        &self,
        role: TemplateRole,
        content: Content,
        overrides: &Overrides,
        values: &Value,
    ) -> Result<String, TemplateError> {
        let (own, shown) = match content {
            Content::Identity => (overrides.identity.as_ref(), "agent's own IDENTITY.md"),
            Content::Soul => (overrides.soul.as_ref(), "agent's own SOUL.md"),
            _ => (None, ""),
        };
        match own.filter(|own| !own.is_blank()) {
            Some(Override::Template(source)) => self.engine.render_text(shown, source, values),
            Some(Override::Text(text)) => engine::fitting(shown, text.clone()),
            None => self.engine.render(&self.names[&(role, content)], values),
        }
    }

    /// Replaces a shipped template by a user's file.
    fn add(&mut self, file: &sources::TemplateFile) -> Result<(), TemplateError> {
        let shown = file.path.display().to_string();
        self.overridden += 1;
        let name = match &file.place {
            // A part or message replaces the shipped one under its name, so that whoever includes it gets the user's.
            sources::OverrideTarget::Named(name) => return self.engine.add(name, &shown, file.source.clone()),
            sources::OverrideTarget::Content(roles, content) => {
                for role in roles {
                    self.names.insert((*role, *content), shown.clone());
                }
                shown.clone()
            }
        };
        self.engine.add(&name, &shown, file.source.clone())
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates")
            .field("overridden", &self.0.overridden)
            .finish_non_exhaustive()
    }
}
