//! Aborts runs, and resets and deletes sessions, while messages are sent to them.

use crate::site::Site;
use crate::trace::note;
use crate::world::{Meddling, Mischief};

/// Makes the operations one after the other. Their results are ignored: only the ends of the messages are checked.
pub(crate) async fn meddle(site: Site, meddling: Vec<Meddling>) {
    for deed in meddling {
        tokio::time::sleep(deed.pause).await;
        let session = deed.session.parse().expect("the world makes session keys");
        let sessions = site.gateway.sessions();
        let end = match deed.mischief {
            Mischief::Abort => sessions
                .abort(&session, None)
                .await
                .map(|_| ())
                .map_err(|error| error.to_string()),
            Mischief::Reset => sessions
                .reset(&session)
                .await
                .map(|_| ())
                .map_err(|error| error.to_string()),
            Mischief::Delete => sessions
                .delete(&session)
                .await
                .map(|_| ())
                .map_err(|error| error.to_string()),
        };
        note(|| format!("{}: {:?} of {}: {end:?}", site.name(), deed.mischief, deed.session));
    }
}
