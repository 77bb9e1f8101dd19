use super::*;
use std::collections::HashMap;
use std::fs;

fn places(device: Device, configured: &str, variables: &[(&str, &Path)]) -> Places {
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    Places::of(device, Path::new(configured), |name| {
        variables.get(name).map(|path| path.as_os_str().to_owned())
    })
}

fn install(cache: &Path, folder: &str, version: &str, provider: bool) -> PathBuf {
    let folder = cache.join(folder);
    fs::create_dir_all(&folder).unwrap();
    let library = folder.join(format!("libonnxruntime.so.{version}"));
    fs::write(&library, "").unwrap();
    if provider {
        fs::write(folder.join(CUDA_PROVIDER), "").unwrap();
    }
    library.canonicalize().unwrap()
}

#[test]
fn the_configuration_wins_over_the_variable_over_the_cache() {
    let cache = tempfile::tempdir().unwrap();
    let fetched = install(cache.path(), "onnxruntime-1.31.1", "1.31.1", false);
    let own = cache.path().join("own.so");
    fs::write(&own, "").unwrap();
    let other = cache.path().join("other.so");
    fs::write(&other, "").unwrap();

    let variables = [("DETECTD_CACHE", cache.path()), ("ORT_DYLIB_PATH", &other)];
    let find = |places: Places| places.find(Device::Cpu).unwrap().unwrap();
    assert_eq!(find(places(Device::Cpu, own.to_str().unwrap(), &variables)), own.canonicalize().unwrap());
    assert_eq!(find(places(Device::Cpu, "", &variables)), other.canonicalize().unwrap());
    assert_eq!(find(places(Device::Cpu, "", &variables[..1])), fetched);
}

#[test]
fn the_cache_folder_follows_the_environment() {
    let (home, xdg, own) = (Path::new("/home/a"), Path::new("/caches"), Path::new("/own"));
    let of = |variables: &[(&str, &Path)]| places(Device::Cpu, "", variables);
    let cache = |path: &str| Places::Cache(Some(PathBuf::from(path)));
    assert_eq!(of(&[("HOME", home)]), cache("/home/a/.cache/detectd"));
    assert_eq!(of(&[("HOME", home), ("XDG_CACHE_HOME", xdg)]), cache("/caches/detectd"));
    assert_eq!(of(&[("HOME", home), ("XDG_CACHE_HOME", xdg), ("DETECTD_CACHE", own)]), cache("/own"));
    assert_eq!(of(&[("HOME", Path::new(""))]), Places::Cache(None));
}

#[test]
fn the_newest_version_wins_by_number() {
    let cache = tempfile::tempdir().unwrap();
    install(cache.path(), "onnxruntime-1.9.1", "1.9.1", false);
    let newest = install(cache.path(), "onnxruntime-1.31.1", "1.31.1", false);
    install(cache.path(), "onnxruntime-gpu-1.40.0", "1.40.0", true);
    fs::create_dir(cache.path().join("onnxruntime-1.99.0")).unwrap();
    let found = Places::Cache(Some(cache.path().to_path_buf())).find(Device::Cpu).unwrap();
    assert_eq!(found, Some(newest), "an empty folder and the GPU build do not count");
}

#[test]
fn the_gpu_build_serves_the_cpu_when_it_is_all_there_is() {
    let cache = tempfile::tempdir().unwrap();
    let gpu = install(cache.path(), "onnxruntime-gpu-1.31.1", "1.31.1", true);
    let places = Places::Cache(Some(cache.path().to_path_buf()));
    assert_eq!(places.find(Device::Cpu).unwrap(), Some(gpu.clone()));
    assert_eq!(places.find(Device::Cuda(0)).unwrap(), Some(gpu));
}

#[test]
fn cuda_needs_its_provider_beside_the_library() {
    let cache = tempfile::tempdir().unwrap();
    let library = install(cache.path(), "onnxruntime-gpu-1.31.1", "1.31.1", false);
    let error = Places::Cache(Some(cache.path().to_path_buf())).find(Device::Cuda(1)).unwrap_err();
    let text = error.to_string();
    for part in ["cuda:1", CUDA_PROVIDER, library.to_str().unwrap(), "scripts/fetch-runtime --cuda"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(error.exit(), shm_proto::control::Exit::Config);
}

#[test]
fn a_named_library_that_is_not_there_says_who_named_it() {
    let error = places(Device::Cpu, "/nowhere/lib.so", &[]).find(Device::Cpu).unwrap_err();
    let text = error.to_string();
    for part in ["/nowhere/lib.so", "engine.runtime", "scripts/fetch-runtime"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(error.exit(), shm_proto::control::Exit::Config);
    let error =
        places(Device::Cpu, "", &[("ORT_DYLIB_PATH", Path::new("/gone.so"))]).find(Device::Cpu).unwrap_err();
    assert!(error.to_string().contains("ORT_DYLIB_PATH"), "{error}");
}

#[test]
fn a_library_that_is_nowhere_says_where_was_looked_and_how_to_fetch_it() {
    let cache = tempfile::tempdir().unwrap();
    let places = Places::Cache(Some(cache.path().to_path_buf()));
    assert_eq!(places.find(Device::Cpu).unwrap(), None);
    let text = places.missing(Device::Cpu).to_string();
    let folder = cache.path().to_str().unwrap();
    for part in [folder, "libonnxruntime.so.1", "`scripts/fetch-runtime`", "ORT_DYLIB_PATH"] {
        assert!(text.contains(part), "{text}");
    }
    for part in INSTALLED {
        assert!(text.contains(part), "{text}");
    }
    assert!(places.missing(Device::Cuda(0)).to_string().contains("scripts/fetch-runtime --cuda"));
    assert!(Places::Cache(None).missing(Device::Cpu).to_string().contains("HOME"));
}
