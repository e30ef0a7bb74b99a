//! The Kapso projects, each with its client, and which of them serves a command.
//!
//! A project may be used only in the places that its settings allow. Everything that reaches Kapso goes through a
//! [`Project`], which is found here by the place of the request or by the alias that a button, a job or an image's address
//! carries.

mod place;
mod resolution;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderValue;
use tokio::sync::watch;

use crate::config::{Alias, Creators, ProjectSettings};
use crate::kapso::{AgentId, Client};
use crate::slack::Who;

pub use place::{allows, is_on};
pub use resolution::{Resolution, is_allowed, resolve};

/// A Kapso project. Projects with the same key share one client, and with it the cache and the rate limit.
pub struct Project {
    settings: ProjectSettings,
    pub kapso: Arc<Client>,
    /// The agent of sessions that are created without naming one.
    pub default_agent: Option<AgentId>,
}

impl Project {
    /// Its name, if it has one.
    #[must_use]
    pub fn alias(&self) -> Option<&Alias> {
        self.settings.alias.as_ref()
    }

    /// Who may create sessions in it, of those who may use it.
    #[must_use]
    pub fn creators(&self) -> &Creators {
        &self.settings.creators
    }

    /// Whether `who`, who may use it, may create sessions in it.
    #[must_use]
    pub fn may_create(&self, who: &Who) -> bool {
        match &self.settings.creators {
            Creators::Everyone => true,
            Creators::Only(people) => people.contains(&who.user),
        }
    }
}

impl AsRef<ProjectSettings> for Project {
    fn as_ref(&self) -> &ProjectSettings {
        &self.settings
    }
}

/// A project among all of them; a pointer, since [`resolve`] passes it on.
#[derive(Clone)]
pub struct ProjectRef(Arc<Project>);

impl AsRef<ProjectSettings> for ProjectRef {
    fn as_ref(&self) -> &ProjectSettings {
        &self.0.settings
    }
}

impl std::ops::Deref for ProjectRef {
    type Target = Project;

    fn deref(&self) -> &Project {
        &self.0
    }
}

/// Makes the client for a key. `alias` names it in the metrics.
pub type Connect = Box<dyn Fn(HeaderValue, Option<&Alias>) -> Client + Send + Sync>;

/// All projects. They can be replaced while the service runs.
pub struct Projects {
    current: RwLock<Arc<[ProjectRef]>>,
    connect: Connect,
    /// Changes with each replacement.
    replaced: watch::Sender<u64>,
}

/// Why a project that a button or a job names cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// There is no such project any more.
    Gone,
    /// It may not be used in this place.
    NotHere,
}

impl Projects {
    /// Projects with these settings.
    #[must_use]
    pub fn new(settings: Vec<ProjectSettings>, connect: Connect) -> Self {
        let projects = Self {
            current: RwLock::new(Arc::default()),
            connect,
            replaced: watch::Sender::new(0),
        };
        projects.replace(settings);
        projects
    }

    /// Replaces all projects. A key that was in use before goes on with its client.
    pub fn replace(&self, settings: Vec<ProjectSettings>) {
        let mut clients: HashMap<HeaderValue, Arc<Client>> = self
            .all()
            .iter()
            .map(|project| (project.settings.api_key.clone(), Arc::clone(&project.kapso)))
            .collect();
        let project = |settings: ProjectSettings| {
            let key = settings.api_key.clone();
            let alias = settings.alias.as_ref();
            let kapso = clients
                .entry(key.clone())
                .or_insert_with(|| Arc::new((self.connect)(key, alias)));
            ProjectRef(Arc::new(Project {
                kapso: Arc::clone(kapso),
                default_agent: settings.default_agent.as_deref().and_then(AgentId::parse),
                settings,
            }))
        };
        let projects = settings.into_iter().map(project).collect();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = projects;
        self.replaced.send_modify(|count| *count += 1);
    }

    /// Every project.
    #[must_use]
    pub fn all(&self) -> Arc<[ProjectRef]> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes when the projects are replaced.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.replaced.subscribe()
    }

    /// Whether there are several, so that messages and log lines name the project.
    #[must_use]
    pub fn are_several(&self) -> bool {
        self.all().len() > 1
    }

    /// Whether people can name a project.
    #[must_use]
    pub fn have_names(&self) -> bool {
        self.all().iter().any(|project| project.alias().is_some())
    }

    /// The project of a command; see [`resolve`].
    #[must_use]
    pub fn resolve(&self, named: Option<&Alias>, who: &Who) -> Resolution<ProjectRef> {
        resolve(self.all().iter().cloned(), named, who)
    }

    /// Every project that may be used in the place of a request.
    #[must_use]
    pub fn allowed(&self, who: &Who) -> Vec<ProjectRef> {
        let all = self.all();
        all.iter()
            .filter(|project| is_allowed(project.as_ref(), who))
            .cloned()
            .collect()
    }

    /// The project with this alias. Without an alias, the only one: what was made while there was one project does not
    /// name it.
    #[must_use]
    pub fn find(&self, alias: Option<&Alias>) -> Option<ProjectRef> {
        let all = self.all();
        match (alias, &*all) {
            (Some(_), all) => all.iter().find(|project| project.alias() == alias).cloned(),
            (None, [only]) => Some(only.clone()),
            (None, _) => None,
        }
    }

    /// The project of a button or a job, if it may be used in the place of the request.
    ///
    /// # Errors
    /// Why it may not.
    pub fn authorize(&self, alias: Option<&Alias>, who: &Who) -> Result<ProjectRef, Unusable> {
        let project = self.find(alias).ok_or(Unusable::Gone)?;
        if is_allowed(project.as_ref(), who) {
            Ok(project)
        } else {
            Err(Unusable::NotHere)
        }
    }
}
