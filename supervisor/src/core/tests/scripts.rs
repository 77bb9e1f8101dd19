//! Scripts: a line is an event and the actions that follow from it. `after N` lets time pass up to the next timer.

use super::*;

/// Plays the script against a supervisor of that many frontends.
fn check(frontends: u8, script: &[(&str, &str)]) {
    play(&mut Supervisor::new(settings(frontends), 1), &mut Instant::now(), script);
}

fn play(supervisor: &mut Supervisor, now: &mut Instant, script: &[(&str, &str)]) {
    for (line, (event, expected)) in script.iter().enumerate() {
        if let Some(seconds) = event.strip_prefix("after ") {
            *now += Duration::from_secs_f64(seconds.parse().expect("seconds"));
        }
        let actions = supervisor.step(parse(event), *now);
        let said: Vec<String> = actions.iter().filter_map(words).collect();
        assert_eq!(said.join("; "), *expected, "line {line}: {event}");
    }
}

fn parse(text: &str) -> Event {
    let parts: Vec<&str> = text.split(' ').collect();
    let say = |who: &str, message| Event::Said { child: child(who), message };
    match parts[..] {
        ["begin"] => Event::Begin,
        ["after", _] => Event::Timer,
        ["TERM"] => Event::Signal(Signal::Term),
        ["INT"] => Event::Signal(Signal::Int),
        ["HUP"] => Event::Signal(Signal::Hup),
        ["USR1"] => Event::Signal(Signal::Usr1),
        ["USR2"] => Event::Signal(Signal::Usr2),
        ["made", arena] => Event::ArenaMade { generation: arena.parse().expect("generation") },
        ["no", "memory"] => Event::ArenaFailed { error: "no memory".to_owned() },
        ["reloaded"] => Event::Reloaded { engine: false, frontends: true, restart: vec![] },
        ["reloaded", "engine"] => Event::Reloaded { engine: true, frontends: false, restart: vec![] },
        ["reloaded", "nothing"] => {
            Event::Reloaded { engine: false, frontends: false, restart: vec!["service.procs".to_owned()] }
        }
        ["program", "good"] => Event::ProgramChecked { error: None },
        ["program", "bad"] => Event::ProgramChecked { error: Some("no such model".to_owned()) },
        ["no", "exec"] => Event::HandOverFailed { error: "permission denied".to_owned() },
        ["refused"] => Event::ReloadRefused { error: "config.toml:3: unknown key".to_owned() },
        [who, "model", number] => say(who, Message::Model(model(number.parse().expect("number")))),
        [who, "ready", arena] => say(who, Message::Ready { generation: arena.parse().expect("generation") }),
        [who, "drained"] => say(who, Message::Drained),
        [who, "fatal", exit] => {
            say(who, Message::Fatal { exit: exit.parse().expect("exit"), message: "the reason".to_owned() })
        }
        [who, "exits", code] => {
            Event::Exited { child: child(who), how: Ending::Code(code.parse().expect("code")) }
        }
        [who, "dies", signal] => {
            Event::Exited { child: child(who), how: Ending::Signal(signal.parse().expect("signal")) }
        }
        [who, "silent"] => Event::Silent { child: child(who), quiet: Duration::from_secs(3) },
        [who, "unborn"] => Event::SpawnFailed { child: child(who), error: "EAGAIN".to_owned() },
        _ => panic!("what is {text:?}?"),
    }
}

/// The start of most stories: two frontends and an engine, ready on arena 1.
const UP: [(&str, &str); 6] = [
    ("begin", "spawn e.1; spawn f0.1; spawn f1.1; starting"),
    ("e.1 model 7", "arena 1"),
    ("made 1", "attach e.1 to 1; attach f0.1 to 1; attach f1.1 to 1; show 1"),
    ("f0.1 ready 1", ""),
    ("f1.1 ready 1", ""),
    ("e.1 ready 1", "serving; READY"),
];

fn check_up(script: &[(&str, &str)]) {
    check(2, &[&UP[..], script].concat());
}

#[test]
fn readiness_waits_for_the_last_of_all() {
    check_up(&[]);
}

#[test]
fn readiness_on_another_arena_is_no_readiness() {
    check(1, &[("begin", "spawn e.1; spawn f0.1; starting"), ("f0.1 ready 9", ""), ("e.1 ready 9", "")]);
}

