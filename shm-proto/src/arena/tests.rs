use super::*;
use crate::word::{Owner, SeatState};
use proptest::prelude::*;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

const A: Owner = Owner { slot: 0, generation: 1 };
const JOB: Job = Job { deadline: u64::MAX, digest: 7 };
const LIMITS: BatchLimits = BatchLimits { max_batch: 4, max_delay: Duration::ZERO, lane: 3 };

fn geometry() -> Geometry {
    Geometry { seats: 4, frontends: 2, input_bytes: 12, output_bytes: vec![8, 4] }
}

fn pair() -> (Arc<FrontendArena>, Arc<EngineArena>, OwnedFd) {
    let fd = create(&geometry(), 5).expect("an arena");
    let bells = Bells::create(2).expect("bells");
    let frontend = FrontendArena::attach(&fd, A, bells.clone()).expect("frontend");
    let engine = EngineArena::attach(&fd, bells).expect("engine");
    (frontend, engine, fd)
}

#[test]
fn a_tensor_goes_in_and_outputs_come_back_in_place() {
    let (frontend, engine, _fd) = pair();
    assert_eq!((frontend.generation(), frontend.geometry()), (5, &geometry()));
    let mut first = frontend.claim().expect("a seat");
    let mut second = frontend.claim().expect("a seat");
    first.input_mut().copy_from_slice(&[1; 12]);
    second.input_mut().copy_from_slice(&[2; 12]);
    let (first, second) = (first.submit(JOB), second.submit(JOB));

    let mut batch = engine.next(LIMITS, Duration::ZERO).expect("a batch");
    assert_eq!((batch.first(), batch.len(), batch.digests()), (0, 2, vec![7, 7]));
    assert_eq!(batch.input(), [[1; 12], [2; 12]].concat());
    assert!(engine.addresses().contains(&(batch.input().as_ptr() as usize)));
    batch.output_mut(0).copy_from_slice(&[[10; 8], [20; 8]].concat());
    batch.output_mut(1).copy_from_slice(&[[11; 4], [21; 4]].concat());
    let first = first.poll().expect_err("not answered yet");
    batch.answer(Outcome::Done);

    let (first, second) = (first.poll().expect("an answer"), second.poll().expect("an answer"));
    assert_eq!((first.output(0), first.output(1)), (&[10; 8][..], &[11; 4][..]));
    assert_eq!((second.output(0), second.output(1)), (&[20; 8][..], &[21; 4][..]));
    let run = second.run();
    assert_eq!((second.outcome(), run.batch, run.lane, run.attempts), (Outcome::Done, 2, 3, 0));
    assert!(run.submitted <= run.started && run.started <= run.ended);
}

#[test]
fn dropped_values_give_their_seats_back() {
    let (frontend, engine, fd) = pair();
    let control = ControlArena::attach(&fd, Bells::create(2).expect("bells")).expect("control");
    drop(frontend.claim());
    drop(frontend.claim().expect("a seat").submit(JOB)); // cancelled
    let running = frontend.claim().expect("a seat").submit(JOB);
    let batch = engine.next(LIMITS, Duration::ZERO).expect("a batch");
    drop(running); // abandoned
    assert_eq!(control.counts().of(SeatState::Abandoned), 1);
    drop(batch); // a lane that panics
    let answered = frontend.claim().expect("a seat").submit(JOB);
    drop(engine.next(LIMITS, Duration::ZERO).expect("a batch"));
    let answered = answered.poll().expect("an answer");
    assert_eq!(answered.outcome(), Outcome::Failed);
    drop(answered);
    assert_eq!(control.counts().of(SeatState::Free), 4);
}

#[test]
fn who_watches_for_an_answer_is_not_rung_for_it() {
    let (frontend, engine, _fd) = pair();
    let answer = || engine.next(LIMITS, Duration::ZERO).expect("a batch").answer(Outcome::Done);
    let rings = || {
        let fd = frontend.bells.fd(A.slot).expect("a bell");
        let mut polls = [nix::poll::PollFd::new(fd, nix::poll::PollFlags::POLLIN)];
        nix::poll::poll(&mut polls, 0u8).expect("the bell") == 1
    };
    let submit = || frontend.claim().expect("a seat").submit(JOB);
    let watched = submit();
    assert!(watched.watch(), "it has to be heard after that");
    answer();
    assert!(!rings() && watched.is_answered());
    frontend.bell_heard();
    let other = submit();
    answer();
    assert!(rings() && other.is_answered());
    assert!(!submit().watch(), "who is rung looks");
}

