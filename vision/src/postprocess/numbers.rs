//! Elements of output tensors as `f32`, whatever type and alignment the bytes have.
//!
//! Owns the checks of index, length and shape that every head needs before it reads.

use super::PostprocessError;
use crate::tensor::{Element, TensorView};
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use std::borrow::Cow;

/// The outputs of one image.
pub(super) struct Outputs<'a>(&'a [TensorView<'a>]);

/// A table of numbers, row by row.
pub(super) struct Table<'a> {
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) numbers: Cow<'a, [f32]>,
}

impl Table<'_> {
    pub(super) fn iter(&self) -> std::slice::ChunksExact<'_, f32> {
        self.numbers.chunks_exact(self.columns)
    }

    pub(super) fn row(&self, index: usize) -> &[f32] {
        &self.numbers[index * self.columns..][..self.columns]
    }
}

impl<'a> Outputs<'a> {
    pub(super) fn new(views: &'a [TensorView<'a>]) -> Self {
        Self(views)
    }

    fn view(&self, index: usize) -> Result<&'a TensorView<'a>, PostprocessError> {
        self.0.get(index).ok_or(PostprocessError::MissingOutput { index, given: self.0.len() })
    }

    /// All elements of an output; borrowed when they are aligned `f32` already.
    pub(super) fn numbers(&self, index: usize) -> Result<Cow<'a, [f32]>, PostprocessError> {
        let view = self.view(index)?;
        let expected = view
            .shape
            .iter()
            .try_fold(view.element.bytes(), |product, &axis| product.checked_mul(axis))
            .unwrap_or(usize::MAX);
        if view.bytes.len() != expected {
            return Err(PostprocessError::Length {
                index,
                shape: view.shape.to_vec(),
                bytes: view.bytes.len(),
                expected,
            });
        }
        Ok(as_f32(view.element, view.bytes))
    }

    /// An output of two axes longer than 1 (or fewer), the second of length `columns` where that is given.
    ///
    /// Axes of length 1 in front and, for `[n, 1, columns]`, between are passed over.
    pub(super) fn table(
        &self,
        index: usize,
        family: &'static str,
        columns: impl Fn(usize) -> bool,
        expected: &str,
    ) -> Result<Table<'a>, PostprocessError> {
        let shape = self.view(index)?.shape;
        let sides = match shape {
            [rows, columns] | [1, rows, columns] | [rows, 1, columns] => Some((*rows, *columns)),
            _ => None,
        };
        match sides {
            Some((rows, wide)) if wide > 0 && columns(wide) => {
                Ok(Table { rows, columns: wide, numbers: self.numbers(index)? })
            }
            _ => Err(self.misfit(index, family, expected)),
        }
    }

    /// Shape of an output, the batch axis left out.
    pub(super) fn shape(&self, index: usize) -> Result<&'a [usize], PostprocessError> {
        Ok(self.view(index)?.shape)
    }

    /// The error that says that an output does not fit.
    pub(super) fn misfit(
        &self,
        index: usize,
        family: &'static str,
        expected: impl Into<String>,
    ) -> PostprocessError {
        let shape = self.0.get(index).map(|view| view.shape.to_vec()).unwrap_or_default();
        PostprocessError::Shape { index, shape, family, expected: expected.into() }
    }
}

fn as_f32(element: Element, bytes: &[u8]) -> Cow<'_, [f32]> {
    match element {
        Element::F32 => match bytemuck::try_cast_slice(bytes) {
            Ok(aligned) => Cow::Borrowed(aligned),
            Err(_) => each(bytes, f32::from_ne_bytes),
        },
        Element::F16 => match bytemuck::try_cast_slice::<u8, u16>(bytes) {
            Ok(aligned) => Cow::Owned(aligned.reinterpret_cast::<half::f16>().to_f32_vec()),
            Err(_) => each(bytes, |b| half::f16::from_ne_bytes(b).to_f32()),
        },
        Element::U8 => Cow::Owned(bytes.iter().map(|&b| f32::from(b)).collect()),
        Element::I32 => each(bytes, |b| i32::from_ne_bytes(b) as f32),
        Element::I64 => each(bytes, |b| i64::from_ne_bytes(b) as f32),
    }
}

fn each<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Cow<'_, [f32]> {
    let (elements, _) = bytes.as_chunks::<N>();
    Cow::Owned(elements.iter().map(|&b| number(b)).collect())
}
