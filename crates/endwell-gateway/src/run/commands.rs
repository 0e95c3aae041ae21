//! Programs that answer at paths: made of settings, counted, and waited for at the end.

#[cfg(unix)]
use std::path::Path;

#[cfg(unix)]
use crate::config::{CommandAt, WhereComplaints};
use crate::config::{Settings, Unusable};
#[cfg(unix)]
use crate::source::command::{Command, Line, Runs, Stderr};
use crate::{Files, Routes};

/// The programs of a server, over all its reloads.
#[derive(Debug, Clone)]
pub(super) struct Programs {
    #[cfg(unix)]
    runs: Runs,
}

#[cfg(unix)]
impl Programs {
    /// As many at once as the settings say.
    pub(super) fn new(settings: &Settings) -> Self {
        let runs = Runs::new(settings.commands.command_limit);
        Self { runs }
    }

    /// From now on as many as these settings say.
    pub(super) fn set_limit(&self, settings: &Settings) {
        self.runs.set_limit(settings.commands.command_limit);
    }

    /// How many run.
    pub(super) fn running(&self) -> u64 {
        self.runs.running() as u64
    }

    /// Waits until none runs.
    pub(super) async fn settled(&self) {
        self.runs.settled().await;
    }

    /// Puts them in front of the folder; `lines` are those of the same settings.
    pub(super) fn route(&self, files: Files, settings: &Settings, lines: Lines) -> Routes<Files> {
        let given = &settings.commands;
        let mut routes = Routes::new(files);
        for (at, line) in given.command.iter().zip(lines.0) {
            let told = given.command_type.iter().find(|it| it.path == at.path);
            let media_type = match told {
                Some(told) => told.value.clone(),
                None => routes.inner().type_of(Path::new(&at.path)),
            };
            let timeout = Some(given.command_timeout).filter(|timeout| !timeout.is_zero());
            let command = Command::new(line, media_type, &self.runs)
                .timeout(timeout)
                .stderr(match given.command_stderr {
                    WhereComplaints::Record => Stderr::Record,
                    WhereComplaints::Body => Stderr::Body,
                });
            routes = routes.at(&at.path, command);
        }
        routes
    }
}

/// What is run, in the order of the settings.
pub(super) struct Lines(#[cfg(unix)] Vec<Line>);

#[cfg(unix)]
impl Lines {
    /// Looks for every program.
    pub(super) fn of(settings: &Settings) -> Result<Self, Vec<Unusable>> {
        let (mut lines, mut wrong) = (Vec::new(), Vec::new());
        for at in &settings.commands.command {
            match line(at) {
                Ok(line) => lines.push(line),
                Err(unusable) => wrong.push(unusable),
            }
        }
        wrong.is_empty().then_some(Self(lines)).ok_or(wrong)
    }
}

/// What is run, if it is there: to find out now is better than at the first request.
#[cfg(unix)]
fn line(at: &CommandAt) -> Result<Line, Unusable> {
    let unusable = |why: String| Unusable::new("command", format!("{}: {why}", at.path));
    let line: Line = at
        .line
        .parse()
        .map_err(|error| unusable(format!("{error}")))?;
    match line.find() {
        Some(_) => Ok(line),
        None => Err(unusable(format!(
            "there is no program {}; name one that is in PATH, or give its path",
            line.program()
        ))),
    }
}

/// A line for each, as a person reads it: which path has which program run.
#[cfg(unix)]
pub(super) fn introduced(settings: &Settings) -> Vec<String> {
    let commands = settings.commands.command.iter();
    let told = commands.filter_map(|at| {
        let line: Line = at.line.parse().ok()?;
        Some(format!("running {} for {}", line.program(), at.path))
    });
    told.collect()
}

#[cfg(not(unix))]
impl Programs {
    /// None.
    pub(super) fn new(_: &Settings) -> Self {
        Self {}
    }

    /// There is nothing to limit.
    pub(super) fn set_limit(&self, _: &Settings) {}

    /// None.
    pub(super) fn running(&self) -> u64 {
        0
    }

    /// There is nothing to wait for.
    pub(super) async fn settled(&self) {}

    /// There are none.
    pub(super) fn route(&self, files: Files, _: &Settings, _: Lines) -> Routes<Files> {
        Routes::new(files)
    }
}

#[cfg(not(unix))]
impl Lines {
    /// Refuses commands: there are no process groups that could be ended.
    pub(super) fn of(settings: &Settings) -> Result<Self, Vec<Unusable>> {
        if settings.commands.command.is_empty() {
            return Ok(Self());
        }
        let why =
            "this system has no process groups, without which no program is run; leave it out";
        Err(vec![Unusable::new("command", why)])
    }
}

/// There are none.
#[cfg(not(unix))]
pub(super) fn introduced(_: &Settings) -> Vec<String> {
    Vec::new()
}
