//! Texts that a gateway carries out itself instead of giving them to the model.

use std::time::Duration;

use super::{Status, accept, frames, history};
use crate::gateway::events::Event;
use crate::gateway::methods::Call;
use crate::gateway::profile::Profile;
use crate::gateway::server::{Answer, Effect};

/// Whether a text ends what runs in its session.
pub(super) fn is_stop(profile: &Profile, text: &str) -> bool {
    /// Seen to be commands on 1.30, 3.13, 4.15, 7.1, 8.2 and 9.6, in any case.
    const WORDS: [&str; 3] = ["stop", "/stop", "abort"];
    let text = text.trim().to_lowercase();
    let polite = text.trim_start_matches("please ").trim_end_matches(['!', '.']);
    WORDS.contains(&text.as_str()) || (profile.polite_stops && WORDS.contains(&polite))
}

/// What is answered to a command that has a run of its own, without the model.
pub(super) fn answer_to(text: &str) -> Option<&'static str> {
    match text.trim() {
        "/status" => Some("OpenClaw"),
        "/help" => Some("Help"),
        "/compact" => Some("Compacted"),
        _ => None,
    }
}

/// A run whose one event is a `final` with a message: no lifecycle, no delta.
pub(super) fn carry_out(call: &mut Call<'_>, id: String, key: &str, said: &str, answer: Answer) -> Answer {
    /// Seen 0.05 s after `started`.
    const AFTER: Duration = Duration::from_millis(50);
    let message = call.required("message");
    let mut run = accept::new_run(call, id, key, &message);
    said.clone_into(&mut run.text);
    run.seq = 1;
    let now_ms = call.server.clock.wall_ms();
    let profile = &call.server.profile;
    let payload = frames::whole_final(profile, &run, now_ms);
    let rows = [
        history::user_row(profile, &mut call.state.random, &run),
        history::assistant_row(profile, &mut call.state.random, &run, None, now_ms),
    ];
    run.end(Status::Ok, now_ms);
    if let Some(session) = call.state.sessions.get_mut(key) {
        session.rows.extend(rows);
    }
    accept::remember(call, run);
    answer.then(Effect::EmitAfter(AFTER, Event::new("chat", payload)))
}
