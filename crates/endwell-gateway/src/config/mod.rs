//! What `endwell serve` is told: flags, the environment, a file; one value comes out.
//!
//! Reads: [`Sources`]. Gives: [`Loaded`], which holds [`Settings`] and where each value came from.
//! Never: opens a socket; what is named in the settings is looked at when the server is made.
//!
//! The command line is the one list of what can be set: [`arguments`]. A key of the file and an
//! environment variable are other ways to write a flag (`--log-format`, `log-format = ".."`,
//! `ENDWELL_LOG_FORMAT`), so a flag that is added is a key and a variable at once. Each source is
//! turned into [`Given`] values and checked by the flag's own parser; a flag wins over the
//! environment, that over the file, and the file over the default.

mod origin;

mod duration;

mod address;

mod endpoint;

mod pages;

mod values;

mod access;

mod commands;

mod number;

mod settings;

mod key;

mod given;

mod file;

mod load;

pub use access::{Network, User};
pub use address::Address;
pub use commands::{CommandAt, CommandType};
pub use duration::parse as parse_duration;
pub use endpoint::{Endpoint, Listen};
pub use file::parse;
pub use given::Given;
pub use key::{Key, Kind};
pub use load::{Loaded, Sources, Value};
pub use origin::{Fault, Faults, Origin, Unusable};
pub use pages::{Below, Index};
pub use settings::{
    AccessSettings, ArchiveSettings, Certificate, CommandSettings, FilesSettings, FolderPage,
    Limits, Listening, LogFormat, LogSettings, Operation, Settings, TlsSettings, WhenGrowing,
    WhenHalfClosed, WhenMissing, WhereComplaints, WhichArchives, arguments,
};
pub use values::MediaType;

pub(crate) use duration::show as show_duration;
