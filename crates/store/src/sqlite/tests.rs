//! What only a look inside can prove.
