//! Frontend role.
