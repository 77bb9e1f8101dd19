use super::*;

#[test]
fn defaults_survive_toml_and_json() {
    let text = toml::to_string(&Config::default()).unwrap();
    assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config::default());
    assert_eq!(toml::from_str::<Config>("").unwrap(), Config::default());
    let boot = EngineBoot { model: ModelConfig::new("a.onnx"), ..EngineBoot::default() };
    assert_eq!(serde_json::from_str::<EngineBoot>(&serde_json::to_string(&boot).unwrap()).unwrap(), boot);
}

#[test]
fn an_unknown_key_is_named() {
    let error = toml::from_str::<Config>("lane = 3").unwrap_err().to_string();
    assert!(error.contains("`lane`") && error.contains("`lanes`"), "{error}");
    assert!(toml::from_str::<ModelConfig>("file = \"x\"").is_err());
}

#[test]
fn devices_are_read_and_written() {
    for (text, device) in
        [("cpu", Device::Cpu), ("cuda:0", Device::Cuda(0)), ("cuda:3", Device::Cuda(3)), ("sim", Device::Sim)]
    {
        assert_eq!(text.parse(), Ok(device));
        assert_eq!(device.to_string(), text);
    }
    assert_eq!("cuda".parse(), Ok(Device::Cuda(0)));
    for wrong in ["", "gpu", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "CPU", "cuda:99999999999"] {
        assert!(wrong.parse::<Device>().unwrap_err().contains("cuda:0"), "{wrong}");
    }
    assert!(toml::from_str::<Config>("device = \"tpu\"").unwrap_err().to_string().contains("tpu"));
}

#[test]
fn zero_is_resolved_for_the_device() {
    let cpu = Config::default();
    assert!(cpu.lanes() >= 1);
    assert_eq!((cpu.threads(), cpu.max_batch()), (1, 1));
    let gpu = Config { device: Device::Cuda(0), ..Config::default() };
    assert_eq!((gpu.lanes(), gpu.max_batch()), (2, 8));
    let said = Config { lanes: 3, threads: 2, max_batch: 4, ..Config::default() };
    assert_eq!((said.lanes(), said.threads(), said.max_batch()), (3, 2, 4));
    let sim = Config { device: Device::Sim, ..Config::default() };
    assert_eq!((sim.lanes(), sim.max_batch(), sim.idle_threads()), (1, 8, None));
    let wide = Config { threads: 1024, ..Config::default() };
    assert_eq!(wide.lanes(), 1, "lanes times threads stay within the cores");
}

#[test]
fn seats_hold_at_least_one_batch() {
    let automatic =
        |max_batch, frontends, decoding| Config::default().seats(2, max_batch, frontends, decoding);
    assert_eq!(automatic(1, 1, 1), 2 * 2 + cores() + 1);
    assert_eq!(automatic(1, cores(), cores()), 2 * 2 + cores() + cores());
    let threads = 3 * cores();
    assert_eq!(automatic(1, threads, threads), 2 * 2 + threads, "one for each decode thread");
    assert_eq!(automatic(8, 1, threads), 2 * 2 * 8 + 2, "pictures that are decoded have no seat yet");
    assert_eq!(Config { seats: 3, ..Config::default() }.seats(2, 8, 4, 4), 8);
    assert_eq!(Config { seats: 30, ..Config::default() }.seats(2, 8, 4, 4), 30);
}

#[test]
fn an_idle_machine_gives_a_run_more_threads_unless_told_otherwise() {
    let with = |threads, idle_threads| Config { threads, idle_threads, ..Config::default() }.idle_threads();
    assert_eq!(with(1, 3), Some(3));
    assert_eq!((with(1, 1), with(3, 3), with(4, 2)), (None, None, None));
    assert_eq!(with(1, 0), (cores() > 1).then(|| cores().min(Config::IDLE_THREADS)));
    let gpu = Config { device: Device::Cuda(0), idle_threads: 4, ..Config::default() };
    assert_eq!(gpu.idle_threads(), None);
}

#[test]
fn a_simulation_is_read_from_its_section() {
    let text = "device = \"sim\"\n[sim]\nspeedup = 2.5\n\
                curve = [{ images = 1, time = \"2ms\" }, { images = 8, time = \"6ms\" }]";
    let config: Config = toml::from_str(text).unwrap();
    assert_eq!((config.device, config.sim.speedup, config.sim.curve.len()), (Device::Sim, 2.5, 2));
    assert_eq!(config.check(), Ok(()));
    assert!(toml::from_str::<Config>("[sim]\nfaster = 2").is_err());
}

#[test]
fn values_out_of_range_are_named() {
    assert_eq!(Config::default().check(), Ok(()));
    let lanes = Config { lanes: 5000, ..Config::default() };
    assert!(lanes.check().unwrap_err().contains("engine.lanes = 5000"));
    let delay = Config { max_delay: Duration::from_secs(2), ..Config::default() };
    assert!(delay.check().unwrap_err().contains("engine.max_delay"));
}
