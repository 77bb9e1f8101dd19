//! Visitors of a day: PV counts calls, UV and IP count distinct callers approximately (HyperLogLog), so that the
//! figures of all processes are one set of registers that merge by an atomic maximum.

use super::layout::{DAYS, HISTORY, Header, OpenDay, REGISTER_BITS, REGISTERS};
use crate::sync::Ordering::Relaxed;
use std::sync::atomic::AtomicU8;

/// Figures of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayFigures {
    /// Days since 1970-01-01, local time.
    pub day: u32,
    /// Calls (page views).
    pub pv: u64,
    /// Distinct visitors.
    pub uv: u64,
    /// Distinct addresses.
    pub ip: u64,
}

/// Makes `day` countable: closes and clears the day that had its place. The supervisor alone calls it.
fn open(header: &Header, day: u32) {
    let place = &header.days[day as usize % DAYS];
    if place.day.load(Relaxed) == day {
        return;
    }
    if place.day.load(Relaxed) != 0 {
        let closed = figures(place);
        let shelf = &header.history[closed.day as usize % HISTORY];
        shelf.pv.store(closed.pv, Relaxed);
        shelf.uv.store(closed.uv, Relaxed);
        shelf.ip.store(closed.ip, Relaxed);
        shelf.day.store(closed.day, Relaxed);
    }
    place.day.store(0, Relaxed);
    place.pv.store(0, Relaxed);
    for register in place.uv.iter().chain(&place.ip) {
        register.store(0, Relaxed);
    }
    place.day.store(day, Relaxed);
}

/// Makes `day` today. Tomorrow is opened beforehand, so that nobody waits at midnight.
pub(super) fn set_today(header: &Header, day: u32) {
    open(header, day);
    open(header, day + 1);
    header.today.store(day, Relaxed);
}

/// Counts a call by `visitor` from `address`; both are hashes whose bits are well mixed.
pub(super) fn visit(header: &Header, visitor: u64, address: u64) {
    let today = header.today.load(Relaxed);
    let place = &header.days[today as usize % DAYS];
    if today == 0 || place.day.load(Relaxed) != today {
        return;
    }
    place.pv.fetch_add(1, Relaxed);
    add(&place.uv, visitor);
    add(&place.ip, address);
}

/// Today's figures, then the closed days', newest first.
pub(super) fn days(header: &Header) -> Vec<DayFigures> {
    let today = header.today.load(Relaxed);
    let open = header.days.iter().map(figures);
    let closed = header.history.iter().map(|day| DayFigures {
        day: day.day.load(Relaxed),
        pv: day.pv.load(Relaxed),
        uv: day.uv.load(Relaxed),
        ip: day.ip.load(Relaxed),
    });
    let mut days: Vec<_> = open.chain(closed).filter(|day| day.day != 0 && day.day <= today).collect();
    days.sort_by_key(|day| std::cmp::Reverse(day.day));
    days.dedup_by_key(|day| day.day);
    days
}

fn figures(place: &OpenDay) -> DayFigures {
    DayFigures {
        day: place.day.load(Relaxed),
        pv: place.pv.load(Relaxed),
        uv: distinct(&place.uv),
        ip: distinct(&place.ip),
    }
}

/// Raises the register that the hash's top bits name to the rank of its other bits.
fn add(registers: &[AtomicU8], hash: u64) {
    let index = (hash >> (64 - REGISTER_BITS)) as usize;
    let rank = (hash << REGISTER_BITS | 1 << (REGISTER_BITS - 1)).leading_zeros() + 1;
    registers[index].fetch_max(rank as u8, Relaxed);
}

/// The estimate of distinct hashes, by Ertl's improved estimator ("New cardinality estimation algorithms for
/// HyperLogLog sketches", 2017): unbiased from one to billions, with no switch of methods in between.
fn distinct(registers: &[AtomicU8]) -> u64 {
    const Q: usize = 64 - REGISTER_BITS as usize;
    let m = REGISTERS as f64;
    let mut counts = [0u32; Q + 2];
    for register in registers {
        counts[(register.load(Relaxed) as usize).min(Q + 1)] += 1;
    }
    let share = |rank: usize| f64::from(counts[rank]) / m;
    let mut z = m * tau(1.0 - share(Q + 1));
    for rank in (1..=Q).rev() {
        z = 0.5 * (z + f64::from(counts[rank]));
    }
    z += m * sigma(share(0));
    (m * m / (2.0 * std::f64::consts::LN_2 * z)).round() as u64
}

fn sigma(x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut x, mut y, mut z) = (x, 1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut x, mut y, mut z) = (x, 1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if z == before {
            return z / 3.0;
        }
    }
}