#[test]
fn a_lane_that_sleeps_can_be_woken_without_work() {
    let (_frontend, engine, _fd) = pair();
    let lane = std::thread::spawn({
        let engine = engine.clone();
        move || engine.next(LIMITS, Duration::from_hours(1)).is_none()
    });
    let begun = std::time::Instant::now();
    while !lane.is_finished() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it sleeps on");
        // It may not sleep yet.
        engine.wake_all();
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(lane.join().expect("a lane"));
}

#[test]
fn a_lane_sleeps_until_work_comes_and_a_frontend_until_its_bell_rings() {
    let (frontend, engine, _fd) = pair();
    let lane = std::thread::spawn(move || {
        let batch = engine.next(LIMITS, Duration::from_secs(20)).expect("a batch");
        batch.answer(Outcome::Done);
        engine.next(LIMITS, Duration::from_millis(1)).is_none()
    });
    let bells = frontend.bells.clone();
    let mut submitted = frontend.claim().expect("a seat").submit(JOB);
    loop {
        let fd = bells.fd(A.slot).expect("a bell");
        let mut polls = [nix::poll::PollFd::new(fd, nix::poll::PollFlags::POLLIN)];
        assert_eq!(nix::poll::poll(&mut polls, 20_000u16), Ok(1), "the bell did not ring");
        bells.silence(A.slot);
        frontend.bell_heard();
        match submitted.poll() {
            Ok(_) => break,
            Err(seat) => submitted = seat,
        }
    }
    assert!(lane.join().expect("the lane"));
}

#[test]
fn the_dead_give_back_what_they_held() {
    let (frontend, engine, fd) = pair();
    let control = ControlArena::attach(&fd, Bells::create(2).expect("bells")).expect("control");
    let seats: Vec<_> = (0..4).map(|_| frontend.claim().expect("a seat")).collect();
    let mut seats = seats.into_iter();
    let submitted = seats.next().map(|seat| seat.submit(JOB));
    engine.next(LIMITS, Duration::ZERO).expect("a batch").answer(Outcome::Done);
    let running = seats.next().map(|seat| seat.submit(JOB));
    let batch = engine.next(LIMITS, Duration::ZERO).expect("a batch");
    let waiting = seats.next().map(|seat| seat.submit(JOB));
    // The frontend is killed: its values are not dropped.
    let dead = std::mem::ManuallyDrop::new((submitted, running, waiting, seats));
    let reclaimed = control.reclaim_frontend(A.slot);
    assert_eq!((reclaimed.freed, reclaimed.abandoned), (3, 1));
    batch.answer(Outcome::Done);
    assert_eq!(control.counts().of(SeatState::Free), 4);
    let _ = dead;
}

#[test]
fn an_arena_cannot_be_resized() {
    let fd = create(&geometry(), 1).expect("an arena");
    assert_eq!(nix::unistd::ftruncate(&fd, 0), Err(Errno::EPERM));
    assert_eq!(nix::unistd::ftruncate(&fd, 1 << 30), Err(Errno::EPERM));
}

#[test]
fn foreign_files_are_refused() {
    let bells = || Bells::create(1).expect("bells");
    let plain = tempfile::tempfile().expect("a file");
    assert!(matches!(
        EngineArena::attach(&plain, bells()),
        Err(ArenaError::Foreign(_) | ArenaError::System { .. })
    ));

    let unsealed = memfd_create(c"test", MFdFlags::MFD_ALLOW_SEALING).expect("a memfd");
    assert!(matches!(EngineArena::attach(&unsealed, bells()), Err(ArenaError::Foreign(_))));

    let fd = create(&geometry(), 1).expect("an arena");
    let refused = FrontendArena::attach(&fd, Owner { slot: 2, generation: 0 }, bells());
    assert!(matches!(refused, Err(ArenaError::Foreign(_))), "{refused:?}");
}

/// A sealed file of these bytes, as a hostile peer would pass it.
fn sealed(bytes: &[u8]) -> OwnedFd {
    use std::io::Write;
    let fd = memfd_create(c"test", MFdFlags::MFD_ALLOW_SEALING).expect("a memfd");
    let mut file = File::from(fd);
    file.write_all(bytes).expect("room");
    fcntl(&file, FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK)).expect("a seal");
    file.into()
}

#[test]
fn another_version_is_refused_and_says_so() {
    let mut header = geometry().header(1);
    header[8] = 99;
    let error = EngineArena::attach(sealed(&header), Bells::create(1).expect("bells")).expect_err("refused");
    assert!(error.to_string().contains("version 99"), "{error}");
}

