//! Two coefficients a look-up against one code after the other.

use super::*;
use proptest::prelude::*;

/// Codes of 2 to 16 bits, as a file would list them: counts by length, then symbols. The end of a block is rare enough that many are full.
fn table() -> Rc<Huffman> {
    let counts = [0, 1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1];
    let symbols =
        [0x01, 0x11, 0x02, 0x03, 0x00, 0x21, 0x04, 0x12, 0x31, 0x05, 0xf0, 0x06, 0x41, 0x07, 0x22, 0x0a];
    Huffman::parse(&[counts.as_slice(), &symbols].concat()).expect("a table").0
}

/// Code by code, as the standard has it: coefficients, the last one's index, and whether the block is over.
fn one_by_one(table: &Huffman, bits: &mut Bits<'_>, last: usize) -> Option<([i16; 64], usize, bool)> {
    let (mut block, mut k) = ([0; 64], 0);
    while k < last {
        bits.fill();
        let symbol = table.symbol(bits)?;
        if symbol == 0 {
            return Some((block, k, true));
        }
        k += usize::from(symbol >> 4) + 1;
        *block.get_mut(usize::from(*NATURAL.get(k)?))? = bits.value(u32::from(symbol & 15)) as i16;
    }
    Some((block, k, k == 63))
}

proptest! {
    /// Whatever the bits are, with stuffed bytes and an end among them, and wherever the blocks' ends fall.
    #[test]
    fn two_at_a_time_are_what_one_by_one_is(
        bytes in prop::collection::vec(prop_oneof![4 => any::<u8>(), 3 => 0u8..64, 1 => Just(0xff)], 0..400),
        last in prop_oneof![Just(63usize), 1usize..63],
    ) {
        let mut data = Vec::new();
        for byte in bytes {
            data.push(byte);
            data.extend((byte == 0xff).then_some(0));
        }
        let table = table();
        let (mut ours, mut theirs) = (Bits::new(&data, 0), Bits::new(&data, 0));
        while !theirs.ran_out() {
            let mut block = [0; 64];
            let got = table.coefficients(&mut ours, last, &mut block);
            block[0] = 0; // written behind this
            let Some((expected, k, ends)) = one_by_one(&table, &mut theirs, last) else {
                prop_assert!(got.is_none());
                break;
            };
            // Where less than the whole is wanted a pair may reach one coefficient further.
            let (got, over) = got.expect("a block");
            if last == 63 {
                prop_assert_eq!((got, over, block), (k, ends, expected));
            } else {
                prop_assert!(got >= k);
                for k in (0..=k).map(|k| usize::from(NATURAL[k])) {
                    prop_assert_eq!(block[k], expected[k]);
                }
            }
            for (bits, over, k) in [(&mut ours, over, got), (&mut theirs, ends, k)] {
                if !over && table.skip_block(bits, k as u32 + 1).is_none() {
                    return Ok(());
                }
                bits.fill_up();
            }
            prop_assert_eq!(ours.peek(16), theirs.peek(16));
            prop_assert_eq!(ours.ran_out(), theirs.ran_out());
        }
    }
}

/// Behind coefficient 63 no end is written: the end that follows is the next block's, also where a look-up sees both.
#[test]
fn a_full_block_leaves_the_next_ones_end() {
    // Code 00 with the value 1; code 010 (one zero before) with the value 1; code 10010, the end.
    for text in ["001".repeat(63), format!("0101{}", "001".repeat(61))] {
        let text = text + "10010" + &"0".repeat(70);
        let data: Vec<u8> = text
            .as_bytes()
            .as_chunks::<8>()
            .0
            .iter()
            .map(|byte| byte.iter().fold(0, |sum, bit| sum << 1 | (bit - b'0')))
            .collect();
        let (table, mut bits) = (table(), Bits::new(&data, 0));
        assert_eq!(table.coefficients(&mut bits, 63, &mut [0; 64]), Some((63, true)));
        bits.fill_up();
        assert_eq!(bits.peek(5), 0b10010);
        assert_eq!(table.coefficients(&mut bits, 63, &mut [0; 64]), Some((0, true)));
    }
}
