//! Whether the service lives, and whether it can answer.

use crate::error::{Code, RequestError};
use crate::reply::Reply;
use crate::service::Service;
use shm_proto::board::ServiceState;

/// The process answers, so it is alive.
pub fn alive() -> Reply {
    Reply::text("ok\n")
}

/// Ready: warm engine, model here, accepting.
///
/// # Errors
/// `draining` or `engine_unavailable`, both 503, with what is missing.
pub fn ready(service: &Service) -> Result<Reply, RequestError> {
    let state = service.board.state();
    if state == ServiceState::Draining || service.is_closing() {
        return Err(RequestError::from(Code::Draining).retry_after(1));
    }
    if state != ServiceState::Ready || service.link.current().is_none() {
        return Err(Code::EngineUnavailable
            .because(format!("the service is {}", state.name()))
            .retry_after(1));
    }
    Ok(Reply::text("ready\n"))
}
