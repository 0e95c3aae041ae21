//! What can be set: the command line of `endwell serve`, and the value that it becomes.
//!
//! A flag that is added here is a key of the configuration file and an environment variable too.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Arg, ArgAction, Args, Command, ValueEnum};
use http::HeaderValue;

use super::access::{Network, User};
use super::commands::{CommandAt, CommandType};
use super::duration;
use super::endpoint::{Endpoint, Listen};
use super::number;
use super::origin::Unusable;
use super::pages::{Below, Index};
use super::values::{self, MediaType};
use crate::{BadUser, Users};

/// All that `endwell serve` can be told.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
pub struct Settings {
    /// The folder
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Where connections come from.
    #[command(flatten)]
    pub listening: Listening,
    /// Certificates.
    #[command(flatten)]
    pub tls: TlsSettings,
    /// How files are answered.
    #[command(flatten)]
    pub files: FilesSettings,
    /// How folders are answered.
    #[command(flatten)]
    pub folder_page: FolderPage,
    /// Programs that answer.
    #[command(flatten)]
    pub commands: CommandSettings,

    /// Folders as archives.
    #[command(flatten)]
    pub archive: ArchiveSettings,
    /// What a peer may take.
    #[command(flatten)]
    pub limits: Limits,
    /// Who may ask.
    #[command(flatten)]
    pub access: AccessSettings,
    /// The access log.
    #[command(flatten)]
    pub log: LogSettings,
    /// How the server is run.
    #[command(flatten)]
    pub operation: Operation,
}

/// Where connections come from.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
#[command(next_help_heading = "Listening")]
pub struct Listening {
    /// Where to listen: an address or a name with a port, 0 for a free one, or unix:PATH, with
    /// ?mode=660 behind it if wanted; http:// or https:// in front decides about TLS there; may be
    /// repeated. Sockets that a service manager has passed take the place of the default
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: Vec<Listen>,
}

/// Certificates.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
#[command(next_help_heading = "TLS")]
pub struct TlsSettings {
    /// Certificate for https, with its chain: a PEM file; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key: a PEM file; read again when it changes
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,

    /// Make a certificate for localhost and the addresses; clients will not trust it
    #[arg(long)]
    pub tls_self_signed: bool,

    /// Answer HTTP/3 as well, on the UDP ports that have the numbers of the https ones; other responses
    /// over TLS tell clients of it (Alt-Svc)
    #[arg(long)]
    pub http3: bool,
}

/// How files are answered.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
#[command(next_help_heading = "Files")]
pub struct FilesSettings {
    /// What to do about a file that only grows while it is sent
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = WhenGrowing::Fail)]
    pub growing: WhenGrowing,

    /// Serve names that begin with a dot
    #[arg(long)]
    pub hidden: bool,

    /// Follow symbolic links that lead out of the folder
    #[arg(long)]
    pub follow_symlinks: bool,

    /// The page that is sent with 404: a path below the folder
    #[arg(long, value_name = "FILE")]
    pub not_found: Option<Below>,

    /// The page of an application that finds its way by itself: sent, with 200, to browsers that ask
    /// for a path that is not there and has no extension; a path below the folder
    #[arg(long, value_name = "FILE")]
    pub spa: Option<Below>,

    /// Send FILE.br, FILE.zst or FILE.gz in place of FILE to clients that accept it, unless it is
    /// older
    #[arg(long)]
    pub precompressed: bool,

    /// Answer FILE?hash and FILE.sha256 with the digest of FILE, for which all of it is read
    #[arg(long)]
    pub digests: bool,

    /// Cache-Control of files, such as max-age=3600
    #[arg(long, value_name = "VALUE", value_parser = values::field)]
    pub cache_control: Option<HeaderValue>,

    /// Send files with this extension as this type, such as wasm=application/wasm; may be repeated
    #[arg(long, value_name = "EXT=TYPE")]
    pub media_type: Vec<MediaType>,
}

/// How folders are answered.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
#[command(next_help_heading = "Folder page")]
pub struct FolderPage {
    /// The file that is sent for its folder; - for none
    #[arg(long, value_name = "NAME", default_value = "index.html")]
    pub index: Index,

    /// Do not list a folder that has no index: it is not found
    #[arg(long = "no-listing", action = ArgAction::SetFalse)]
    pub listing: bool,
}

/// Programs that answer.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
#[command(next_help_heading = "Commands")]
pub struct CommandSettings {
    /// Answer at PATH with what a program writes: COMMAND is split as a shell splits words, and no
    /// shell is run; exit status 0 is complete, anything else failed; may be repeated
    #[arg(long, value_name = "PATH=COMMAND")]
    pub command: Vec<CommandAt>,

    /// Send what the program at PATH writes as this type; by the extension of PATH without it; may be
    /// repeated
    #[arg(long, value_name = "PATH=TYPE")]
    pub command_type: Vec<CommandType>,

    /// How many programs may run at once; 503 beyond
    #[arg(long, value_name = "COUNT", default_value = "4", value_parser = number::count)]
    pub command_limit: usize,

