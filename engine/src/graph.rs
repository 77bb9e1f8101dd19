//! Rewrites of a model's graph that ONNX Runtime does not know, done on the file's bytes before it sees them.
//!
//! Rewrites only what is the pattern without a doubt. All else in the file stays byte for byte, and a file that is
//! not understood stays as it is: what is wrong with it is ONNX Runtime's to say.

mod focus;
mod onnx;
mod siblings;
mod wire;

use crate::config::Optimization;
use buffa::types::put_bytes_field;
use onnx::{Edit, Graph, ROOM, field};
use std::borrow::Cow;
use wire::Message;

/// Finds in a file's graph what it rewrites, how often that is there, and says how.
type Rewrite = for<'a> fn(&Message<'a>, &Graph<'a>) -> (usize, Edit<'a>);

/// In this order, with the least optimisation that each is for, and what is said of it.
const ALL: [(Rewrite, Optimization, &str); 2] = [
    (
        focus::fold,
        Optimization::Extended,
        "slices of every second pixel are folded into the convolution behind them",
    ),
    (siblings::join, Optimization::Layout, "convolutions of few channels are one with those beside them"),
];

/// The model as the runtime is to read it; from `extended` on it may be another than the file's.
pub fn rewritten(model: &[u8], optimization: Optimization) -> Cow<'_, [u8]> {
    let mut model = Cow::Borrowed(model);
    for (rewrite, least, what) in ALL {
        if optimization >= least
            && let Some(bytes) = with(&model, rewrite, what)
        {
            model = Cow::Owned(bytes);
        }
    }
    model
}

fn with(model: &[u8], rewrite: Rewrite, what: &str) -> Option<Vec<u8>> {
    let file = Message::read(model)?;
    let graph = Graph::read(file.message(field::model::GRAPH)?)?;
    let (count, edit) = rewrite(&file, &graph);
    if count == 0 {
        return None;
    }
    let mut bytes = file.without(&[field::model::GRAPH]);
    let graph = graph.edited(&edit);
    bytes.reserve_exact(graph.len() + ROOM);
    put_bytes_field(field::model::GRAPH, &graph, &mut bytes);
    tracing::info!(count, "{what}");
    Some(bytes)
}

#[cfg(test)]
mod tests;
