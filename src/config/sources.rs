//! Gathers what was given: a file, then the environment, then `--override`; the later wins.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::environment::{Variable, variable};
use crate::error::{ConfigError, Origin};
use crate::properties;
use crate::rows;

/// Largest configuration file, in bytes.
const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// How the process was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `pharos up`: one process for one machine, with the defaults of [`crate::UP_DEFAULTS`].
    Up,
    /// `pharos server`: Kafka's defaults.
    Server,
}

/// A value as it was given. It may be a secret: its text does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    /// Its text.
    pub text: String,
    /// Where it was given.
    pub origin: Origin,
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({})", self.origin)
    }
}

/// What a configuration is loaded from.
#[derive(Clone, Debug)]
pub struct Sources {
    pub(crate) mode: Mode,
    pub(crate) settings: BTreeMap<String, Setting>,
    pub(crate) cluster_id: Option<Setting>,
}

impl Sources {
    /// Nothing given yet.
    pub fn new(mode: Mode) -> Self {
        Self { mode, settings: BTreeMap::new(), cluster_id: None }
    }

    /// Adds a properties file.
    ///
    /// # Errors
    /// When it cannot be read or is larger than 1 MiB.
    pub fn file(self, path: &Path) -> Result<Self, ConfigError> {
        let unreadable = |source| ConfigError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        let mut bytes = Vec::new();
        file.take(FILE_LIMIT_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 > FILE_LIMIT_BYTES {
            return Err(ConfigError::FileSize {
                path: path.to_owned(),
                limit_bytes: FILE_LIMIT_BYTES,
            });
        }
        Ok(self.text(&path.display().to_string(), &properties::decode(&bytes)))
    }

    /// Adds the text of a properties file called `name`.
    pub fn text(mut self, name: &str, text: &str) -> Self {
        for property in properties::parse(text) {
            let origin = Origin::File { name: name.to_owned(), line: property.line };
            self.settings.insert(property.key, Setting { text: property.value, origin });
        }
        self
    }

    /// Adds environment variables. `KAFKA_CFG_X` wins over `KAFKA_X`.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut variables: Vec<_> = variables.into_iter().collect();
        variables.sort_by_key(|(name, _)| (name.starts_with("KAFKA_CFG_"), name.clone()));
        for (name, text) in variables {
            let Some(what) = variable(&name, &text) else { continue };
            let setting = Setting { text, origin: Origin::Environment(name) };
            match what {
                Variable::ClusterId => self.cluster_id = Some(setting),
                Variable::Key(key) => {
                    self.settings.insert(key, setting);
                }
            }
        }
        self
    }

    /// Adds the variables of this process, those that are not Unicode left out.
    pub fn process_environment(self) -> Self {
        let unicode = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        self.environment(unicode)
    }

    /// Adds the arguments of `--override`.
    ///
    /// # Errors
    /// When one is no `key=value`.
    pub fn overrides<'a>(
        mut self,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ConfigError> {
        for argument in arguments {
            match argument.split_once('=') {
                Some((key, value)) if !key.trim().is_empty() => {
                    let setting = Setting { text: value.to_owned(), origin: Origin::Flag };
                    self.settings.insert(key.trim().to_owned(), setting);
                }
                _ => {
                    let text = argument.to_owned();
                    return Err(ConfigError::Syntax { text, origin: Origin::Flag });
                }
            }
        }
        Ok(self)
    }

    /// Fills in what `pharos up` sets where nothing was given.
    pub(crate) fn with_up_defaults(mut self) -> Self {
        if self.mode == Mode::Up {
            for default in crate::UP_DEFAULTS {
                let row = rows::broker_row(default.key);
                debug_assert!(row.is_some(), "{} has no row", default.key);
                self.settings.entry(default.key.to_owned()).or_insert_with(|| Setting {
                    text: default.value.to_owned(),
                    origin: Origin::Up,
                });
            }
        }
        self
    }
}
