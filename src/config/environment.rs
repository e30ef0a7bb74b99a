//! Where the configuration comes from: the process's environment over a `.env` file.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use http::HeaderValue;
use url::Url;

use super::{Log, Problems, Settings, Timing, VARIABLES};
use crate::commands::Allowed;

/// Where variables come from.
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// The process's environment over a `.env` file in the working directory, if there is one.
    ///
    /// # Errors
    /// Names what cannot be read.
    pub fn of_process() -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut variables = HashMap::new();
        match dotenvy::from_path_iter(".env") {
            Ok(lines) => {
                for line in lines {
                    match line {
                        Ok((name, value)) => drop(variables.insert(name, value)),
                        // The error quotes the line, which may hold a secret.
                        Err(_) => problems.add(".env", "has a line that cannot be read"),
                    }
                }
            }
            Err(error) if error.not_found() => {}
            Err(_) => problems.add(".env", "cannot be read"),
        }
        for (name, value) in std::env::vars_os() {
            let Ok(name) = name.into_string() else {
                continue;
            };
            match value.into_string() {
                Ok(value) => drop(variables.insert(name, value)),
                Err(_) if VARIABLES.iter().any(|variable| variable.name == name) => {
                    problems.add(&name, "is not UTF-8");
                }
                Err(_) => {}
            }
        }
        problems.none_or(Self(variables))
    }

    /// These variables and no others.
    pub fn of(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// These variables over the ones already there.
    #[must_use]
    pub fn overlaid_with(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.0.extend(variables);
        self
    }

    /// A variable without the white space around it; blank is unset.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name)?.trim();
        (!value.is_empty()).then_some(value)
    }

    pub(super) fn parsed<T: FromStr>(&self, problems: &mut Problems, name: &str, default: T, is: &str) -> T {
        match self.get(name).map(str::parse) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                problems.add(name, is);
                default
            }
        }
    }

    /// All settings of the service.
    ///
    /// # Errors
    /// Everything that is wrong, each with its variable.
    pub fn settings(&self) -> Result<Settings, Problems> {
        let mut problems = Problems::default();
        let signing_secrets = self.signing_secrets(&mut problems);
        let kapso_api_key = self.api_key(&mut problems);
        let kapso_base_url = self.base_url(&mut problems);
        let listen = self.listen_on(&mut problems);
        let command = self.command_name(&mut problems);
        let public_url = self.public_address(&mut problems);
        let reply_budget = self.reply_budget(&mut problems);
        let settings = Settings {
            signing_secrets,
            kapso_api_key: kapso_api_key.unwrap_or_else(|| HeaderValue::from_static("")),
            kapso_base_url,
            listen,
            public_url,
            command,
            reply_budget,
            response_hosts: self.response_hosts(&mut problems),
            allowed: Allowed {
                teams: self.allow_list(&mut problems, "ALLOWED_TEAMS", &['T', 'E']),
                channels: self.allow_list(&mut problems, "ALLOWED_CHANNELS", &['C', 'G', 'D']),
                users: self.allow_list(&mut problems, "ALLOWED_USERS", &['U', 'W']),
                creators: self.creators(&mut problems),
            },
            database: self.database(&mut problems),
            metrics_addr: self.metrics_addr(&mut problems),
            connections: None,
            timing: Timing::standard(reply_budget),
        };
        let _ = self.read_log(&mut problems);
        problems.none_or(settings)
    }

    /// How to log.
    ///
    /// # Errors
    /// Names the variable that is wrong.
    pub fn log(&self) -> Result<Log, Problems> {
        let mut problems = Problems::default();
        let log = self.read_log(&mut problems);
        problems.none_or(log)
    }

    /// Where the service of this environment answers when asked from the same machine.
    ///
    /// # Errors
    /// Names the variable that is wrong.
    pub fn own_address(&self) -> Result<SocketAddr, Problems> {
        let mut problems = Problems::default();
        let mut address = self.listen_on(&mut problems);
        match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        problems.none_or(address)
    }

    /// The command's name and the public address, for the manifest. Needs no secrets.
    ///
    /// # Errors
    /// Names the variables that are wrong.
    pub fn outward(&self) -> Result<(String, Option<Url>), Problems> {
        let mut problems = Problems::default();
        let command = self.command_name(&mut problems);
        let public_url = self.public_address(&mut problems);
        problems.none_or((command, public_url))
    }
}
