//! A program's standard output as content; its exit status is the ending.
//!
//! Reads: a command line, as an operator wrote it. Gives: octets as the program writes them, then
//! complete for the exit status 0 and failed for anything else. Never: takes anything of a request
//! into a program's arguments or environment, and never runs a shell.
//!
//! # When it ends
//!
//! The end of standard output alone says nothing: a program that crashes closes it too. So the end
//! mark waits for the exit status.
//!
//! | seen | ending |
//! |---|---|
//! | exit status 0, and then the end of its standard output | complete |
//! | any other exit status, a signal | failed, after every octet that it wrote |
//! | it runs for longer than it may | failed, after every octet that it has written |
//! | exit status 0, but what it started still holds its standard output and is silent for 2 s | failed: what is missing cannot be told |
//! | it cannot be started | failed; a 500 |
//! | standard output ends before the program does | the exit status is waited for |
//!
//! # What it runs in
//!
//! A session of its own, without a terminal; standard input is empty; the environment is that of
//! the server, without what a service manager told the server and without `ENDWELL_*`; the limit of
//! open files is the usual one again. A [`warden`] beside each program ends it, and everything
//! that it started, when the response has ended: when the client leaves, when the server drains
//! past its deadline, and when the server is killed.

mod line;

mod order;

mod runs;

mod tail;

mod watch;

mod run;

use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use endwell::{Abort, Finished, Producer};
use http::HeaderValue;
use http::header::CACHE_CONTROL;

pub use self::line::{BadLine, Line};
use self::order::Order;
pub use self::order::Stderr;
use self::run::{Next, Run};
use self::runs::Running;
pub use self::runs::Runs;
pub use self::watch::warden;
use super::content::{About, Beginning, Content, Length, Opening, Refusal, Source};

/// When to ask again if as many programs run as may: a dump takes longer, a client waits no longer.
const BUSY: Duration = Duration::from_secs(5);

/// A program whose standard output is content.
///
/// It runs anew for each request, and not for HEAD. Nothing is known of it before it ends: it has no
/// length, no validators and no ranges, and `Cache-Control` is `no-store`.
///
/// # Errors
/// [`Refusal::Busy`] while as many programs run as [`Runs`] allow. A program that cannot be
/// started, or fails before its first octet, is a 500 ([`Kind::CommandFailed`]), one that is too
/// late a 504 ([`Kind::CommandTimeout`]).
///
/// [`Kind::CommandFailed`]: endwell::Kind::CommandFailed
/// [`Kind::CommandTimeout`]: endwell::Kind::CommandTimeout
///
/// # Examples
/// ```no_run
/// use std::process::ExitCode;
/// use std::time::Duration;
/// use endwell_gateway::source::command::{Command, Line, Runs, warden};
/// use endwell_gateway::{Files, Routes};
/// use http::HeaderValue;
///
/// fn main() -> ExitCode {
///     // This binary is started again beside each program.
///     if let Some(done) = warden() {
///         return done;
///     }
///     let line: Line = "git bundle create - --all".parse().expect("a command line");
///     let media_type = HeaderValue::from_static("application/octet-stream");
///     let bundle = Command::new(line, media_type, &Runs::new(4));
///     let files = Files::new("public").expect("a folder");
///     let app = Routes::new(files).at("/all.bundle", bundle.timeout(Some(Duration::from_secs(60))));
///     // endwell::serve(.., app)
///     # let _ = app;
///     ExitCode::SUCCESS
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Command {
    order: Order,
    about: About,
    runs: Runs,
}

impl Command {
    /// Runs a program without a time-out; its standard error goes to the record.
    pub fn new(line: Line, media_type: HeaderValue, runs: &Runs) -> Self {
        let mut about = About::new(media_type, Length::Unknown);
        let no_store = HeaderValue::from_static("no-store");
        about.fields.insert(CACHE_CONTROL, no_store);
        Self {
            order: Order {
                line,
                timeout: None,
                stderr: Stderr::default(),
            },
            about,
            runs: runs.clone(),
        }
    }

    /// How long it may run, whether or not anybody reads.
    #[must_use]
    pub fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.order.timeout = timeout;
        self
    }

    /// Where its standard error goes.
    #[must_use]
    pub fn stderr(mut self, stderr: Stderr) -> Self {
        self.order.stderr = stderr;
        self
    }
}

impl Source for Command {
    fn open(&self) -> Opening<'_> {
        Box::pin(async { Ok(Box::new(self.clone()) as Box<dyn Content>) })
    }
}

impl Content for Command {
    fn about(&self) -> &About {
        &self.about
    }

    fn begin(self: Box<Self>, _: Option<Range<u64>>) -> Beginning {
        let Some(running) = self.runs.begin() else {
            return Box::pin(async { Err(Refusal::Busy(BUSY)) });
        };
        // It starts when the body is first asked for octets: who leaves before has started nothing.
        let body = endwell::stream(|producer| send(producer, self.order, running));
        Box::pin(async { Ok(body) })
    }
}

/// Sends what the program writes, and says what its exit status says.
async fn send(mut producer: Producer, order: Order, running: Running) -> Result<Finished, Abort> {
    let mut run = Run::start(order, running).await?;
    loop {
        match run.next(producer.frame_size()).await {
            Next::Octets(octets) => producer.send(octets).await?,
            Next::Complete => {
                run.tidy().await;
                return Ok(producer.finish());
            }
            Next::Failed(cause) => {
                run.tidy().await;
                return Ok(producer.fail(cause));
            }
        }
    }
}

/// The name of a program, for people: its path may be long.
fn name(program: &str) -> String {
    let name = Path::new(program).file_name();
    name.map_or_else(|| program.to_owned(), |name| name.to_string_lossy().into())
}
