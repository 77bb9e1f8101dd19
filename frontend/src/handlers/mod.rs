//! What each route does, in three verbs: parse, submit, respond.

pub mod about;
pub mod detect;
pub mod health;
pub mod monitoring;
pub mod pages;
pub mod review;

use http::request::Parts;
use shm_proto::clock::Nanos;
use std::net::IpAddr;

/// A request as a handler sees it, without its body.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its method, target and headers.
    pub head: &'a Parts,
    /// Who asks.
    pub peer: IpAddr,
    /// When its header was there.
    pub arrived: Nanos,
}