#[test]
fn a_dead_frontend_is_reclaimed_then_replaced_and_the_service_serves_on() {
    check_up(&[
        ("f0.1 dies 9", "reclaim f0.1"),
        ("after 0.05", ""),
        ("after 0.06", "spawn f0.2; attach f0.2 to 1"),
        ("f0.2 ready 1", ""),
    ]);
}

#[test]
fn a_dead_engine_leaves_the_service_degraded_and_its_successor_inherits_the_arena() {
    check_up(&[
        ("e.1 dies 11", "reclaim e.1; engine down"),
        ("after 0.1", "spawn e.2"),
        ("e.2 model 7", "attach e.2 to 1"),
        ("e.2 ready 1", "serving"),
    ]);
}

#[test]
fn an_engine_with_another_model_gets_an_arena_of_its_own_and_everybody_moves() {
    check_up(&[
        ("e.1 dies 9", "reclaim e.1; engine down"),
        ("after 0.1", "spawn e.2"),
        ("e.2 model 8", "arena 2"),
        ("made 2", "attach e.2 to 2; attach f0.1 to 2; attach f1.1 to 2; show 2; drop arena 1"),
        ("e.2 ready 2", "serving"),
    ]);
}

#[test]
fn both_frontends_down_is_not_ready() {
    check_up(&[("f0.1 dies 9", "reclaim f0.1"), ("f1.1 dies 9", "reclaim f1.1; engine down")]);
}

#[test]
fn words_of_the_dead_change_nothing() {
    check_up(&[
        ("e.1 dies 9", "reclaim e.1; engine down"),
        ("e.1 model 8", ""),
        ("e.1 dies 9", ""),
        ("e.9 silent", ""),
    ]);
}

#[test]
fn a_hanging_child_is_aborted_then_killed_and_replaced_only_after_it_was_reaped() {
    check_up(&[
        ("f1.1 silent", "abort f1.1"),
        ("f1.1 silent", ""),
        ("after 0.9", ""),
        ("after 0.2", "kill f1.1"),
        ("after 60", ""),
        ("f1.1 dies 9", "reclaim f1.1"),
        ("after 0.2", "spawn f1.2; attach f1.2 to 1"),
    ]);
}

#[test]
fn a_child_that_refuses_its_configuration_at_the_start_ends_the_service_with_2() {
    for exit in ["2", "78"] {
        check(
            1,
            &[
                ("begin", "spawn e.1; spawn f0.1; starting"),
                (&format!("e.1 fatal {exit}"), ""),
                (&format!("e.1 exits {exit}"), "reclaim e.1; STOPPING; stop f0.1; draining"),
                ("f0.1 exits 0", "reclaim f0.1; exit 2"),
            ],
        );
    }
}

#[test]
fn a_child_that_refuses_its_configuration_later_ends_the_service_with_78() {
    check_up(&[
        ("e.1 dies 9", "reclaim e.1; engine down"),
        ("after 0.1", "spawn e.2"),
        ("e.2 exits 78", "reclaim e.2; STOPPING; stop f0.1; stop f1.1; draining"),
        ("f0.1 exits 0", "reclaim f0.1"),
        ("f1.1 exits 0", "reclaim f1.1; exit 78"),
    ]);
}

#[test]
fn no_memory_for_the_arena_ends_the_start_with_75() {
    check(
        1,
        &[
            ("begin", "spawn e.1; spawn f0.1; starting"),
            ("e.1 model 7", "arena 1"),
            ("no memory", "STOPPING; stop e.1; stop f0.1; draining"),
            ("e.1 exits 0", "reclaim e.1"),
            ("f0.1 exits 0", "reclaim f0.1; exit 75"),
        ],
    );
}

#[test]
fn a_process_that_cannot_be_made_is_tried_again() {
    check(
        1,
        &[
            ("begin", "spawn e.1; spawn f0.1; starting"),
            ("f0.1 unborn", ""),
            ("after 0.1", "spawn f0.2"),
            ("f0.2 unborn", ""),
            ("after 0.1", ""),
            ("after 0.1", "spawn f0.3"),
        ],
    );
}

