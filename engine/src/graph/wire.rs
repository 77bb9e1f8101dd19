//! A protobuf message as the fields it came with, so that what nobody looks at is written again byte for byte.
//!
//! Knows protobuf, not ONNX. What is no message gives `None`, never a panic: files come from anywhere.

use buffa::encoding::{Tag, WireType, decode_varint, skip_field};
use buffa::types::borrow_bytes;

/// A message, its fields in the order of the file.
pub(super) struct Message<'a>(Vec<Field<'a>>);

struct Field<'a> {
    number: u32,
    value: Value<'a>,
    /// Tag and value.
    whole: &'a [u8],
}

enum Value<'a> {
    Varint(u64),
    /// Texts, messages and packed numbers.
    Bytes(&'a [u8]),
    Fixed32(&'a [u8]),
    Other,
}

impl<'a> Message<'a> {
    pub(super) fn read(mut rest: &'a [u8]) -> Option<Self> {
        let mut fields = Vec::new();
        while !rest.is_empty() {
            let begin = rest;
            let tag = Tag::decode(&mut rest).ok()?;
            let value = match tag.wire_type() {
                WireType::Varint => Value::Varint(decode_varint(&mut rest).ok()?),
                WireType::LengthDelimited => Value::Bytes(borrow_bytes(&mut rest).ok()?),
                WireType::Fixed32 => Value::Fixed32(rest.split_off(..4)?),
                _ => {
                    skip_field(tag, &mut rest).ok()?;
                    Value::Other
                }
            };
            let whole = &begin[..begin.len() - rest.len()];
            fields.push(Field { number: tag.field_number(), value, whole });
        }
        Some(Self(fields))
    }

    fn values(&self, number: u32) -> impl DoubleEndedIterator<Item = &Value<'a>> {
        self.0.iter().filter(move |field| field.number == number).map(|field| &field.value)
    }

    pub(super) fn has(&self, number: u32) -> bool {
        self.values(number).next().is_some()
    }

    /// Every text or message of a repeated field.
    pub(super) fn all(&self, number: u32) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.values(number).filter_map(|value| match value {
            Value::Bytes(bytes) => Some(*bytes),
            _ => None,
        })
    }

    /// A text. Of several the last one counts, as everywhere in protobuf.
    pub(super) fn text(&self, number: u32) -> &'a [u8] {
        self.all(number).next_back().unwrap_or_default()
    }

    /// A message within; `None` also where it comes in several pieces, which would have to be merged.
    pub(super) fn message(&self, number: u32) -> Option<Message<'a>> {
        let mut pieces = self.all(number);
        let only = pieces.next()?;
        if pieces.next().is_some() { None } else { Message::read(only) }
    }

    pub(super) fn int(&self, number: u32) -> i64 {
        let mut ints = self.values(number).filter_map(|value| match value {
            Value::Varint(int) => Some(*int as i64),
            _ => None,
        });
        ints.next_back().unwrap_or_default()
    }

    /// A repeated integer, packed or not.
    pub(super) fn ints(&self, number: u32) -> Option<Vec<i64>> {
        let mut ints = Vec::new();
        for value in self.values(number) {
            match *value {
                Value::Varint(int) => ints.push(int as i64),
                Value::Bytes(mut packed) => {
                    while !packed.is_empty() {
                        ints.push(decode_varint(&mut packed).ok()? as i64);
                    }
                }
                _ => return None,
            }
        }
        Some(ints)
    }

    /// The bytes of a repeated number of four bytes, packed or not: little-endian, as in `raw_data`.
    pub(super) fn fours(&self, number: u32) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        for value in self.values(number) {
            match value {
                Value::Bytes(some) | Value::Fixed32(some) => bytes.extend_from_slice(some),
                _ => return None,
            }
        }
        Some(bytes)
    }

    /// The message again without some of its fields, to which others are then appended: only the order among fields
    /// of one number means something.
    pub(super) fn without(&self, numbers: &[u32]) -> Vec<u8> {
        let kept = self.0.iter().filter(|field| !numbers.contains(&field.number));
        kept.flat_map(|field| field.whole).copied().collect()
    }
}
