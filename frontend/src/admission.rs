//! Whether a detect request may begin. Decided from the header and the board alone, before a byte of the body is
//! read, so that a refusal costs next to nothing; and once more when the picture has arrived, because slow pictures do not
//! count until then. Owns the rule and the time after which coming back makes sense.

use crate::error::{Code, RequestError};
use crate::link::Attached;
use crate::service::{InFlight, Service};
use shm_proto::board::ServiceState;
use shm_proto::clock::Nanos;
use std::sync::Arc;

/// When to come back to a service that has no engine: a restart with a small model takes about this long.
const ENGINE_RETRY: u32 = 2;
/// Longest time that a refused client is told to stay away.
const LONGEST_RETRY: u32 = 60;

/// A request that was let in: counted until it is dropped, and with the model it will be answered by.
pub struct Admitted<'a> {
    /// The model generation.
    pub attached: Arc<Attached>,
    in_flight: InFlight<'a>,
}

impl<'a> Admitted<'a> {
    /// Another picture of the same request. It has not arrived, so that it is not in service yet.
    pub fn another(&self, service: &'a Service, arrived: Nanos) -> Self {
        Self { attached: self.attached.clone(), in_flight: service.enter_request(arrived) }
    }

    /// The picture has arrived: from now on the request costs time.
    ///
    /// # Errors
    /// `overloaded`, when too many others have arrived meanwhile.
    pub fn arrived(&mut self, service: &Service) -> Result<(), RequestError> {
        self.in_flight.arrived();
        // Counted first and checked then, so that two frontends cannot both take the last place.
        within(service, service.board.in_service())
    }
}

/// Lets a request in, or says why not and when to come back.
///
/// # Errors
/// `engine_unavailable` or `overloaded`, each with `Retry-After`.
pub fn admit(service: &Service, arrived: Nanos) -> Result<Admitted<'_>, RequestError> {
    // Whoever has a model answers, whatever the service as a whole is at. While an engine is replaced requests wait in the
    // arena for the next one: latency, not errors. While the service drains, those that still come over an open connection
    // are served: nobody else would. While it starts, other frontends may still be loading.
    let attached = service.link.current().ok_or_else(|| {
        let starts = service.board.state() == ServiceState::Starting;
        unavailable(if starts { "the service is starting" } else { "no model is loaded" })
    })?;
    within(service, service.board.in_service() + 1)?;
    Ok(Admitted { attached, in_flight: service.enter_request(arrived) })
}

/// Whether so many may be in service.
fn within(service: &Service, in_service: u32) -> Result<(), RequestError> {
    if in_service <= service.concurrency_limit() {
        return Ok(());
    }
    let rate = service.capacity().rate();
    Err(RequestError::from(Code::Overloaded).retry_after(retry_after(in_service, rate)))
}

fn unavailable(why: &'static str) -> RequestError {
    Code::EngineUnavailable.because(why).retry_after(ENGINE_RETRY)
}

/// Seconds in which what is in service will have been answered at this rate (per second).
fn retry_after(in_service: u32, rate: f64) -> u32 {
    if rate <= 0.0 {
        return 1;
    }
    // The cast saturates, also for rates near zero.
    ((f64::from(in_service) / rate).ceil() as u32).clamp(1, LONGEST_RETRY)
}

#[cfg(test)]
mod tests;
