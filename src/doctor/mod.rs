//! `doctor`: checks a set-up from end to end, and says how to mend what it finds. It changes nothing.

mod checks;
mod database;
mod findings;
mod network;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use jiff::SignedDuration;
use serde_json::{Value, json};
use url::Url;

use self::findings::{CONFIGURATION_INVALID, CONFIGURATION_SUSPICIOUS};
pub use self::findings::{Finding, KINDS, Kind, Severity};
use self::network::Network;
use crate::clock::Clock;
use crate::config::{Environment, Settings};

/// Longest text of an operating system or a server that is printed, in characters.
const FOREIGN_MAX: usize = 200;

/// What the checks wait for and accept; tests change them.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For each request.
    pub deadline: Duration,
    /// How far the clock may be off.
    pub clock_skew: SignedDuration,
    /// Bytes that must be free for a database file, which may grow to 64 MiB.
    pub free_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            clock_skew: SignedDuration::from_secs(30),
            free_bytes: 64 * 1024 * 1024,
        }
    }
}

/// The results of all checks.
#[derive(Debug)]
pub struct Report {
    pub checks: Vec<Check>,
}

/// The result of one check.
#[derive(Debug)]
pub struct Check {
    /// Identifies it in `--json`.
    pub name: &'static str,
    pub outcome: Outcome,
}

/// What a check found.
#[derive(Debug)]
pub enum Outcome {
    /// Nothing to mend; with a detail.
    Passed(String),
    /// Not checked, and why.
    Skipped(String),
    /// At least one finding.
    Found(Vec<Finding>),
}

impl Outcome {
    fn passed(detail: impl Into<String>) -> Self {
        Self::Passed(detail.into())
    }

    fn skipped(reason: impl Into<String>) -> Self {
        Self::Skipped(reason.into())
    }
}

impl From<Finding> for Outcome {
    fn from(finding: Finding) -> Self {
        Self::Found(vec![finding])
    }
}

impl Report {
    /// Everything that was found.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.checks.iter().flat_map(|check| match &check.outcome {
            Outcome::Found(findings) => findings.as_slice(),
            Outcome::Passed(_) | Outcome::Skipped(_) => &[],
        })
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings()
            .filter(|finding| finding.kind.severity == severity)
            .count()
    }

    /// Whether there is no problem. Warnings are none.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.count(Severity::Problem) == 0
    }

    /// For people.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for Check { name, outcome } in &self.checks {
            let name = name.replace('_', " ");
            let line = |word: &str, what: &str| format!("{word:<8} {name}: {what}\n");
            match outcome {
                Outcome::Passed(detail) => text += &line("ok", detail),
                Outcome::Skipped(reason) => text += &line("skipped", reason),
                Outcome::Found(findings) => {
                    for finding in findings {
                        text += &line(finding.kind.severity.word(), &finding.what());
                        let _ = writeln!(text, "         Why: {}", finding.kind.why);
                        let _ = writeln!(text, "         Fix: {}", finding.kind.fix);
                    }
                }
            }
        }
        let (problems, warnings) = (self.count(Severity::Problem), self.count(Severity::Warning));
        let plural = |count| if count == 1 { "" } else { "s" };
        let _ = writeln!(
            text,
            "\n{problems} problem{}, {warnings} warning{}",
            plural(problems),
            plural(warnings)
        );
        text
    }

    /// For programs.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let checks = self.checks.iter().map(|Check { name, outcome }| match outcome {
            Outcome::Passed(detail) => json!({"check": name, "result": "ok", "detail": detail, "findings": []}),
            Outcome::Skipped(reason) => json!({"check": name, "result": "skipped", "detail": reason, "findings": []}),
            Outcome::Found(findings) => {
                let is_problem = findings
                    .iter()
                    .any(|finding| finding.kind.severity == Severity::Problem);
                let result = if is_problem {
                    Severity::Problem
                } else {
                    Severity::Warning
                };
                let findings: Vec<Value> = findings.iter().map(finding_json).collect();
                json!({"check": name, "result": result.word(), "detail": null, "findings": findings})
            }
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "healthy": self.is_healthy(),
            "checks": checks.collect::<Vec<Value>>(),
        })
    }
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "finding": finding.kind.code,
        "severity": finding.kind.severity.word(),
        "what": finding.what(),
        "why": finding.kind.why,
        "fix": finding.kind.fix,
    })
}

impl Severity {
    /// `problem` or `warning`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Warning => "warning",
        }
    }
}

/// What the checks need.
struct Examination<'a> {
    settings: &'a Settings,
    /// The address of the service on this machine.
    own_address: Option<SocketAddr>,
    clock: &'a Clock,
    limits: &'a Limits,
    network: Network<'a>,
}

impl Examination<'_> {
    /// The address of a path of the service on this machine.
    fn own_url(&self, path: &str) -> Option<Url> {
        Url::parse(&format!("http://{}{path}", self.own_address?)).ok()
    }
}

/// Checks the set-up that `environment` describes.
///
/// # Errors
/// The HTTP client cannot be created; most likely no CA certificates were found.
pub async fn examine(environment: &Environment, clock: &Clock, limits: &Limits) -> Result<Report, reqwest::Error> {
    let settings = match environment.settings() {
        Ok(settings) => settings,
        Err(problems) => {
            let findings = problems.iter().map(|problem| CONFIGURATION_INVALID.with(problem));
            let others = "the other checks need a valid configuration".to_owned();
            return Ok(Report {
                checks: vec![
                    Check {
                        name: "configuration",
                        outcome: Outcome::Found(findings.collect()),
                    },
                    Check {
                        name: "everything_else",
                        outcome: Outcome::Skipped(others),
                    },
                ],
            });
        }
    };
    let warnings: Vec<Finding> = environment
        .warnings()
        .into_iter()
        .map(|warning| CONFIGURATION_SUSPICIOUS.with(warning))
        .collect();
    let configuration = if warnings.is_empty() {
        Outcome::passed("all settings are valid")
    } else {
        Outcome::Found(warnings)
    };
    let examination = Examination {
        settings: &settings,
        own_address: environment.own_address().ok(),
        clock,
        limits,
        network: Network::new(&settings.proxy, limits.deadline)?,
    };
    let mut checks = vec![Check {
        name: "configuration",
        outcome: configuration,
    }];
    checks.extend(checks::all(&examination).await);
    Ok(Report { checks })
}

/// Logs what the quick checks find: whether Kapso and Slack can be reached, and whether the clock is right. They use no
/// secret, and nothing of Kapso's rate limit.
pub async fn warn_at_start(settings: &Settings, clock: &Clock) {
    let limits = Limits::default();
    let Ok(network) = Network::new(&settings.proxy, limits.deadline) else {
        return;
    };
    let examination = Examination {
        settings,
        own_address: None,
        clock,
        limits: &limits,
        network,
    };
    for finding in checks::quick(&examination).await {
        let problem = finding.what();
        tracing::warn!(
            finding = finding.kind.code,
            problem,
            fix = finding.kind.fix,
            "a check at the start found a problem"
        );
    }
}

/// Text that a system or a server wrote, without anything but printable ASCII, and cut.
fn printable(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().take(FOREIGN_MAX).map(printable).collect()
}
