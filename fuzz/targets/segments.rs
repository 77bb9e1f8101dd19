//! Arbitrary bytes as an arena and as a board: attaching and reading either refuses them or works on them. No panic, no access outside
//! the mapping, no allocation from a length that was not checked.
//!
//! The first byte says which segment the rest is, whether its header is made a good one, and what is done with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use shm_proto::Owner;
use shm_proto::arena::{
    self, BatchLimits, Bells, ControlArena, EngineArena, FrontendArena, Geometry, Job, Outcome,
};
use shm_proto::board::{Board, Counter, Stage};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::time::Duration;

const FRONTENDS: u32 = 2;
const LIMITS: BatchLimits = BatchLimits { max_batch: 4, max_delay: Duration::ZERO, lane: 0 };

fuzz_target!(|data: &[u8]| {
    let Some((&choice, bytes)) = data.split_first() else { return };
    match choice % 5 {
        0 => foreign_arena(bytes, false),
        1 => foreign_arena(bytes, true),
        2 => own_arena(bytes),
        3 => board(bytes, false),
        _ => board(bytes, true),
    }
});

/// A sealed file of these bytes, as a hostile peer would pass it; with the mark and version of a good one in front, or without.
fn foreign_arena(bytes: &[u8], with_good_mark: bool) {
    let fd = memfd_create(c"fuzz", MFdFlags::MFD_ALLOW_SEALING).expect("a memfd");
    let file = File::from(fd);
    // The length is as arbitrary as the rest: the first two bytes choose the number of pages.
    let pages = bytes.first_chunk::<2>().map_or(0, |two| u64::from(u16::from_le_bytes(*two)) % 64);
    file.set_len(pages * 4096).expect("room");
    let fits = &bytes[..bytes.len().min(pages as usize * 4096)];
    file.write_all_at(fits, 0).expect("room");
    if with_good_mark && pages > 0 {
        let mut mark = [0; 12];
        File::from(good_arena()).read_exact_at(&mut mark, 0).expect("a header");
        file.write_all_at(&mark, 0).expect("room");
    }
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK)).expect("a seal");
    work(&OwnedFd::from(file));
}

fn good_arena() -> OwnedFd {
    let geometry = Geometry { seats: 5, frontends: FRONTENDS, input_bytes: 24, output_bytes: vec![8, 0, 4] };
    arena::create(&geometry, 1).expect("an arena")
}

/// An arena of ours in whose words a faulty process wrote what it liked.
fn own_arena(bytes: &[u8]) {
    let fd = good_arena();
    let file = File::from(fd.try_clone().expect("a descriptor"));
    // Behind the header, which nobody reads again after it was checked.
    let room = usize::try_from(file.metadata().expect("a file").len()).expect("it fits") - 4096;
    file.write_all_at(&bytes[..bytes.len().min(room)], 4096).expect("room");
    work(&fd);
}

/// Everything that the three sides do with an arena.
fn work(fd: &OwnedFd) {
    let bells = || Bells::create(FRONTENDS).expect("bells");
    if let Ok(control) = ControlArena::attach(fd, bells()) {
        let counts = control.counts();
        assert!(counts.0.iter().sum::<u32>() <= control.geometry().seats);
    }
    let frontend = FrontendArena::attach(fd, Owner { slot: 1, generation: 3 }, bells()).ok();
    let engine = EngineArena::attach(fd, bells()).ok();
    let job = Job { deadline: u64::MAX, digest: 1 };
    let mut waiting = Vec::new();
    for turn in 0..4 {
        if let Some(frontend) = &frontend {
            frontend.bell_heard();
            let seat = match turn {
                0 => frontend.claim(),
                1 => frontend.granted(),
                2 => frontend.wait(7),
                _ => None,
            };
            if let Some(mut seat) = seat {
                seat.input_mut().fill(turn);
                waiting.push(seat.submit(job));
            }
            frontend.withdraw();
        }
        if let Some(engine) = &engine
            && let Some(mut batch) = engine.next(LIMITS, Duration::ZERO)
        {
            assert!(batch.first() + batch.len() <= engine.geometry().seats);
            let (input, outputs) = batch.tensors();
            let sum = input.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
            outputs.into_iter().for_each(|output| output.fill(sum));
            assert_eq!(batch.digests().len(), batch.len() as usize);
            batch.answer(if turn % 2 == 0 { Outcome::Done } else { Outcome::Failed });
        }
        waiting = waiting
            .into_iter()
            .filter_map(|seat| match seat.poll() {
                Ok(answered) => {
                    let outputs = answered.outcome() == Outcome::Done;
                    assert!(!outputs || answered.output(0).len() < 1 << 30);
                    None
                }
                Err(seat) => Some(seat),
            })
            .collect();
    }
    drop(waiting);
    if let Ok(control) = ControlArena::attach(fd, bells()) {
        for slot in 0..control.geometry().frontends as u8 {
            let _ = control.reclaim_frontend(slot);
        }
        let _ = control.reclaim_engine();
        let _ = control.counts();
    }
}

/// A board of these bytes, read as `detectd status` and `/metrics` read it.
fn board(bytes: &[u8], with_good_mark: bool) {
    let name = format!("fuzz-{}", std::process::id());
    let path = format!("/dev/shm/detectd-{name}");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).expect("room");
    let pages = bytes.first_chunk::<2>().map_or(0, |two| u64::from(u16::from_le_bytes(*two)) % 160);
    file.set_len(pages * 4096).expect("room");
    if with_good_mark && pages > 0 {
        // As a faulty process of ours would leave it: a board, whose words are not what they should be.
        file.set_len(1 << 20).expect("room");
        file.write_all_at(bytes, 16).expect("room");
        file.write_all_at(b"DTCTDBD\0", 0).expect("room");
        let version = shm_proto::board::VERSION.to_ne_bytes();
        file.write_all_at(&version, 8).expect("room");
        file.write_all_at(&FRONTENDS.to_ne_bytes(), 12).expect("room");
    } else {
        file.write_all_at(&bytes[..bytes.len().min(pages as usize * 4096)], 0).expect("room");
    }
    if let Ok(board) = Board::open(&name) {
        assert!(board.listen().len() < 1 << 12 && board.model().len() < 1 << 12);
        let _ = (board.state(), board.seats(), board.message(), board.changes(), board.days());
        let _ = (board.in_flight(), board.in_service(), board.fewest_connections(0));
        let _ = board.is_quarantined(1, 2);
        board.visit(3, 4);
        for slot in 0..board.frontends() as u8 {
            let figures = board.frontend(slot).figures();
            let _ = figures.counter(Counter::Requests);
            for stage in Stage::ALL {
                let times = figures.stage(*stage);
                assert!(times.quantile(0.99) >= 0.0 && times.mean() >= 0.0);
                let _ = times.since(times);
            }
        }
        let _ = board.engine(1).figures();
    }
    std::fs::remove_file(&path).expect("it is ours");
}