#[test]
fn term_drains_frontends_before_the_engine_stops() {
    for signal in ["TERM", "INT"] {
        check_up(&[
            (signal, "STOPPING; draining; drain f0.1; drain f1.1"),
            ("f0.1 drained", "stop f0.1"),
            ("f0.1 exits 0", "reclaim f0.1"),
            ("f1.1 exits 0", "reclaim f1.1; stop e.1"),
            ("e.1 exits 0", "reclaim e.1; exit 0"),
            ("TERM", ""),
        ]);
    }
}

#[test]
fn an_engine_that_dies_during_the_drain_comes_back_for_what_is_in_flight() {
    check_up(&[
        ("TERM", "STOPPING; draining; drain f0.1; drain f1.1"),
        ("e.1 dies 9", "reclaim e.1"),
        ("after 0.1", "spawn e.2"),
        ("e.2 model 7", "attach e.2 to 1"),
        ("f0.1 exits 0", "reclaim f0.1"),
        ("f1.1 dies 9", "reclaim f1.1; stop e.2"),
        ("e.2 exits 0", "reclaim e.2; exit 0"),
    ]);
}

#[test]
fn the_drain_ends_in_time_whatever_children_do() {
    check_up(&[
        ("TERM", "STOPPING; draining; drain f0.1; drain f1.1"),
        ("after 30.9", ""),
        ("after 0.1", "kill f0.1; kill f1.1"),
        ("f0.1 dies 9", "reclaim f0.1"),
        ("f1.1 dies 9", "reclaim f1.1; stop e.1"),
        ("after 5", "kill e.1"),
        ("after 5", "exit 0"),
    ]);
}

#[test]
fn a_frontend_that_hangs_while_it_leaves_is_not_waited_for() {
    check_up(&[
        ("TERM", "STOPPING; draining; drain f0.1; drain f1.1"),
        ("f0.1 silent", "abort f0.1"),
        ("after 1", "kill f0.1"),
        ("f0.1 dies 9", "reclaim f0.1"),
        ("f1.1 exits 0", "reclaim f1.1; stop e.1"),
        ("e.1 exits 0", "reclaim e.1; exit 0"),
    ]);
}

#[test]
fn the_second_term_kills() {
    check_up(&[
        ("TERM", "STOPPING; draining; drain f0.1; drain f1.1"),
        ("INT", "kill e.1; kill f0.1; kill f1.1"),
        ("e.1 dies 9", "reclaim e.1"),
        ("f0.1 dies 9", "reclaim f0.1"),
        ("f1.1 dies 9", "reclaim f1.1; exit 0"),
    ]);
}

#[test]
fn term_during_the_start_leaves_at_once() {
    check(
        1,
        &[
            ("begin", "spawn e.1; spawn f0.1; starting"),
            ("TERM", "STOPPING; draining; drain f0.1"),
            ("f0.1 exits 0", "reclaim f0.1; stop e.1"),
            ("e.1 exits 0", "reclaim e.1; exit 0"),
        ],
    );
}

#[test]
fn a_reload_replaces_frontends_one_at_a_time() {
    check_up(&[
        ("HUP", "RELOADING; reload"),
        ("HUP", ""),
        ("reloaded", "drain f0.1"),
        ("f0.1 drained", "stop f0.1"),
        ("f0.1 exits 0", "reclaim f0.1; spawn f0.2; attach f0.2 to 1"),
        ("f0.2 ready 1", "drain f1.1"),
        ("f1.1 exits 0", "reclaim f1.1; spawn f1.2; attach f1.2 to 1"),
        ("f1.2 ready 1", "REPORT good; READY; RELOADING; reload"),
        ("reloaded nothing", "REPORT good; READY"),
    ]);
}

#[test]
fn a_refused_reload_changes_nothing() {
    check_up(&[("HUP", "RELOADING; reload"), ("refused", "REPORT bad; READY"), ("HUP", "RELOADING; reload")]);
}

