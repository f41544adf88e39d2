//! The place of each content on a gateway, by the files that the gateway shows.

use std::collections::BTreeMap;
use std::fmt;

use crate::content::{Content, MAX_FILE, Rendered};
use crate::engine::MAX_RENDERED;
use crate::markdown;

/// The title of the heartbeat's section.
const HEARTBEAT_SECTION: &str = "Heartbeat";

// The largest AGENTS.md: its own text, two more that are nothing but headings (`#` and a line break, each one sign longer
// in a section), and what joins them.
const _: () = assert!(MAX_RENDERED + 2 * (MAX_RENDERED + MAX_RENDERED / 2) + 200 <= MAX_FILE);

/// Where a content is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// In its own file.
    File,
    /// In a section of AGENTS.md.
    Section,
    /// In the scratch of the agent's heartbeat monitor.
    Scratch,
    /// Nowhere: this gateway takes it in no form.
    Nowhere,
}

/// Which content goes where on one gateway. Three occur in practice: classic (eight files: releases 2026.2.26 to
/// 2026.7.1), merged with scratch (2026.8.2, 2026.9.6), and merged without, where the scratch is not offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    homes: BTreeMap<Content, Home>,
    scratch_offered: bool,
}

impl Layout {
    /// The layout of a gateway by the names in its `agents.files.list` (missing files too), and by the offer of a scratch. Only TOOLS.md and HEARTBEAT.md depend on it: the other six are taken by every release that has file
    /// calls, IDENTITY.md even where it is never listed (2026.8.2, 2026.9.6).
    pub fn of<S: AsRef<str>>(listed: &[S], scratch_offered: bool) -> Self {
        let homes = Content::ALL.into_iter().map(|content| (content, Home::File)).collect();
        let mut layout = Self { homes, scratch_offered };
        for content in [Content::Tools, Content::Heartbeat] {
            if !listed.iter().any(|name| name.as_ref() == content.file_name()) {
                layout = layout.without(content.file_name());
            }
        }
        layout
    }

    /// The layout after the gateway called this file unsupported: its content moves to the fallback place (TOOLS.md to
    /// a section; HEARTBEAT.md to the scratch, else a section), or has none ([`Home::Nowhere`]). A content that is not
    /// in a file of its own stays where it is, and so does everything when the name is not one of the eight.
    pub fn without(&self, file_name: &str) -> Self {
        let mut layout = self.clone();
        let Some(content) = Content::of_file(file_name).filter(|&content| self.home(content) == Home::File) else {
            return layout;
        };
        let sections = self.home(Content::Agents) == Home::File;
        let home = match content {
            Content::Heartbeat if self.scratch_offered => Home::Scratch,
            Content::Heartbeat | Content::Tools if sections => Home::Section,
            _ => Home::Nowhere,
        };
        layout.homes.insert(content, home);
        if content == Content::Agents {
            layout
                .homes
                .values_mut()
                .filter(|home| **home == Home::Section)
                .for_each(|home| *home = Home::Nowhere);
        }
        layout
    }

    /// The layout after the scratch turned out not to be there: the heartbeat goes into a section.
    pub fn without_scratch(&self) -> Self {
        let mut layout = self.clone();
        layout.scratch_offered = false;
        if self.home(Content::Heartbeat) == Home::Scratch {
            let sections = self.home(Content::Agents) == Home::File;
            layout
                .homes
                .insert(Content::Heartbeat, if sections { Home::Section } else { Home::Nowhere });
        }
        layout
    }

    /// Where a content is kept.
    pub fn home(&self, content: Content) -> Home {
        self.homes.get(&content).copied().unwrap_or(Home::Nowhere)
    }

    /// The contents that this gateway takes in no form.
    pub fn dropped(&self) -> impl Iterator<Item = Content> {
        self.homes
            .iter()
            .filter(|(_, home)| **home == Home::Nowhere)
            .map(|(content, _)| *content)
    }

    /// Puts each content in its place. Nothing is written for a content without a text.
    pub fn place(&self, rendered: &Rendered, include_bootstrap: bool) -> Placement {
        let mut placement = Placement::default();
        for (content, text) in rendered.iter() {
            match self.home(content) {
                Home::File if content != Content::Bootstrap || include_bootstrap => {
                    placement.files.insert(content.file_name().to_owned(), text.to_owned());
                }
                Home::Scratch => placement.scratch = Some(text.to_owned()),
                _ => {}
            }
        }
        // The tools come last: that is the section that is read back.
        for (content, title) in [
            (Content::Heartbeat, HEARTBEAT_SECTION),
            (Content::Tools, markdown::SECTION),
        ] {
            if let Some(text) = rendered.get(content).filter(|_| self.home(content) == Home::Section) {
                let agents = placement
                    .files
                    .entry(Content::Agents.file_name().to_owned())
                    .or_default();
                append_section(agents, &markdown::section(title, text));
            }
        }
        placement
    }

    /// The file that holds the `KEY=value` lines.
    pub fn holder_of_token(&self) -> &'static str {
        match self.home(Content::Tools) {
            Home::File => Content::Tools.file_name(),
            _ => Content::Agents.file_name(),
        }
    }

    /// Of the files that the gateway shows as present, those that are ours in another layout but not in this one. A
    /// file that is not one of the eight is never named: it belongs to the user.
    pub fn stale<S: AsRef<str>>(&self, present: &[S]) -> Vec<String> {
        let names = present.iter().map(AsRef::as_ref);
        let ours = names.filter(|name| Content::of_file(name).is_some_and(|content| self.home(content) != Home::File));
        ours.map(str::to_owned).collect()
    }
}

fn append_section(text: &mut String, section: &str) {
    if !text.is_empty() {
        *text = markdown::closed(text);
        text.push('\n');
    }
    text.push_str(section);
}

/// The texts to write, by file. `Debug` shows names and sizes, no text.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Placement {
    /// The files, by name; none is empty.
    pub files: BTreeMap<String, String>,
    /// The heartbeat monitor's scratch; none: leave it alone.
    pub scratch: Option<String>,
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: BTreeMap<_, _> = self.files.iter().map(|(name, text)| (name, text.len())).collect();
        let scratch = self.scratch.as_ref().map(String::len);
        f.debug_struct("Placement")
            .field("files", &files)
            .field("scratch", &scratch)
            .finish()
    }
}
