//! Engine role.
