//! Runs `endwell serve`: a server by its settings, until a signal stops it.
//!
//! Reads: [`Sources`], signals. Gives: a server, lines on standard error, and how it stopped.
//!
//! Two threads of control: the server answers requests on a runtime, the keeper changes
//! what it answers with. They share three things that are exchanged whole: the service, the TLS
//! configuration, the log.

mod say;

mod error;

mod descriptors;

mod passed;

mod notify;

mod quic;

mod bind;

mod tls;

mod certificates;

mod log;

mod signals;

mod live;

mod access;

mod commands;

mod make;

mod server;

mod keep;

use std::sync::mpsc::channel;
use std::time::Duration;

use self::certificates::Certificates;
use self::commands::Programs;
use self::keep::Keeper;
use self::live::Live;
use self::log::Logs;
use self::make::Made;
use self::passed::Passed;
use self::server::Server;
use crate::Readiness;
use crate::config::{Faults, Loaded, Sources};

pub use self::error::RunError;
pub use self::say::say;
pub use self::server::Stopped;

/// How long a reload that hangs on a dead disk may keep the process.
const LAST_RELOAD: Duration = Duration::from_secs(2);

/// Looks at everything that settings name without serving it: the folder and its pages,
/// the users, the programs and the certificates.
///
/// # Errors
/// All that cannot be used, each with its place.
pub fn check(loaded: &Loaded) -> Result<(), Faults> {
    let made = make::all(&loaded.settings, &Programs::new(&loaded.settings));
    made.map(|_| ()).map_err(|wrong| loaded.faults(wrong))
}

/// Serves until a signal comes: SIGINT or SIGTERM stop, SIGHUP reads the sources again.
///
/// To be called once, before the process has another thread: it takes the sockets that a service
/// manager has passed, and clears the variables that tell of them.
///
/// # Errors
/// It cannot start, or a listener ended by itself.
pub fn run(sources: Sources) -> Result<Stopped, RunError> {
    let passed = Passed::take().map_err(RunError::Passed)?;
    let loaded = sources.load()?;
    let unusable = |wrong| RunError::Unusable(loaded.faults(wrong));
    let programs = Programs::new(&loaded.settings);
    let made = make::all(&loaded.settings, &programs).map_err(unusable)?;
    let Made {
        service,
        root,
        listed,
        certificate,
    } = made;
    let certificates = certificate.map(Certificates::new);
    let log = log::open(&loaded.settings.log).map_err(|error| unusable(vec![error]))?;
    let logs = Logs::new(log);
    if let Err(error) = descriptors::raise() {
        say(&format!(
            "the limit of open files stays as it was ({error})"
        ));
    }
    let configured = sources
        .file()
        .map(|file| format!("configured by {}", file.display()));
    let root = root.canonicalize().unwrap_or(root);
    let serving = format!("serving {}", root.display());
    let introduction = configured.into_iter().chain([serving]);
    let introduction = introduction.chain(commands::introduced(&loaded.settings));
    let service = Live::new(service);
    let readiness = Readiness::new();
    let controls = make::controls(&loaded.settings);
    let server = Server {
        loaded: loaded.clone(),
        service: service.clone(),
        tls: certificates.as_ref().map(|shown| shown.switch().clone()),
        logs: logs.clone(),
        readiness: readiness.clone(),
        controls: controls.clone(),
        programs: programs.clone(),
        introduction: introduction.collect(),
    };
    let keeper = Keeper {
        started: loaded.clone(),
        loaded,
        sources,
        listed,
        service,
        programs,
        controls,
        certificates,
        logs: logs.clone(),
        readiness,
        retiring: Vec::new(),
    };
    let stopped = side_by_side(server, passed, keeper);
    logs.close();
    stopped
}

/// Runs the server on a runtime and its keeper on a thread, until the server has stopped.
fn side_by_side(server: Server, passed: Passed, keeper: Keeper) -> Result<Stopped, RunError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(RunError::system("start"))?;
    let (ask, asked) = channel();
    let (keeps, kept) = channel::<()>();
    std::thread::Builder::new()
        .name("endwell-keeper".into())
        .spawn(move || {
            keeper.run(&asked);
            drop(keeps);
        })
        .map_err(RunError::system("start"))?;
    let stopped = runtime.block_on(server.run(passed, ask));
    // A read that hangs on a dead disk must not keep the process.
    runtime.shutdown_background();
    let _ = kept.recv_timeout(LAST_RELOAD);
    stopped
}
