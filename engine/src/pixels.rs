//! From pixels as they lie in a seat to the numbers that a model reads.
//!
//! A model of single precision takes four bytes a pixel. A seat holds one, and the lane makes the numbers when it runs, in memory
//! of its own that it uses again and again: what travels from a frontend's core to the lane's is a quarter, and so are seats' inputs. On an
//! accelerator, which reads the seat itself, the frontend writes the numbers.

use crate::ort_run::Buffer;
use std::sync::{Mutex, PoisonError};
use vision::model::InputSpec;
use vision::preprocess::normalise;

/// Makes the numbers.
pub struct Pixels {
    input: InputSpec,
    /// Bytes of the numbers of the largest batch.
    largest: usize,
    /// One for each lane, but for those that run.
    spare: Mutex<Vec<Buffer>>,
}

impl Pixels {
    /// For batches of at most so many images.
    pub fn new(input: &InputSpec, max_batch: u32) -> Self {
        let largest = max_batch as usize * input.bytes();
        Self { input: input.clone(), largest, spare: Mutex::default() }
    }

    /// Does something with the numbers of these pixels.
    ///
    /// # Panics
    /// When there are more images than was said.
    pub fn normalised<T>(&self, pixels: &[u8], then: impl FnOnce(&[u8]) -> T) -> T {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = spare.unwrap_or_else(|| Buffer::new(self.largest));
        let bytes = 4 * pixels.len();
        normalise(pixels, &self.input, &mut buffer.bytes_mut()[..bytes]);
        let done = then(&buffer.bytes()[..bytes]);
        self.spare.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
        done
    }
}