#[test]
fn a_reload_that_the_second_frontend_refuses_is_taken_back_for_both() {
    check_up(&[
        ("HUP", "RELOADING; reload"),
        ("reloaded", "drain f0.1"),
        ("f0.1 exits 0", "reclaim f0.1; spawn f0.2; attach f0.2 to 1"),
        ("f0.2 ready 1", "drain f1.1"),
        ("f1.1 exits 0", "reclaim f1.1; spawn f1.2; attach f1.2 to 1"),
        ("f1.2 exits 78", "reclaim f1.2; revert; spawn f1.3; attach f1.3 to 1"),
        ("f1.3 ready 1", "drain f0.2"),
        ("f0.2 exits 0", "reclaim f0.2; spawn f0.3; attach f0.3 to 1"),
        ("f0.3 ready 1", "REPORT bad; READY"),
    ]);
}

#[test]
fn a_hup_during_the_start_waits_for_its_end() {
    check(
        1,
        &[
            ("begin", "spawn e.1; spawn f0.1; starting"),
            ("HUP", ""),
            ("e.1 model 7", "arena 1"),
            ("made 1", "attach e.1 to 1; attach f0.1 to 1; show 1"),
            ("e.1 ready 1", ""),
            ("f0.1 ready 1", "serving; READY; RELOADING; reload"),
        ],
    );
}

#[test]
fn a_frontend_that_cannot_use_its_configuration_now_is_tried_again_while_others_serve() {
    check_up(&[
        ("f1.1 dies 9", "reclaim f1.1"),
        ("after 5", "spawn f1.2; attach f1.2 to 1"),
        ("f1.2 exits 78", "reclaim f1.2"),
        ("after 5", "spawn f1.3; attach f1.3 to 1"),
    ]);
}

#[test]
fn a_reload_fills_an_empty_place_first_and_hears_its_word() {
    check_up(&[
        ("f1.1 dies 9", "reclaim f1.1"),
        ("HUP", "RELOADING; reload"),
        ("reloaded", "spawn f1.2; attach f1.2 to 1"),
        ("f1.2 ready 1", "drain f0.1"),
        ("f0.1 exits 0", "reclaim f0.1; spawn f0.2; attach f0.2 to 1"),
        ("f0.2 ready 1", "REPORT good; READY"),
    ]);
}

#[test]
fn term_ends_a_reload() {
    check_up(&[
        ("HUP", "RELOADING; reload"),
        ("reloaded", "drain f0.1"),
        ("TERM", "STOPPING; draining; drain f0.1; drain f1.1"),
        ("f0.1 exits 0", "reclaim f0.1"),
        ("f1.1 exits 0", "reclaim f1.1; stop e.1"),
    ]);
}

#[test]
fn signals_without_a_meaning_here_change_nothing() {
    check_up(&[("USR1", ""), ("begin", "")]);
}

#[test]
fn eleven_deaths_in_a_row_end_the_service_with_70() {
    let (mut supervisor, mut now) = (Supervisor::new(settings(1), 1), Instant::now());
    supervisor.step(Event::Begin, now);
    for generation in 1..=11 {
        let id = ChildId { kind: Kind::Frontend, slot: 0, generation };
        let actions = supervisor.step(Event::Exited { child: id, how: Ending::Signal(6) }, now);
        assert_eq!(actions.contains(&Action::Tell(child("e.1"), Order::Stop)), generation == 11);
        if generation < 11 {
            now = supervisor.deadline().expect("it waits");
            supervisor.step(Event::Timer, now);
        }
    }
    let last = supervisor.step(Event::Exited { child: child("e.1"), how: Ending::Code(0) }, now);
    assert_eq!(last.iter().filter_map(words).collect::<Vec<_>>(), ["reclaim e.1", "exit 70"]);
}

#[test]
fn patience_depends_on_what_a_child_is_at() {
    let (mut supervisor, now) = (Supervisor::new(settings(1), 1), Instant::now());
    let (seconds, engine, frontend) = (|s| Some(Duration::from_secs(s)), child("e.1"), child("f0.1"));
    supervisor.step(Event::Begin, now);
    assert_eq!(supervisor.patience(engine, true), seconds(120), "loading a model takes time");
    assert_eq!(supervisor.patience(frontend, false), seconds(120));
    assert_eq!(supervisor.patience(frontend, true), seconds(3));
    for event in ["e.1 model 7", "made 1", "e.1 ready 1", "f0.1 ready 1"] {
        supervisor.step(parse(event), now);
    }
    assert_eq!(supervisor.patience(engine, true), seconds(10));
    assert_eq!(supervisor.patience(child("e.2"), true), None, "nobody");
    supervisor.step(Event::Signal(Signal::Term), now);
    assert_eq!(supervisor.patience(frontend, true), seconds(3), "it finishes what it holds");
    assert_eq!(supervisor.patience(engine, true), seconds(10), "it works on");
}

