//! The gateway's settings: a TOML file with a table for each breaker, and above it the environment
//! (`BREAKER_UPSTREAM_OPEN_FOR=5s`); watched, and taken over live.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use microbreaker::Settings;
use tokio::time::sleep;

use crate::gateway::guard::Guard;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The settings of each breaker by its name.
pub(crate) struct All(BTreeMap<String, Settings>);

impl All {
    /// Reads the file, if there is one, and the environment. The error says where it is.
    pub(crate) fn read(file: Option<&Path>, names: &[&str]) -> Result<Self, String> {
        let mut all = match file {
            None => BTreeMap::new(),
            Some(file) => {
                let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
                toml::from_str::<BTreeMap<String, Settings>>(&text)
                    .map_err(|error| format!("{}: {}", file.display(), error.to_string().trim_end()))?
            }
        };
        if let Some(unknown) = all.keys().find(|name| !names.contains(&name.as_str())) {
            return Err(format!("there is no breaker {unknown:?}, but {}", names.join(", ")));
        }
        for name in names {
            let prefix = format!("BREAKER_{}", name.to_uppercase());
            let over = Settings::from_env(&prefix).map_err(|error| format!("{prefix}_…: {error}"))?;
            let under = all.remove(*name).unwrap_or_default();
            all.insert((*name).to_owned(), over.or(under));
        }
        Ok(Self(all))
    }

    /// Those of one breaker.
    pub(crate) fn of(&self, name: &str) -> Settings {
        self.0.get(name).copied().unwrap_or_default()
    }
}

/// Takes the file over whenever it has changed, for ever. What cannot work changes nothing and is logged.
pub(crate) async fn follow(file: PathBuf, guards: Vec<Guard>) {
    let changed = || fs::metadata(&file).and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let names: Vec<&str> = guards.iter().map(|guard| guard.name).collect();
    let mut seen = changed();
    loop {
        sleep(LOOK).await;
        let now = changed();
        if now == seen {
            continue;
        }
        seen = now;
        match All::read(Some(&file), &names) {
            Ok(all) => {
                for guard in &guards {
                    match guard.apply(&all.of(guard.name)) {
                        Ok(()) => tracing::info!(name = guard.name, "settings taken over"),
                        Err(error) => tracing::error!(name = guard.name, %error, "settings not taken over"),
                    }
                }
            }
            Err(error) => tracing::error!(%error, "settings not taken over; the ones before them stay in force"),
        }
    }
}
