use super::*;
use crate::testing::{facts, geometry};
use shm_proto::Owner;
use shm_proto::arena::{self, BatchLimits, EngineArena, Job, Outcome};
use std::sync::mpsc;

const LIMITS: BatchLimits = BatchLimits { max_batch: 1, max_delay: Duration::ZERO, lane: 0 };
const JOB: Job = Job { deadline: Nanos::MAX, digest: 0 };

fn pair() -> (Arc<Attached>, Arc<EngineArena>, Bells) {
    let fd = arena::create(&geometry(2), 1).expect("an arena");
    let bells = Bells::create(1).expect("bells");
    let arena =
        FrontendArena::attach(&fd, Owner { slot: 0, generation: 1 }, bells.clone()).expect("an arena");
    let engine = EngineArena::attach(&fd, bells.clone()).expect("an arena");
    (Attached::new(arena, facts()), engine, bells)
}

/// The engine seems to have answered at once so far.
fn quicken(attached: &Attached) {
    while attached.answering.get() > WATCH {
        attached.answering.saw(0);
    }
}

/// Submits for the request; what is said comes when it is answered.
fn ask(attached: &Arc<Attached>, place: &Place) -> mpsc::Receiver<Outcome> {
    let (say, said) = mpsc::channel();
    let seat = attached.seat_at_once().expect("a seat").submit(JOB);
    let then = move |seat: AnsweredSeat| say.send(seat.outcome()).expect("somebody asked");
    attached.when_answered(place.key(), seat, Box::new(then));
    said
}

fn answer(engine: &Arc<EngineArena>) {
    engine.next(LIMITS, Duration::from_secs(20)).expect("a batch").answer(Outcome::Done);
}

fn is_rung(bells: &Bells) -> bool {
    let fd = bells.fd(0).expect("a bell");
    let mut polls = [nix::poll::PollFd::new(fd, nix::poll::PollFlags::POLLIN)];
    nix::poll::poll(&mut polls, 0u8).expect("the bell") == 1
}

#[test]
fn an_answer_is_handed_out_whether_it_comes_while_it_is_watched_for_or_later() {
    let (attached, engine, _bells) = pair();
    let place = attached.enter();
    let mut in_time = 0;
    for round in 0..2000 {
        quicken(&attached);
        let lane = std::thread::spawn({
            let engine = engine.clone();
            move || answer(&engine)
        });
        let said = ask(&attached, &place);
        in_time += u32::from(said.try_recv() == Ok(Outcome::Done));
        lane.join().expect("a lane");
        attached.look();
        assert!(attached.lock().is_idle(), "round {round}");
    }
    assert!(in_time > 0, "nothing came of watching");
}

#[test]
fn who_is_not_alone_or_not_answered_at_once_is_rung() {
    let (attached, engine, bells) = pair();
    let (place, other) = (attached.enter(), attached.enter());
    for is_quick in [false, true] {
        if is_quick {
            quicken(&attached);
        }
        let said = ask(&attached, &place);
        answer(&engine);
        assert!(is_rung(&bells) && said.try_recv().is_err(), "{is_quick}");
        bells.silence(0);
        attached.look();
        assert_eq!(said.try_recv(), Ok(Outcome::Done), "{is_quick}");
    }
    // Alone: nobody answers while it watches, and then the bell rings again.
    drop(other);
    let said = ask(&attached, &place);
    assert!(!is_rung(&bells));
    answer(&engine);
    assert!(is_rung(&bells));
    attached.look();
    assert_eq!(said.try_recv(), Ok(Outcome::Done));
}