#[test]
fn impossible_sizes_are_refused() {
    let with = |change: fn(&mut Geometry)| {
        let mut geometry = geometry();
        change(&mut geometry);
        geometry.check()
    };
    assert_eq!(with(|_| ()), Ok(()));
    assert_eq!(with(|g| g.seats = 0), Err(GeometryError::Seats(0)));
    assert_eq!(with(|g| g.seats = MAX_SEATS + 1), Err(GeometryError::Seats(MAX_SEATS + 1)));
    assert_eq!(with(|g| g.frontends = 65), Err(GeometryError::Frontends(65)));
    assert!(with(|g| g.input_bytes = 0).is_err());
    assert!(with(|g| g.output_bytes.clear()).is_err());
    assert!(with(|g| g.output_bytes = vec![1; MAX_OUTPUTS + 1]).is_err());
    assert_eq!(with(|g| g.input_bytes = u64::MAX), Err(GeometryError::TooLarge));
    assert_eq!(with(|g| g.output_bytes = vec![u64::MAX / 4, u64::MAX / 4]), Err(GeometryError::TooLarge));
}

#[test]
fn memory_that_cannot_be_had_is_an_error_with_a_remedy() {
    let huge = Geometry { seats: 4096, frontends: 1, input_bytes: 1 << 40, output_bytes: vec![1] };
    let error = create(&huge, 1).expect_err("refused").to_string();
    assert!(error.contains("engine.seats"), "{error}");
}

proptest! {
    #[test]
    fn a_header_round_trips(seats in 1u32..5000, frontends in 1u32..70, input: u64, outputs in proptest::collection::vec(any::<u64>(), 0..MAX_OUTPUTS), generation: u32) {
        let geometry = Geometry { seats, frontends, input_bytes: input, output_bytes: outputs };
        let header: [u8; HEADER_LEN] = geometry.header(generation).try_into().unwrap();
        let (read, read_generation) = Geometry::from_header(&header).unwrap();
        prop_assert_eq!((read, read_generation), (geometry, generation));
    }

    /// No bytes make attaching panic or map beyond the file.
    #[test]
    fn arbitrary_bytes_are_refused_or_attached_safely(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), mark: bool, len in 0usize..20_000) {
        if mark && bytes.len() >= 12 {
            bytes[..8].copy_from_slice(&MAGIC);
            bytes[8..12].copy_from_slice(&LAYOUT_VERSION.to_ne_bytes());
        }
        bytes.resize(len, 0);
        let _ = EngineArena::attach(sealed(&bytes), Bells::create(1).unwrap());
    }

    /// Tensors neither overlap nor leave the arena.
    #[test]
    fn tensors_lie_apart(seats in 1u32..40, input in 1u64..9000, outputs in proptest::collection::vec(0u64..9000, 1..6)) {
        let geometry = Geometry { seats, frontends: 3, input_bytes: input, output_bytes: outputs.clone() };
        let layout = geometry.layout().unwrap();
        let mut ranges = vec![(layout.inputs, seats as u64 * input)];
        ranges.extend(layout.outputs.iter().copied().zip(outputs.iter().map(|each| seats as u64 * each)));
        let mut end = layout.records + seats as usize * size_of::<crate::ring::SeatRecord>();
        for (start, len) in ranges {
            prop_assert!(start >= end && start % 4096 == 0);
            end = start + len as usize;
        }
        prop_assert!(end <= layout.total);
    }

    /// Whatever lies in the control words, looking at the ring neither panics nor leaves the arena.
    #[test]
    fn arbitrary_control_words_are_harmless(words in proptest::collection::vec(any::<u64>(), 64)) {
        let (frontend, engine, fd) = pair();
        let layout = geometry().layout().unwrap();
        let raw: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        pwrite(&fd, &raw[..32], layout.seats as i64).unwrap();
        pwrite(&fd, &raw[32..288], layout.records as i64).unwrap();
        pwrite(&fd, &raw[288..304], layout.frontends as i64).unwrap();
        pwrite(&fd, &raw[304..308], (CONTROL_OFFSET + 8) as i64).unwrap();
        let claimed = frontend.claim();
        let granted = frontend.granted();
        if let Some(batch) = engine.next(LIMITS, Duration::ZERO) {
            prop_assert!(batch.first() + batch.len() <= 4);
        }
        let control = ControlArena::attach(&fd, Bells::create(2).unwrap()).unwrap();
        control.reclaim_frontend(0);
        control.reclaim_engine();
        let _ = control.counts();
        drop((claimed, granted));
    }
}
