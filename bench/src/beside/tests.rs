use super::*;

fn reached(turns: &[(f64, usize)]) -> Vec<Reached> {
    turns.iter().map(|&(worked, done)| Reached { worked, done }).collect()
}

#[test]
fn the_turns_between_start_and_end_are_set_against_the_floor_around_them() {
    // It starts for a turn and a half, and has all answers before its last turn is over: of both only the whole batch tells.
    let turns = reached(&[(1.0, 0), (2.0, 40), (3.0, 130), (4.0, 230), (5.0, 240)]);
    let whole = Reached { worked: 5.5, done: 240 };
    let beside = compare(&turns, &[1.0, 100.0, 80.0, 120.0, 1.0], whole).expect("two turns to measure");
    assert_eq!((beside.batch, &beside.shares[..]), (95.0, &[0.95][..]));
    assert!((beside.whole - 240.0 / 5.5).abs() < 1e-9);
    assert_eq!(beside.job, [100.0, 80.0, 120.0]);
}

#[test]
fn every_turn_is_in_one_block() {
    let shares = |turns: u8| {
        let reached: Vec<Reached> =
            (1..=turns).map(|k| Reached { worked: f64::from(k), done: 50 * usize::from(k) }).collect();
        let job = vec![100.0; reached.len()];
        compare(&reached, &job, Reached { worked: 100.0, done: 5000 }).expect("turns to measure").shares
    };
    assert_eq!(shares(2), [0.5]);
    assert_eq!(shares(9), [0.5, 0.5]);
    assert_eq!(shares(12), [0.5, 0.5], "three turns are none of their own");
}

#[test]
fn a_batch_without_a_whole_turn_is_not_measured() {
    for turns in
        [&[][..], &[(1.0, 40)], &[(1.0, 0), (2.0, 0), (3.0, 40)], &[(1.0, 40), (2.0, 60)], &[(1.0, 60)]]
    {
        let job = vec![100.0; turns.len()];
        let error = compare(&reached(turns), &job, Reached { worked: 3.2, done: 60 }).expect_err("no turn");
        assert!(error.to_string().contains("3.2 s"), "{error}");
    }
}

#[test]
fn a_tree_of_processes_stands_still_and_goes_on() {
    // A shell, not replaced by its last command, with a child of its own.
    let mut shell = Command::new("sh").args(["-c", "sleep 60 & wait; :"]).spawn().expect("a shell");
    let pid = Pid::from_raw(shell.id().cast_signed());
    let child = std::iter::repeat_with(|| {
        std::thread::sleep(LOOK);
        children(pid).expect("the kernel tells").first().copied()
    })
    .take(2000)
    .find_map(|child| child)
    .expect("the shell's child");
    let state = |pid: Pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
        stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).expect("its state")
    };
    let stopped = Stopped::tree(shell.id()).expect("they stop");
    // Signals arrive when the process next would run.
    let both = |wanted: char| {
        (0..2000).any(|_| {
            std::thread::sleep(LOOK);
            state(pid) == wanted && state(child) == wanted
        })
    };
    assert!(both('T'), "they do not stand still");
    drop(stopped);
    assert!(both('S'), "they do not go on");
    for pid in [child, pid] {
        let _ = kill(pid, Signal::SIGKILL);
    }
    let _ = shell.wait();
}