    /// How long a program may run; 0 = for ever
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = duration::parse)]
    pub command_timeout: Duration,

    /// Where the standard error of programs goes
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = WhereComplaints::Record)]
    pub command_stderr: WhereComplaints,
}

/// Folders as archives.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
#[command(next_help_heading = "Archives")]
pub struct ArchiveSettings {
    /// Of which folders there are archives (FOLDER/?archive=tar)
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = WhichArchives::Listed)]
    pub archives: WhichArchives,

    /// What to do about an entry that cannot be archived
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = WhenMissing::Fail)]
    pub archive_on_error: WhenMissing,

    /// How much the files in a ZIP are compressed, from 1 to 9; 0 stores them, and promises a length
    #[arg(long, value_name = "LEVEL", default_value = "0", value_parser = number::zip_level)]
    pub zip_level: u32,
}

/// What a peer may take.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// A client that takes no octet for so long loses its connection; 0 = never
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration::parse)]
    pub stall_timeout: Duration,

    /// What it means when a client closes its sending half while a response runs
    #[arg(long, value_name = "MEANING", value_enum, default_value_t = WhenHalfClosed::Cancel)]
    pub half_close: WhenHalfClosed,

    /// How many connections may be open; further ones wait until another has closed [default: by
    /// the limit of open files, 16384 at most]
    #[arg(long, value_name = "COUNT", value_parser = number::count)]
    pub max_connections: Option<usize>,

    /// How many connections may be open from one IPv4 address or IPv6 network of 64 bits; one more
    /// is reset [default: no limit]
    #[arg(long, value_name = "COUNT", value_parser = number::count)]
    pub max_connections_per_client: Option<usize>,

    /// How many requests may be under way; 503 beyond [default: by the limit of open files, 16384 at
    /// most]
    #[arg(long, value_name = "COUNT", value_parser = number::count)]
    pub max_requests: Option<usize>,

    /// How many octets a request's head may have; 431 beyond
    #[arg(long, value_name = "OCTETS", default_value = "32768", value_parser = number::head)]
    pub max_header_size: usize,

    /// How long a request's head may take, and a new connection be silent
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = number::time)]
    pub header_timeout: Duration,

    /// How long a connection may wait for its next request
    #[arg(long, value_name = "DURATION", default_value = "75s", value_parser = number::time)]
    pub idle_timeout: Duration,
}

/// Who may ask.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
#[command(next_help_heading = "Access")]
pub struct AccessSettings {
    /// A user who may ask, and the hash of the password by argon2 or bcrypt (`htpasswd -nB NAME`);
    /// may be repeated
    #[arg(long, value_name = "NAME:HASH")]
    pub auth: Vec<User>,

    /// A file with such a user a line; read again at SIGHUP
    #[arg(long, value_name = "FILE")]
    pub auth_file: Option<PathBuf>,

    /// A network or address that may ask: no other may, then; may be repeated
    #[arg(long, value_name = "CIDR")]
    pub allow: Vec<Network>,

    /// A network or address that may not ask, unless it lies in a smaller one that may; may be
    /// repeated
    #[arg(long, value_name = "CIDR")]
    pub deny: Vec<Network>,
}

/// The access log.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
#[command(next_help_heading = "Log")]
pub struct LogSettings {
    /// Where the log goes: a file, or - for standard output
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub log: PathBuf,

    /// How a line of the log looks
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = LogFormat::Combined)]
    pub log_format: LogFormat,
}

/// How the server is run.
#[derive(Debug, Clone, PartialEq, Args)]
#[group(skip)]
#[command(next_help_heading = "Operation")]
pub struct Operation {
    /// How long responses may run on after the first signal: 30s, 500ms, 2m; plain = seconds
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    pub drain: Duration,

    /// Where operators ask: /healthz, /readyz, /metrics and a page; an address or unix:PATH, not for
    /// the public
    #[arg(long, value_name = "ADDR")]
    pub admin: Option<Endpoint>,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// The combined format, with ending= and error_type= at the end
    Combined,
    /// One JSON object
    Json,
}

/// What a FIN means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhenHalfClosed {
    /// The client has left: stop the work
    Cancel,
    /// The client may still read (`nc -N`): only a reset stops the work
    Tolerate,
}

/// Where the standard error of programs goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhereComplaints {
    /// Its end into the record, if the program fails (--log-format json shows it); nothing to the client
    Record,
    /// Into the body, among what the program writes
    Body,
}

/// What to do about a file that grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhenGrowing {
    /// The response fails
    Fail,
    /// The response is complete with what was there when it began
    Allow,
}

/// Of which folders there are archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhichArchives {
    /// Of those that are listed: not of one with an index
    Listed,
    /// Of all
    Always,
    /// Of none
    Never,
}

/// What to do about an entry that cannot be archived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhenMissing {
    /// The archive fails
    Fail,
    /// It is left out and named in ENDWELL-MISSING.txt; the response ends as degraded, and has no
    /// length and no ranges
    Degrade,
}

