//! The gateway's settings: a TOML file with a table for each breaker. The environment has priority over the file
//! (`BREAKER_UPSTREAM_OPEN_FOR=5s`). The file is watched, and changes are applied at once.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use microbreaker::settings::Settings;
use tokio::time::sleep;

use crate::gateway::guard::Guard;

/// How often the file is read.
const LOOK: Duration = Duration::from_millis(250);

/// The settings of each breaker by its name.
pub(crate) struct All {
    by_name: BTreeMap<String, Settings>,
    /// The text of the file.
    text: String,
}

impl All {
    /// Reads the file, if there is one, and the environment. An error says which of them is wrong, and where.
    pub(crate) fn read(file: Option<&Path>, names: &[&str]) -> Result<Self, String> {
        Self::parse(file.map(load).transpose()?.unwrap_or_default(), names, Settings::from_env)
    }

    fn parse<E: ToString>(
        text: String,
        names: &[&str],
        above: impl Fn(&str) -> Result<Settings, E>,
    ) -> Result<Self, String> {
        let mut by_name: BTreeMap<String, Settings> =
            toml::from_str(&text).map_err(|error| format!("the settings' file: {}", error.to_string().trim_end()))?;
        if let Some(unknown) = by_name.keys().find(|name| !names.contains(&name.as_str())) {
            return Err(format!("there is no breaker {unknown:?}, only {}", names.join(", ")));
        }
        for name in names {
            let prefix = format!("BREAKER_{}", name.to_uppercase());
            let over = above(&prefix).map_err(|error| format!("{prefix}_…: {}", error.to_string()))?;
            let under = by_name.remove(*name).unwrap_or_default();
            by_name.insert((*name).to_owned(), over.or(under));
        }
        Ok(Self { by_name, text })
    }

    /// The settings of one breaker.
    pub(crate) fn of(&self, name: &str) -> Settings {
        self.by_name.get(name).copied().unwrap_or_default()
    }
}

/// The text of the file. The watcher compares texts, not the file's times: by the times it would miss a change during
/// the reading, and a change that keeps the time.
fn load(file: &Path) -> Result<String, String> {
    fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))
}

/// Applies the file whenever it has changed, for ever. If the file cannot be read, nothing changes. If the settings of
/// a breaker cannot work, that breaker stays as it was. Both are logged. A breaker whose settings are the same is not
/// touched, because somebody may have switched it by hand since.
pub(crate) async fn follow(file: PathBuf, mut before: All, guards: Vec<Guard>) {
    let names: Vec<&str> = guards.iter().map(|guard| guard.name).collect();
    let mut seen = Ok(before.text.clone());
    let mut last = seen.clone();
    loop {
        sleep(LOOK).await;
        let now = load(&file);
        // A file that still changes is not applied: half a file may be valid TOML with half of the settings.
        let settled = now == std::mem::replace(&mut last, now.clone());
        if !settled || now == seen {
            continue;
        }
        seen.clone_from(&now);
        match now.and_then(|text| All::parse(text, &names, Settings::from_env)) {
            Ok(all) => {
                if all.by_name == before.by_name {
                    tracing::info!("settings read, none changed");
                }
                for guard in guards.iter().filter(|guard| all.of(guard.name) != before.of(guard.name)) {
                    match guard.apply(&all.of(guard.name)) {
                        Ok(()) => tracing::info!(name = guard.name, "settings taken over"),
                        Err(error) => tracing::error!(name = guard.name, %error, "settings not taken over"),
                    }
                }
                before = all;
            }
            Err(error) => tracing::error!(%error, "settings not taken over; the ones before them stay in force"),
        }
    }
}
