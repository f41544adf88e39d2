//! Aborts runs, and resets and deletes sessions, while messages are sent to them.

use crate::site::Site;
use crate::trace::note;
use crate::world::{OperatorAction, OperatorStep};

/// Makes the operations one after the other. Their results are ignored: only the ends of the messages are checked.
pub(crate) async fn meddle(site: Site, operator_steps: Vec<OperatorStep>) {
    for action in operator_steps {
        tokio::time::sleep(action.pause).await;
        let session = action.session.parse().expect("the world makes session keys");
        let sessions = site.gateway.sessions();
        let end = match action.action {
            OperatorAction::Abort => sessions
                .abort(&session, None)
                .await
                .map(|_| ())
                .map_err(|error| error.to_string()),
            OperatorAction::Reset => sessions
                .reset(&session)
                .await
                .map(|_| ())
                .map_err(|error| error.to_string()),
            OperatorAction::Delete => sessions
                .delete(&session)
                .await
                .map(|_| ())
                .map_err(|error| error.to_string()),
        };
        note(|| format!("{}: {:?} of {}: {end:?}", site.name(), action.action, action.session));
    }
}
