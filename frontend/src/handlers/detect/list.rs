//! A list of pictures in one request: each is worked on as if it had come alone, some at once, and has its own
//! answer or problem, in order.
//!
//! Each is in flight from the request's arrival to its own answer, so that TPS, RT and concurrency stay what they
//! are, while the request is one call (PV) and one request (QPS).

use super::document::{self, Document, Documents};
use super::{Asker, Detected, Time, count_answer, detect};
use crate::admission::Admitted;
use crate::error::{Code, RequestError};
use crate::handlers::Call;
use crate::inputs::{Named, RawOptions, Room};
use crate::options::{Choices, Format};
use crate::reply::Reply;
use crate::service::Service;
use futures_util::{StreamExt, stream};
use shm_proto::board::{Counter, Stage};
use shm_proto::clock;
use std::sync::Arc;

/// Most pictures of one list that are in service at once: enough to keep lanes and threads busy, and few enough
/// that other clients get their turns.
const AT_ONCE: u32 = 8;

/// Answers the list.
///
/// # Errors
/// Only what is wrong with the request as a whole: options that cannot be, a drawn answer.
pub(super) async fn answer(
    service: &Arc<Service>,
    admitted: Admitted<'_>,
    call: &Call<'_>,
    (pictures, room): (Vec<Result<Named, RequestError>>, Room),
    mut choices: Choices,
    options: RawOptions,
    time: Time,
) -> Result<Reply, RequestError> {
    choices.add(options)?;
    choices.resolve(&admitted.attached.facts.spec, &admitted.attached.labels)?;
    if choices.format() == Format::Image {
        return Err(Code::BadParameter.because("format=image answers one picture, not a list"));
    }
    let attached = admitted.attached.clone();
    let facts = &attached.facts;
    let asker = Asker::of(service, call);
    // What the body took is given back with the last of its pictures.
    let room = Arc::new(room);
    let mut places: Vec<_> = (1..pictures.len()).map(|_| admitted.another(service, call.arrived)).collect();
    places.push(admitted);
    let width = service.concurrency_limit().clamp(1, AT_ONCE) as usize;
    let work: Vec<_> = pictures
        .into_iter()
        .zip(places)
        .map(|(named, place)| {
            let (choices, room) = (choices.clone(), room.clone());
            async move {
                let work = async {
                    let mut own = service.inputs.room();
                    own.share(room);
                    let named = named?;
                    if named.options.format.is_some() {
                        return Err(
                            Code::BadParameter.because("format belongs to the request, not to a picture")
                        );
                    }
                    detect(service, place, asker, named, choices, own, time).await
                };
                let Detected { place, kind, found } = time.limit(work).await?;
                let times = found.marks.times(clock::now());
                count_answer(service, &times);
                drop(place);
                Ok(Document { id: call.id, facts, kind, found, times })
            }
        })
        .collect();
    drop(room);
    let results: Vec<Result<Document<'_>, RequestError>> = stream::iter(work).buffered(width).collect().await;
    let refused = results.iter().filter(|result| result.is_err()).count();
    service.process().add(Counter::ListRefused, refused as u64);
    let total = clock::now().saturating_sub(call.arrived);
    let reply = document::many(&Documents { id: call.id, facts, results, total });
    Ok(reply.server_timing(&format!("{};dur={:.3}", Stage::Total.name(), document::millis(total))))
}

#[cfg(test)]
mod tests;
