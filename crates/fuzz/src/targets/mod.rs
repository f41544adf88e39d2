//! The targets, one a file, and the table of them.

mod calls;
mod chaos_plan;
mod config_file;
mod device_file;
mod endpoint;
mod error;
mod event;
mod frame;
mod hello;
mod names;
mod roster;
mod run;
mod session;
mod template;
mod tools;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name: that of its binary, of its folder of seeds, and of its test.
    pub name: &'static str,
    /// Checks one input. Panics if a property does not hold.
    pub run: fn(&[u8]),
    /// The pieces that its texts are made of, by the name of a file in `dictionaries/`; none for lists of steps.
    pub dictionary: Option<&'static str>,
}

/// All targets, by name.
pub const TARGETS: &[Target] = &[
    of_steps("calls", calls::run),
    of_text("chaos_plan", chaos_plan::run, "toml"),
    of_text("config_file", config_file::run, "toml"),
    of_text("device_file", device_file::run, "json"),
    of_text("endpoint", endpoint::run, "url"),
    of_text("error", error::run, "json"),
    of_text("event", event::run, "json"),
    of_text("frame", frame::run, "json"),
    of_text("hello", hello::run, "json"),
    of_text("names", names::run, "names"),
    of_steps("roster", roster::run),
    of_steps("run", run::run),
    of_text("session", session::run, "json"),
    of_text("template", template::run, "template"),
    of_text("tools", tools::run, "template"),
];

const fn of_text(name: &'static str, run: fn(&[u8]), dictionary: &'static str) -> Target {
    Target {
        name,
        run,
        dictionary: Some(dictionary),
    }
}

const fn of_steps(name: &'static str, run: fn(&[u8])) -> Target {
    Target {
        name,
        run,
        dictionary: None,
    }
}

/// A target by its name.
///
/// # Panics
/// When there is none: the caller is a program of ours, with a name of ours.
pub fn target(name: &str) -> &'static Target {
    let found = TARGETS.iter().find(|target| target.name == name);
    found.unwrap_or_else(|| panic!("no target is called {name}"))
}

/// Properties of both TOML files: two reads have the same result, and an error begins with the file and an existing line.
fn assert_toml(text: &str, read: fn(&str) -> Result<String, String>) {
    let found = read(text);
    assert_eq!(read(text), found);
    let Err(error) = found else { return };
    crate::shared::assert_fit_to_show(&error);
    let place = error.strip_prefix("file.toml:").expect("an error begins with the file");
    let line: usize = place
        .split([':', ','])
        .next()
        .and_then(|line| line.parse().ok())
        .expect("a line");
    let lines = 1 + text.bytes().filter(|byte| *byte == b'\n').count();
    assert!((1..=lines).contains(&line), "line {line} of {lines}: {error}");
}
