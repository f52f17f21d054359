//! Settings of several breakers in one file, overridden by environment variables, through loaders in common use.

use core::time::Duration;
use std::collections::HashMap;

use config::{Environment, File, FileFormat};
use microbreaker::settings::Settings;
use microbreaker::{Breaker, Config, ManualClock, Mode, State, Streak};

const FILE: &str = r#"
[db]
open_for = "5s"
open_at_most = "1m"
probes = 3
jitter = false

[mail]
mode = "off"
"#;

#[test]
fn a_toml_file_is_read_and_written() {
    let file: HashMap<String, Settings> = toml::from_str(FILE).unwrap();
    assert_eq!(file["db"].open_for, Some(Duration::from_secs(5)));
    assert_eq!(file["mail"].mode, Some(Mode::Off));
    assert_eq!(toml::from_str::<HashMap<String, Settings>>(&toml::to_string(&file).unwrap()).unwrap(), file);

    let error = toml::from_str::<HashMap<String, Settings>>("[db]\nprobes = 'many'\n").unwrap_err().to_string();
    assert!(error.contains("line 2") && error.contains("expected probes as a whole number"), "{error}");
    let error = toml::from_str::<HashMap<String, Settings>>("[db]\nprobes = 3\nprobe = 3\n").unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("unknown field `probe`"), "{error}");
}

#[test]
fn in_a_struct_of_the_programs_own_a_mistyped_name_is_an_error_too() {
    #[derive(Debug, serde::Deserialize)]
    struct Peer {
        url: String,
        #[serde(flatten)]
        breaker: Settings,
    }
    let peer: Peer = toml::from_str("probes = 3\nurl = 'http://db'\nopen_for = '5s'\n").unwrap();
    assert_eq!((&*peer.url, peer.breaker.probes), ("http://db", Some(3)));
    assert_eq!(peer.breaker.open_for, Some(Duration::from_secs(5)));
    let error = toml::from_str::<Peer>("url = 'http://db'\nopen_fr = '5s'\n").unwrap_err().to_string();
    assert!(error.contains("unknown field `open_fr`"), "{error}");
}

#[test]
fn variables_override_the_file() {
    let load = |vars: &[(&str, &str)]| {
        let vars = vars.iter().map(|&(name, value)| (name.to_string(), value.to_string())).collect();
        let variables = Environment::with_prefix("APP").prefix_separator("_").separator("__").source(Some(vars));
        let loaded = config::Config::builder().add_source(File::from_str(FILE, FileFormat::Toml)).add_source(variables);
        loaded.build().unwrap().try_deserialize::<HashMap<String, Settings>>()
    };
    let settings = load(&[("APP_DB__PROBES", "2"), ("APP_DB__JITTER", "true"), ("APP_MAIL__RAMP", "30s")]).unwrap();
    assert_eq!(settings["db"].probes, Some(2));
    assert_eq!(settings["db"].jitter, Some(true));
    assert_eq!(settings["db"].open_for, Some(Duration::from_secs(5)), "the file's");
    assert_eq!(settings["mail"].ramp, Some(Some(Duration::from_secs(30))));
    let error = load(&[("APP_DB__PROBES", "some")]).unwrap_err().to_string();
    assert!(error.contains("expected probes as a whole number up to 255"), "{error}");
}

#[test]
fn a_file_that_changes_is_applied_without_a_restart() {
    let path = std::env::temp_dir().join(format!("microbreaker-settings-{}.toml", std::process::id()));
    let base = Config::database().jitter(false);
    let breaker: Breaker<Streak, _> = Breaker::new(base, ManualClock::new());
    // A service does this on a signal, or when a watcher reports that the file has changed.
    let reload = || -> Result<(), Box<dyn std::error::Error>> {
        let settings: Settings = toml::from_str(&std::fs::read_to_string(&path)?)?;
        Ok(settings.apply(base, &breaker)?)
    };
    std::fs::write(&path, "open_for = '2s'").unwrap();
    reload().unwrap();
    for bad in ["open_for = '2 s", "open_for = 2", "opens_for = '1s'", "open_for = '0s'"] {
        std::fs::write(&path, bad).unwrap();
        let error = reload().unwrap_err().to_string();
        assert!(error.contains("open_for") || error.contains("opens_for"), "{error}");
    }
    std::fs::remove_file(&path).unwrap();
    for _ in 0..5 {
        breaker.acquire().unwrap().failure();
    }
    assert_eq!((breaker.state(), breaker.retry_in_ticks()), (State::Open, Some(2048)), "the last good file's");
}
