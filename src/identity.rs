//! Where this client's identity and its device tokens are kept on disk.
//!
//! Both are private files: mode 0600 in a folder of mode 0700, written whole or not at all, and never replaced when the
//! old one can't be read. A damaged identity that is silently replaced costs a new pairing on every gateway.

mod default_identity;
mod device_file;
mod file_tokens;

pub use default_identity::{DefaultIdentityError, load_default};
pub use device_file::{
    DevicePathError, IDENTITY_PATH_VARIABLE, IdentityError, IdentityProblem, default_identity_path, load_or_create,
};
pub use file_tokens::{FileTokens, TOKENS_FILE_NAME, TokenFileError, TokenFileProblem};
