//! Lines from stdin, one turn each.

use std::io::{self, BufRead as _, Read as _};

use windlass_line::threads;

use crate::chat::{Said, Talk};
use crate::exit::{Exit, Failure};
use crate::turn::TEXT_BYTES;

/// Says each line, and ends with the first that has no answer.
pub(crate) async fn talk(mut talk: Talk<'_>) -> Result<Exit, Failure> {
    loop {
        let read = tokio::select! {
            read = line() => read?,
            _ = talk.interrupts.next() => return Ok(Exit::Interrupted),
        };
        let Some(line) = read else {
            return Ok(Exit::Ok);
        };
        if line.is_empty() {
            continue;
        }
        match talk.say(line).await? {
            Said::Ended(Exit::Ok) => {}
            Said::Ended(exit) => return Ok(exit),
            Said::Stopped | Said::Left => return Ok(Exit::Interrupted),
        }
    }
}

/// The next line without its end; nothing when there are no more. On a thread of its own: a read can't be interrupted.
async fn line() -> Result<Option<String>, Failure> {
    let read = threads::detached("stdin", || {
        let mut line = String::new();
        let stdin = io::stdin().lock();
        let bytes = stdin.take(TEXT_BYTES as u64 + 1).read_line(&mut line)?;
        Ok::<_, io::Error>((bytes, line))
    })?;
    let read = read.await.map_err(io::Error::other)?;
    let (bytes, line) = read.map_err(|error| {
        Failure::usage(
            format!("stdin can't be read: {error}"),
            "Pipe UTF-8 text into the program, a message on each line.",
        )
    })?;
    if bytes > TEXT_BYTES {
        return Err(Failure::usage(
            format!("a line of stdin has over {TEXT_BYTES} bytes"),
            "Say less on a line.",
        ));
    }
    Ok((bytes > 0).then(|| line.trim_end().to_owned()))
}