/// A reload with another model, up to the ready candidate.
const CANDIDATE: [(&str, &str); 5] = [
    ("HUP", "RELOADING; reload"),
    ("reloaded engine", "spawn e1.1"),
    ("e1.1 model 8", "arena 2"),
    ("made 2", "attach e1.1 to 2"),
    ("e1.1 ready 2", "drain f0.1"),
];

fn check_swap(script: &[(&str, &str)]) {
    check(2, &[&UP[..], &CANDIDATE, script].concat());
}

#[test]
fn another_model_is_loaded_beside_the_one_that_serves_and_the_old_engine_goes_last() {
    check_swap(&[
        ("f0.1 exits 0", "reclaim f0.1; spawn f0.2; attach f0.2 to 2"),
        ("f0.2 ready 2", "drain f1.1"),
        ("f1.1 exits 0", "reclaim f1.1; spawn f1.2; attach f1.2 to 2"),
        ("f1.2 ready 2", "stop e.1; show 2; drop arena 1; REPORT good; READY"),
        ("e.1 exits 0", "reclaim e.1"),
        // The other way round.
        ("HUP", "RELOADING; reload"),
        ("reloaded engine", "spawn e.2"),
    ]);
}

#[test]
fn a_candidate_that_cannot_serve_changes_nothing() {
    check_up(&[
        ("HUP", "RELOADING; reload"),
        ("reloaded engine", "spawn e1.1"),
        ("e1.1 fatal 78", ""),
        ("e1.1 exits 78", "reclaim e1.1; revert; REPORT bad; READY"),
    ]);
}

#[test]
fn a_frontend_that_refuses_the_new_model_takes_the_reload_back() {
    check_swap(&[
        ("f0.1 exits 0", "reclaim f0.1; spawn f0.2; attach f0.2 to 2"),
        ("f0.2 exits 78", "reclaim f0.2; revert; spawn f0.3; attach f0.3 to 1"),
        ("f0.3 ready 1", "kill e1.1; drop arena 2; REPORT bad; READY"),
        ("e1.1 dies 9", "reclaim e1.1"),
    ]);
}

#[test]
fn the_old_engine_may_die_during_a_swap_and_is_replaced_by_one_of_its_kind() {
    check_swap(&[
        ("e.1 dies 9", "reclaim e.1; engine down"),
        ("after 0.2", "spawn e.2"),
        ("e.2 model 7", "attach e.2 to 1"),
        ("e.2 ready 1", "serving"),
    ]);
}

#[test]
fn the_candidate_may_die_while_frontends_move_and_is_replaced_by_one_of_its_kind() {
    check_swap(&[
        ("f0.1 exits 0", "reclaim f0.1; spawn f0.2; attach f0.2 to 2"),
        ("e1.1 dies 9", "reclaim e1.1"),
        ("after 0.2", "spawn e1.2"),
        ("e1.2 model 8", "attach e1.2 to 2"),
    ]);
}

#[test]
fn term_during_a_swap_leaves_both_engines_to_their_frontends() {
    check_swap(&[
        ("f0.1 exits 0", "reclaim f0.1; spawn f0.2; attach f0.2 to 2"),
        ("TERM", "STOPPING; draining; drain f0.2; drain f1.1"),
        ("f0.2 exits 0", "reclaim f0.2"),
        ("f1.1 exits 0", "reclaim f1.1; stop e.1; stop e1.1"),
    ]);
}

fn check_standby(script: &[(&str, &str)]) {
    let (mut supervisor, mut now) =
        (Supervisor::new(Settings { standby: true, ..settings(1) }, 1), Instant::now());
    play(&mut supervisor, &mut now, script);
}

