//! Other runs in the same session: one of them may bring our answer.

use std::time::Instant;

/// Most other runs noted; a session runs one at a time.
pub(super) const OTHERS_KEPT: usize = 8;
/// Most runs that are noted as foreign.
pub(super) const FOREIGN_KEPT: usize = 64;

/// One other run.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) id: String,
    /// It was there before we began to look for the run that goes on with our message.
    pub(super) old: bool,
    /// Something of it came, no end, and no event may have been lost since.
    pub(super) active: bool,
    /// When it ended, and with which text.
    pub(super) ended: Option<(Instant, Option<String>)>,
    /// Events may have been lost since it ended.
    pub(super) missed: bool,
}

/// The other runs of the session, those seen last at the end.
#[derive(Debug, Default)]
pub(super) struct Others {
    runs: Vec<Other>,
    foreign: Vec<String>,
}

impl Others {
    /// Something of a run came.
    pub(super) fn heard(&mut self, id: &str) {
        let run = self.entry(id);
        run.active = run.ended.is_none();
    }

    /// A run ended. One that only hands on has no text.
    pub(super) fn ended(&mut self, id: &str, text: Option<String>, now: Instant) {
        // One text is enough: a session runs one at a time.
        for run in &mut self.runs {
            if let Some((_, text)) = &mut run.ended {
                *text = None;
            }
        }
        let run = self.entry(id);
        run.active = false;
        run.ended = Some((now, text));
    }

    /// Events may have been lost: no run is known to be active until it is heard again, and the last known end may not be the last.
    pub(super) fn forget_activity(&mut self) {
        for run in &mut self.runs {
            run.active = false;
            run.missed = run.ended.is_some();
        }
    }

    /// The run is foreign, or turned out not to be ours.
    pub(super) fn foreign(&mut self, id: &str) {
        if self.is_foreign(id) {
            return;
        }
        if self.foreign.len() == FOREIGN_KEPT {
            self.foreign.remove(0);
        }
        self.foreign.push(id.to_owned());
    }

    pub(super) fn is_foreign(&self, id: &str) -> bool {
        self.foreign.iter().any(|known| known == id)
    }

    pub(super) fn foreign_ids(&self) -> &[String] {
        &self.foreign
    }

    pub(super) fn any_active(&self) -> bool {
        self.runs.iter().any(|run| run.active)
    }

    /// The text with which a run ended, once it has.
    pub(super) fn text_of(&self, id: &str) -> Option<&str> {
        let run = self.runs.iter().find(|run| run.id == id)?;
        run.ended.as_ref()?.1.as_deref()
    }

    /// The run that ended with a text at or after `from`, if it is the last one: a run that began after it may be the one that
    /// goes on with our message.
    pub(super) fn answered_last(&self, from: Instant) -> Option<(&str, &str)> {
        let run = self.runs.last().filter(|run| !run.missed)?;
        let (at, text) = run.ended.as_ref()?;
        (*at >= from).then_some((&run.id, text.as_deref()?))
    }

    /// From here on we look for a run that goes on with our message: one that is there already is none. By order and not by
    /// time, since many events may be read at once.
    pub(super) fn look_from_here(&mut self) {
        for run in &mut self.runs {
            run.old = true;
        }
    }

    /// A run that began since, goes on, and is not known as foreign.
    pub(super) fn begun(&self) -> Option<&str> {
        let fits = |run: &&Other| run.active && !run.old && !self.is_foreign(&run.id);
        self.runs.iter().find(fits).map(|run| run.id.as_str())
    }

    fn entry(&mut self, id: &str) -> &mut Other {
        let at = self.runs.iter().position(|run| run.id == id).unwrap_or_else(|| {
            if self.runs.len() == OTHERS_KEPT {
                let idle = self.runs.iter().position(|run| !run.active).unwrap_or_default();
                self.runs.remove(idle);
            }
            self.runs.push(Other {
                id: id.to_owned(),
                old: false,
                active: true,
                ended: None,
                missed: false,
            });
            self.runs.len() - 1
        });
        &mut self.runs[at]
    }
}
