//! Why an address could not be fetched. For the log; of it all a client learns whether it took too long.

use std::error::Error;
use std::net::IpAddr;

use http::StatusCode;
use hyper_util::client::legacy;

use crate::error::{Code, RequestError};

/// Why a fetch failed. Can be copied, since one fetch may be waited for by many requests.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("cannot resolve the name: {0}")]
    Resolve(String),
    #[error("{0} may not be dialled")]
    Refused(IpAddr),
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("exchange failed: {0}")]
    Http(String),
    #[error("redirect refused: {0}")]
    Redirect(&'static str),
    #[error("answered {0}")]
    Status(StatusCode),
    #[error("answered more than {0} bytes")]
    TooLarge(u64),
    #[error("answered with a content coding")]
    Coded,
    #[error("answered no picture")]
    NotAPicture,
    #[error("{0}")]
    NoRoom(RequestError),
    #[error("no answer in time")]
    Late,
}

impl Fault {
    /// What the client is told: a closed port, a refused address and a page that is no picture look the same.
    pub(super) fn told(self) -> RequestError {
        match self {
            Fault::NoRoom(error) => error,
            Fault::Late => Code::UrlTimeout.because("no picture came from the address in time"),
            _ => Code::UrlFailed.because("no picture could be fetched from the address"),
        }
    }
}

impl From<legacy::Error> for Fault {
    /// Finds what the dialler said in what the pool made of it.
    fn from(error: legacy::Error) -> Self {
        let mut cause = error.source();
        let mut text = error.to_string();
        while let Some(error) = cause {
            if let Some(fault) = error.downcast_ref::<Fault>() {
                return fault.clone();
            }
            text = error.to_string();
            cause = error.source();
        }
        Fault::Http(text)
    }
}

impl From<hyper::Error> for Fault {
    fn from(error: hyper::Error) -> Self {
        Fault::Http(error.to_string())
    }
}