#[test]
fn a_standby_is_loaded_when_the_first_engine_serves_and_takes_over_at_once() {
    check_standby(&[
        ("begin", "spawn e.1; spawn f0.1; starting"),
        ("e.1 model 7", "arena 1"),
        ("made 1", "attach e.1 to 1; attach f0.1 to 1; show 1"),
        ("f0.1 ready 1", ""),
        ("e.1 ready 1", "serving; READY; spawn e1.1"),
        ("e1.1 model 7", ""),
        ("e.1 dies 9", "reclaim e.1; attach e1.1 to 1; engine down"),
        ("e1.1 ready 1", "serving"),
        ("after 0.2", "spawn e.2"),
        ("e.2 model 7", ""),
        // A reload takes the standby's place, and gives it back.
        ("HUP", "RELOADING; reload"),
        ("reloaded engine", "kill e.2"),
        ("e.2 dies 9", "reclaim e.2; spawn e.3"),
        ("e.3 model 8", "arena 2"),
        ("made 2", "attach e.3 to 2"),
        ("e.3 ready 2", "drain f0.1; engine down"),
        ("f0.1 exits 0", "reclaim f0.1; spawn f0.2; attach f0.2 to 2"),
        ("f0.2 ready 2", "stop e1.1; show 2; drop arena 1; REPORT good; READY; serving"),
        ("e1.1 exits 0", "reclaim e1.1; spawn e1.2"),
    ]);
}

#[test]
fn a_standby_that_cannot_use_its_configuration_is_done_without() {
    check_standby(&[
        ("begin", "spawn e.1; spawn f0.1; starting"),
        ("e.1 model 7", "arena 1"),
        ("made 1", "attach e.1 to 1; attach f0.1 to 1; show 1"),
        ("f0.1 ready 1", ""),
        ("e.1 ready 1", "serving; READY; spawn e1.1"),
        ("e1.1 exits 78", "reclaim e1.1"),
        ("after 60", ""),
    ]);
}

const READY: [(&str, &str); 5] = [
    ("begin", "spawn e.1; spawn f0.1; starting"),
    ("e.1 model 7", "arena 1"),
    ("made 1", "attach e.1 to 1; attach f0.1 to 1; show 1"),
    ("f0.1 ready 1", ""),
    ("e.1 ready 1", "serving; READY"),
];

fn check_ready(script: &[(&str, &str)]) {
    let (mut supervisor, mut now) = (Supervisor::new(settings(1), 1), Instant::now());
    play(&mut supervisor, &mut now, &READY);
    play(&mut supervisor, &mut now, script);
}

#[test]
fn an_upgrade_tries_the_program_first_and_changes_nothing_when_it_fails() {
    check_ready(&[
        ("USR2", "RELOADING; check program"),
        ("program bad", "REPORT bad; READY"),
        ("USR2", "RELOADING; check program"),
        ("program good", "hand over"),
        ("no exec", "REPORT bad; READY"),
    ]);
}

#[test]
fn changes_wait_for_each_other() {
    check_ready(&[
        ("USR2", "RELOADING; check program"),
        ("HUP", ""),
        ("USR2", ""),
        ("program bad", "REPORT bad; READY; RELOADING; reload"),
        ("reloaded nothing", "REPORT good; READY; RELOADING; check program"),
        ("program good", "hand over"),
    ]);
}

#[test]
fn what_waits_for_an_upgrade_is_handed_over_with_it() {
    let (mut supervisor, mut now) = (Supervisor::new(settings(1), 1), Instant::now());
    play(&mut supervisor, &mut now, &READY);
    play(&mut supervisor, &mut now, &[("USR2", "RELOADING; check program")]);
    assert_eq!(supervisor.postponed().count(), 0);
    play(&mut supervisor, &mut now, &[("USR2", ""), ("HUP", ""), ("program good", "hand over")]);
    assert_eq!(supervisor.postponed().collect::<Vec<_>>(), [Signal::Hup, Signal::Usr2]);
}

#[test]
fn a_service_that_is_not_ready_does_not_hand_over() {
    check_ready(&[
        ("USR2", "RELOADING; check program"),
        ("e.1 dies 9", "reclaim e.1; engine down"),
        ("program good", "REPORT bad; READY"),
    ]);
    check_ready(&[
        ("USR2", "RELOADING; check program"),
        ("TERM", "STOPPING; draining; drain f0.1"),
        ("program good", ""),
        ("USR2", ""),
    ]);
}
