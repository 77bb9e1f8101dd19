//! Learns what the outputs are by running the model: files leave dimensions free, and some tell them wrong.
//!
//! Owns the decision which output lies in shared memory as the graph writes it and which is copied behind a count
//! of its rows. Makes the [`Plan`] that `ort_run` follows; says clearly what cannot be planned.

use crate::config::Config;
use crate::error::EngineError;
use crate::ort_run::{self, Buffer, Plan, Port, Probed};
use crate::session::model_error;
use half::f16;
use ort::session::Session;
use std::path::Path;
use vision::model::{Decoder, InputSpec, Layout, ModelSpec, RawModel};
use vision::tensor::{Element, TensorInfo};

/// Rows kept of an output whose number of rows depends on the picture, unless more may be answered.
const ROWS: usize = 1000;

/// Plans how `session`, made of a model that was declared as `raw`, is run. Returns the plan and the most images
/// in a run.
///
/// # Errors
/// [`EngineError::Model`] when it does not run, or its outputs cannot be laid out in shared memory.
pub fn plan(
    session: &Session,
    raw: &RawModel,
    spec: &ModelSpec,
    config: &Config,
    path: &Path,
) -> Result<(Plan, u32), EngineError> {
    let wrong = |reason: String| model_error(path, &reason);
    let input = Port {
        name: spec.input.name.clone(),
        element: spec.input.element,
        shape: input_dims(&spec.input).to_vec(),
        dynamic: false,
    };
    let declared = raw.inputs.first().and_then(|input| input.shape.first().copied()).unwrap_or(-1);
    let fixed_batch = usize::try_from(declared).ok().filter(|&images| images > 0);
    let images = fixed_batch.unwrap_or(1);

    // A black picture finds nothing and noise finds much, so rows that depend on the picture differ.
    let run = |images, fill: fn(&InputSpec, &mut [u8])| {
        let mut buffer = Buffer::new(images * input.bytes());
        fill(&spec.input, buffer.bytes_mut());
        ort_run::probe(session, &input, images, buffer.bytes())
            .map_err(|error| wrong(format!("it does not run on an input of {:?}: {error}", input.shape)))
    };
    let black = run(images, |_, _| ())?;
    let busy = run(images, noise)?;

    let now = crate::session::describe(session, path)?;
    let outputs = now.outputs.iter().zip(black.iter().zip(&busy));
    let outputs = outputs.map(|(declared, (black, busy))| {
        output(declared, images, [black, busy], spec)
            .map_err(|reason| wrong(format!("output {} {reason}", declared.name)))
    });
    let outputs = outputs.collect::<Result<Vec<Port>, _>>()?;

    let dynamic = outputs.iter().find(|output| output.dynamic);
    let max_batch = match (fixed_batch, dynamic) {
        (Some(1), _) => 1,
        (Some(_), Some(output)) => {
            return Err(wrong(format!(
                "output {} has rows that depend on the picture while the batch axis is fixed at {images}; export it \
                 with a batch of 1 or a free batch axis",
                output.name
            )));
        }
        (Some(images), None) if config.max_batch == 0 => u32::try_from(images).unwrap_or(u32::MAX),
        (Some(images), None) => config.max_batch.min(u32::try_from(images).unwrap_or(u32::MAX)),
        (None, Some(_)) => 1,
        (None, None) if config.max_batch() > 1 => {
            let reason = match run(2, noise) {
                Ok(two) => stacked(&two, &outputs),
                Err(error) => Err(error.to_string()),
            };
            match reason {
                Ok(()) => config.max_batch(),
                Err(reason) => {
                    tracing::warn!(
                        reason,
                        "the model's batch axis is free and a batch of two fails: one at a time"
                    );
                    1
                }
            }
        }
        (None, None) => 1,
    };
    if max_batch < config.max_batch {
        tracing::info!(
            max_batch,
            configured = config.max_batch,
            "the model takes smaller batches than configured"
        );
    }
    Ok((Plan { input, outputs, fixed_batch }, max_batch))
}

/// Dimensions of one image's input.
pub fn input_dims(input: &InputSpec) -> [usize; 3] {
    let (rows, columns, channels) = (input.height as usize, input.width as usize, input.channel_count());
    match input.layout {
        Layout::Nchw => [channels, rows, columns],
        Layout::Nhwc => [rows, columns, channels],
    }
}

/// One output, from what the session declares and what two pictures gave.
fn output(
    declared: &TensorInfo,
    images: usize,
    [black, busy]: [&Probed; 2],
    spec: &ModelSpec,
) -> Result<Port, String> {
    let element = match (black.0, busy.0) {
        (Some(element), Some(other)) if element == other => element,
        _ => return Err("changes its element type, or has one that cannot be served".to_owned()),
    };
    let (black, busy) = (&black.1[..], &busy.1[..]);
    let ([first, one @ ..], [_, two @ ..]) = (black, busy) else {
        return Err("is a single number; a batch axis in front is needed".to_owned());
    };
    if *first != images || busy[0] != images || one.len() != two.len() {
        return Err(format!(
            "came as {black:?} and {busy:?} for {images} images; a batch axis in front is needed"
        ));
    }
    // Rows that happened to be the same for both pictures: the graph ends in its own NMS and does not say how many.
    let own_nms = matches!(spec.decoder, Decoder::EndToEnd | Decoder::SsdPost { .. });
    let free = |axis: usize| declared.shape.get(axis + 1).is_none_or(|&dim| dim < 0);
    let varies = |axis: usize| one[axis] != two[axis] || one[axis] == 0 || (own_nms && free(axis));
    let varying: Vec<usize> = (0..one.len()).filter(|&axis| varies(axis)).collect();
    let mut shape = two.to_vec();
    let dynamic = match varying[..] {
        [] => false,
        [0] => {
            shape[0] = ROWS.max(spec.max_detections).max(one[0]).max(two[0]);
            true
        }
        _ => {
            return Err(format!(
                "came as {black:?} and {busy:?}: only the first axis behind the batch may depend on the picture; \
                 transpose it, or leave NMS out of the export"
            ));
        }
    };
    Ok(Port { name: declared.name.clone(), element, shape, dynamic })
}

/// Whether a batch of two gives each output twice.
fn stacked(two: &[Probed], outputs: &[Port]) -> Result<(), String> {
    for ((element, dims), port) in two.iter().zip(outputs) {
        let twice = dims.split_first().is_some_and(|(images, rest)| *images == 2 && rest == port.shape);
        if !twice || *element != Some(port.element) {
            return Err(format!("output {} came as {dims:?} for two images", port.name));
        }
    }
    Ok(())
}

/// Fills an input with pixels of noise, always the same, as preprocessing would write them. It is dark noise, as a
/// photograph of the night would be: nothing that a model is likely to take for something special.
pub fn noise(input: &InputSpec, bytes: &mut [u8]) {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 57) as u8
    };
    let value = |pixel: u8| (f32::from(pixel) * input.scale - input.mean[0]) / input.std[0];
    match input.element {
        Element::F32 => {
            bytes.chunks_exact_mut(4).for_each(|to| to.copy_from_slice(&value(next()).to_ne_bytes()))
        }
        Element::F16 => {
            bytes
                .chunks_exact_mut(2)
                .for_each(|to| to.copy_from_slice(&f16::from_f32(value(next())).to_ne_bytes()));
        }
        Element::U8 | Element::I32 | Element::I64 => {
            bytes.chunks_exact_mut(input.element.bytes()).for_each(|to| to[0] = next());
        }
    }
}

#[cfg(test)]
mod tests;
