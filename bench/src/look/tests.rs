use super::*;

#[test]
fn busy_time_leaves_out_what_is_idle_and_names_what_was_stolen() {
    let (busy, stolen) = times_of("cpu  100 20 30 4000 500 6 7 80 9 10");
    assert!((busy - 1.63).abs() < 1e-9 && (stolen - 0.8).abs() < 1e-9, "{busy} {stolen}");
}

#[test]
fn a_process_uses_time_and_one_that_is_not_there_uses_none() {
    let before = used(std::process::id());
    let begun = std::time::Instant::now();
    let mut after = used(std::process::id());
    // Time is counted in ticks, and a loaded machine gives them late.
    while after.cpu <= before.cpu && begun.elapsed() < Duration::from_secs(20) {
        after = used(std::process::id());
    }
    assert!(after.cpu > before.cpu, "{:?} {:?}", before.cpu, after.cpu);
    // Not compared with before: threads of other tests take theirs along when they end.
    std::thread::sleep(Duration::from_millis(1));
    assert!(used(std::process::id()).switches > 0);
    assert_eq!(used(0).cpu, Duration::ZERO);
    assert!(pss_kib(std::process::id()) > 100.0);
}

#[test]
fn a_thread_says_what_it_is_and_how_often_it_was_switched() {
    let status = |name: &str| {
        format!("Name:\t{name}\nUmask:\t0022\nvoluntary_ctxt_switches:\t7\nnonvoluntary_ctxt_switches:\t2\n")
    };
    assert_eq!(task_of(&status("decode-0")), (true, 9));
    assert_eq!(task_of(&status("detectd")), (false, 9));
    assert_eq!(task_of(""), (false, 0), "one that has ended meanwhile");
}