/// Which certificate is shown to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate<'a> {
    /// None: plain HTTP.
    None,
    /// One that is made at the start.
    SelfSigned,
    /// One with its key, in two PEM files.
    Files {
        /// The certificate with its chain.
        certificate: &'a Path,
        /// Its private key.
        key: &'a Path,
    },
}

impl Settings {
    /// What must hold between settings that are right by themselves; all that does not.
    pub(super) fn check(&self) -> Vec<Unusable> {
        let mut wrong = self.commands.check();
        wrong.extend(self.access.users().err().into_iter().flatten());
        let encrypted = self.listening.listen.iter().any(|to| to.tls == Some(true));
        match self.tls.certificate() {
            Err(unusable) => wrong.push(unusable),
            Ok(Certificate::None) if encrypted => wrong.push(Unusable::new(
                "listen",
                "https:// needs a certificate; add --tls-cert and --tls-key, or --tls-self-signed for a try",
            )),
            Ok(Certificate::None) if self.tls.http3 => wrong.push(Unusable::new(
                "http3",
                "HTTP/3 needs a certificate; add --tls-cert and --tls-key, or --tls-self-signed for a try",
            )),
            Ok(Certificate::None | Certificate::SelfSigned | Certificate::Files { .. }) => {}
        }
        wrong
    }
}

impl CommandSettings {
    /// Each path stands for one program, and each type for one of them.
    fn check(&self) -> Vec<Unusable> {
        let mut wrong = Vec::new();
        for (place, at) in self.command.iter().enumerate() {
            let path = &at.path;
            if self.command[..place].iter().any(|at| at.path == *path) {
                let why = format!("two commands answer at {path}; give one of them another path");
                wrong.push(Unusable::new("command", why));
            }
        }
        for CommandType { path, .. } in &self.command_type {
            if !self.command.iter().any(|at| at.path == *path) {
                let why = format!("no command answers at {path}; add --command '{path}=COMMAND'");
                wrong.push(Unusable::new("command-type", why));
            }
        }
        wrong
    }
}

impl AccessSettings {
    /// The users that are named here, not those of the file.
    ///
    /// # Errors
    /// All that are not `NAME:HASH`, or are there twice.
    pub(crate) fn users(&self) -> Result<Users, Vec<Unusable>> {
        let unusable = |error: BadUser| Unusable::new("auth", error.to_string());
        let mut users = Users::new().map_err(|error| vec![unusable(error)])?;
        let added = self.auth.iter().map(|user| users.add(user.as_str()));
        let wrong: Vec<_> = added.filter_map(Result::err).map(unusable).collect();
        wrong.is_empty().then_some(users).ok_or(wrong)
    }
}

impl TlsSettings {
    /// Which certificate is meant.
    ///
    /// # Errors
    /// A certificate without its key, a key without its certificate, or both kinds at once.
    pub fn certificate(&self) -> Result<Certificate<'_>, Unusable> {
        match (&self.tls_cert, &self.tls_key, self.tls_self_signed) {
            (None, None, false) => Ok(Certificate::None),
            (None, None, true) => Ok(Certificate::SelfSigned),
            (Some(certificate), Some(key), false) => Ok(Certificate::Files { certificate, key }),
            (Some(_), None, false) => Err(Unusable::new(
                "tls-cert",
                "--tls-cert needs its key; add --tls-key FILE",
            )),
            (None, Some(_), false) => Err(Unusable::new(
                "tls-key",
                "--tls-key needs its certificate; add --tls-cert FILE",
            )),
            (_, _, true) => Err(Unusable::new(
                "tls-self-signed",
                "--tls-self-signed makes its own certificate; leave it out to use --tls-cert and --tls-key",
            )),
        }
    }
}

/// Adds every flag of `endwell serve` to a command, and `--config`.
///
/// A switch (`--tls-self-signed`) gets its hidden opposite (`--no-tls-self-signed`), which takes
/// back what the file or the environment says.
pub fn arguments(command: Command) -> Command {
    let command = Settings::augment_args(command);
    let switches: Vec<_> = command.get_arguments().filter_map(switch).collect();
    let command = switches.into_iter().fold(command, |command, (id, long)| {
        command.arg(
            Arg::new(opposite_id(&long))
                .long(opposite(&long))
                .action(ArgAction::SetTrue)
                .overrides_with(id)
                .hide(true),
        )
    });
    command.arg(
        Arg::new("config")
            .long("config")
            .short('c')
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help_heading("Operation")
            .help("A file of settings, in which every flag is a key; read again at SIGHUP"),
    )
}

/// The id and the flag of a switch.
fn switch(arg: &Arg) -> Option<(String, String)> {
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::SetFalse);
    let long = arg.get_long().filter(|_| is_switch)?;
    Some((arg.get_id().to_string(), long.to_owned()))
}

/// The id of the flag that says the opposite; none that a setting has.
pub(super) fn opposite_id(long: &str) -> String {
    format!("opposite of {long}")
}

/// The flag that says the opposite: `--x` and `--no-x`.
pub(super) fn opposite(long: &str) -> String {
    match long.strip_prefix("no-") {
        Some(positive) => positive.to_owned(),
        None => format!("no-{long}"),
    }
}
