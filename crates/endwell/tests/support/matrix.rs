//! Every way of failing, on every framing, seen by every kind of reader.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use endwell::core::{Ending, Verdict};
use endwell_lab::observe::{ClientTls, Pace, Seen, SeenEnd, http1, http2, http3};

use super::script::{Ask, Fault, app, octets};
use super::{Server, Setup};

/// A way of framing a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    Http10Length,
    Http10Close,
    Http11Chunked,
    Http11Length,
    Http2,
    Http2Length,
    Http3,
    Http3Length,
}

impl Column {
    pub const ALL: [Column; 8] = [
        Self::Http10Length,
        Self::Http10Close,
        Self::Http11Chunked,
        Self::Http11Length,
        Self::Http2,
        Self::Http2Length,
        Self::Http3,
        Self::Http3Length,
    ];

    pub fn promises(self) -> bool {
        matches!(
            self,
            Self::Http10Length | Self::Http11Length | Self::Http2Length | Self::Http3Length
        )
    }

    /// Whether it is spoken without TLS, or with it.
    pub fn exists(self, tls: bool) -> bool {
        tls || !self.is_http3()
    }

    pub fn is_http3(self) -> bool {
        matches!(self, Self::Http3 | Self::Http3Length)
    }

    pub fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2Length)
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Http10Length => "1.0 length",
            Self::Http10Close => "1.0 close",
            Self::Http11Chunked => "1.1 chunked",
            Self::Http11Length => "1.1 length",
            Self::Http2 => "2",
            Self::Http2Length => "2 length",
            Self::Http3 => "3",
            Self::Http3Length => "3 length",
        }
    }
}

/// How a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reader {
    Fast,
    /// On HTTP/2 and HTTP/3: held up by its window.
    SmallWindow,
    /// Held up by its socket.
    SmallSocket,
    Late,
}

impl Reader {
    pub const ALL: [Reader; 4] = [Self::Fast, Self::SmallWindow, Self::SmallSocket, Self::Late];

    pub fn pace(self) -> Pace {
        match self {
            Self::Fast => Pace::fast(),
            // 500 round trips, on a machine that has the cryptography of all others to do.
            Self::SmallWindow => Pace {
                deadline: Duration::from_secs(180),
                ..Pace::small()
            },
            Self::SmallSocket => Pace {
                window: Some(8 * 1024 * 1024),
                // Below this the kernel drops what it has offered room for, and the sender's
                // retransmissions take half a minute for 200 kB of small records.
                receive_buffer: Some(16 * 1024),
                start_late: Duration::from_millis(20),
                deadline: Duration::from_secs(180),
                ..Pace::fast()
            },
            Self::Late => Pace {
                window: Some(8 * 1024 * 1024),
                ..Pace::late()
            },
        }
    }
}

/// One run.
#[derive(Debug, Clone)]
pub struct Case {
    pub fault: Fault,
    pub column: Column,
    pub tls: bool,
    pub reader: Reader,
    pub size: usize,
    pub cut: usize,
    pub frame: usize,
    pub id: u64,
}

impl Case {
    pub fn ask(&self) -> Ask {
        Ask {
            fault: self.fault,
            size: self.size,
            cut: self.cut,
            frame: self.frame,
            promise: self.column.promises(),
            id: self.id,
        }
    }

    /// How the observer must see the end, as literals of each framing.
    pub fn expected_end(&self) -> &'static [&'static str] {
        match self.column {
            // Over TLS the closure alert is due also on a broken message (RFC 9112 section 9.8).
            Column::Http11Chunked | Column::Http11Length | Column::Http10Length if self.tls => {
                &["CloseNotify"]
            }
            Column::Http11Chunked | Column::Http11Length | Column::Http10Length => &["Fin"],
            Column::Http10Close => &["Reset"],
            Column::Http2 | Column::Http2Length => &["StreamReset(2)"],
            // H3_REQUEST_CANCELLED, 0x10c.
            Column::Http3 | Column::Http3Length => &["StreamReset(268)"],
        }
    }

    /// The octets that must arrive, and whether a 200 was sent at all.
    fn expected(&self) -> Option<Vec<u8>> {
        let produced = match self.fault {
            Fault::First | Fault::HandlerPanic | Fault::Committed => 0,
            Fault::None | Fault::Last | Fault::Degraded => self.size,
            Fault::Over => self.size + 7,
            Fault::Drop
            | Fault::Panic
            | Fault::Mid
            | Fault::Pause
            | Fault::Aborted
            | Fault::Short
            | Fault::Silent => self.cut,
        };
        match self.fault {
            Fault::None => Some(octets(self.size)),
            // A promise of nothing is fulfilled by the head: that was held to the end.
            Fault::Committed if !(self.column.promises() && self.size == 0) => Some(Vec::new()),
            _ if produced == 0 || (self.column.promises() && self.size == 0) => None,
            // The whole promise, less the octet that would fulfil it.
            _ if self.column.promises() && produced >= self.size => Some(octets(self.size - 1)),
            _ => Some(octets(produced)),
        }
    }

    pub fn observe(&self, addr: SocketAddr) -> Seen {
        let target = self.ask().target();
        let mut pace = self.reader.pace();
        if self.column.is_http3() {
            if self.reader == Reader::SmallWindow {
                pace.window = Some(20 * 1024);
            }
            return http3::observe(addr, &target, &[], &pace);
        }
        if self.column.is_http2() {
            let tls = self.tls.then(|| ClientTls::new(&["h2"]));
            return http2::observe(addr, tls.as_ref(), &target, &[], &pace);
        }
        let request = match self.column {
            Column::Http10Length | Column::Http10Close => http1::Request::get10(&target),
            _ => http1::Request::get11(&target),
        };
        let tls = self.tls.then(|| ClientTls::new(&["http/1.1"]));
        http1::observe(addr, tls.as_ref(), &request, &pace)
    }

    /// Compares what was seen, and what was recorded, with what must be.
    pub fn judge(&self, seen: &Seen, server: &Server) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: {}", seen.verdict_line()));
        let record = server.record(&self.ask().target());
        let Some(expected) = self.expected() else {
            if seen.status != Some(500) || !seen.is_complete() {
                return wrong("an error before the first octet must be a whole 500");
            }
            if record.status != 500 || record.ending.is_complete() {
                return Err(format!("record of a 500: {}", record.json()));
            }
            return Ok(());
        };
        if seen.status != Some(200) {
            return wrong("the head must arrive");
        }
        if seen.body != expected {
            return Err(format!(
                "{} octets expected, {} seen ({}): {}",
                expected.len(),
                seen.body.len(),
                if expected.starts_with(&seen.body) {
                    "a prefix"
                } else {
                    "other octets"
                },
                seen.verdict_line()
            ));
        }
        if record.tally.sent != seen.body.len() as u64 {
            return Err(format!("octets_sent: {}", record.json()));
        }
        if self.fault == Fault::None {
            if !seen.is_complete() {
                return wrong("a good response must be whole");
            }
            if !record.ending.is_complete() {
                return Err(format!("false alarm: {}", record.json()));
            }
            return Ok(());
        }
        if seen.is_complete() || seen.verdict() != Verdict::Incomplete {
            return wrong("SILENT TRUNCATION");
        }
        let end = format!("{:?}", seen.end);
        if !self.expected_end().contains(&end.as_str()) {
            return wrong("another end was planned");
        }
        self.judge_record(&record)
    }

    fn judge_record(&self, record: &endwell::Record) -> Result<(), String> {
        let kind = match self.fault {
            Fault::Drop | Fault::Aborted => "producer_dropped",
            Fault::Panic => "producer_panicked",
            Fault::Silent => "producer_idle",
            Fault::Over if self.column.promises() => "length_exceeded",
            Fault::Short => "length_short",
            _ => "producer_error",
        };
        let signal = match self.column {
            Column::Http10Length | Column::Http11Length => "short_body",
            Column::Http11Chunked => "missing_last_chunk",
            Column::Http10Close => "reset_connection",
            Column::Http2 | Column::Http2Length => "reset_stream:0x2",
            Column::Http3 | Column::Http3Length => "reset_stream:0x10c",
        };
        if self.column.is_http3() && record.tally.acked != Some(record.tally.sent) {
            return Err(format!("octets_acked: {}", record.json()));
        }
        let ending = match record.ending {
            Ending::Failed(_) => "failed",
            Ending::Degraded(_) => "degraded",
            _ => "other",
        };
        let due = if self.fault == Fault::Degraded {
            "degraded"
        } else {
            "failed"
        };
        if ending != due || record.error_type() != Some(kind) || record.signal_out != signal {
            return Err(format!(
                "record ({due} {kind} {signal} due): {}",
                record.json()
            ));
        }
        Ok(())
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "TLS" } else { "TCP" };
        write!(
            f,
            "{:?} on {} {tls}, {:?} reader, cut {} of {} in frames of {} (id {})",
            self.fault,
            self.column.title(),
            self.reader,
            self.cut,
            self.size,
            self.frame,
            self.id
        )
    }
}

/// The faults of the matrix.
pub const FAULTS: [Fault; 14] = [
    Fault::None,
    Fault::Drop,
    Fault::Panic,
    Fault::HandlerPanic,
    Fault::First,
    Fault::Committed,
    Fault::Mid,
    Fault::Pause,
    Fault::Last,
    Fault::Aborted,
    Fault::Over,
    Fault::Short,
    Fault::Silent,
    Fault::Degraded,
];

/// Every case of the matrix that can exist.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for fault in FAULTS {
        for column in Column::ALL {
            // Without a promise nothing is too short, and more is only more.
            if matches!(fault, Fault::Short | Fault::Over) && !column.promises() {
                continue;
            }
            for tls in [false, true] {
                if !column.exists(tls) {
                    continue;
                }
                for reader in Reader::ALL {
                    for (size, cut, frame) in [(40, 30, 10), (300_000, 299_999, 70_000)] {
                        cases.push(Case {
                            fault,
                            column,
                            tls,
                            reader,
                            size,
                            cut,
                            frame,
                            id: cases.len() as u64,
                        });
                    }
                }
            }
        }
    }
    cases
}

/// The servers that a matrix needs: plain and TLS.
pub struct Servers {
    plain: Server,
    tls: Server,
}

impl Servers {
    pub fn start(setup: &Setup) -> Self {
        let policy = |setup: Setup| {
            setup.policy(|policy| {
                policy.idle_deadline = Some(Duration::from_secs(1));
                policy.http10_hold.octets = 1;
            })
        };
        Self {
            plain: policy(setup.clone()).start(app()),
            tls: policy(Setup {
                tls: true,
                ..setup.clone()
            })
            .start(app()),
        }
    }

    pub fn of(&self, case: &Case) -> &Server {
        if case.tls { &self.tls } else { &self.plain }
    }

    /// Runs every case on a few threads; gives those that went wrong, with the reason.
    pub fn run(&self, cases: &[Case]) -> Vec<(Case, String)> {
        let next = Mutex::new(cases.iter());
        let wrong = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..24 {
                scope.spawn(|| {
                    loop {
                        let Some(case) = next.lock().expect("no panic holds it").next() else {
                            return;
                        };
                        let server = self.of(case);
                        let seen = case.observe(server.addr);
                        if let Err(reason) = case.judge(&seen, server) {
                            let mut wrong = wrong.lock().expect("no panic holds it");
                            wrong.push((case.clone(), reason));
                        }
                    }
                });
            }
        });
        wrong.into_inner().expect("no panic holds it")
    }
}

/// Runs every fault once on every framing, and prints what a client saw as a table in Markdown.
pub fn table() -> String {
    let servers = Servers::start(&Setup::default());
    let mut text = String::from("| the producer |");
    for tls in [false, true] {
        for column in columns(tls) {
            let transport = if tls { ", TLS" } else { "" };
            text += &format!(" {}{transport} |", column.title());
        }
    }
    let columns_in_all = columns(false).chain(columns(true)).count();
    text += &format!("\n|---|{}\n", "---|".repeat(columns_in_all));
    let mut id = 1_000_000;
    for fault in FAULTS {
        text += &format!("| {} |", in_words(fault));
        for tls in [false, true] {
            for column in columns(tls) {
                id += 1;
                text += &format!(" {} |", cell(&servers, fault, column, tls, id));
            }
        }
        text.push('\n');
    }
    text
}

fn columns(tls: bool) -> impl Iterator<Item = Column> {
    Column::ALL.into_iter().filter(move |it| it.exists(tls))
}

fn cell(servers: &Servers, fault: Fault, column: Column, tls: bool, id: u64) -> String {
    if matches!(fault, Fault::Short | Fault::Over) && !column.promises() {
        return "-".to_owned();
    }
    let case = Case {
        fault,
        column,
        tls,
        reader: Reader::Fast,
        size: 100_000,
        cut: 80_000,
        frame: 10_000,
        id,
    };
    let server = servers.of(&case);
    let seen = case.observe(server.addr);
    if let Err(reason) = case.judge(&seen, server) {
        return format!("**{reason}**");
    }
    let status = seen.status.unwrap_or(0);
    let end = match &seen.end {
        SeenEnd::LastChunk => "last chunk",
        SeenEnd::Length => "exact length",
        SeenEnd::EndStream if column.is_http3() => "FIN",
        SeenEnd::EndStream => "END_STREAM",
        SeenEnd::Fin => "FIN",
        SeenEnd::CloseNotify => "close_notify",
        SeenEnd::Reset => "RST",
        SeenEnd::StreamReset(2) => "RST_STREAM(2)",
        SeenEnd::StreamReset(0x10c) => "RESET_STREAM(0x10c)",
        _ => "other",
    };
    match status {
        200 => format!("{}, {end}", seen.body.len()),
        _ => format!("{status}"),
    }
}

fn in_words(fault: Fault) -> &'static str {
    match fault {
        Fault::None => "finishes",
        Fault::Drop => "is dropped after 80 000",
        Fault::Panic => "panics after 80 000",
        Fault::HandlerPanic => "never starts: the handler panics",
        Fault::First => "fails before the first octet",
        Fault::Committed => "commits the head, then fails",
        Fault::Mid => "fails right after 80 000",
        Fault::Pause => "fails 30 ms after 80 000",
        Fault::Last => "fails after all 100 000",
        Fault::Aborted => "is a task, aborted after 80 000",
        Fault::Over => "gives 100 007 of 100 000",
        Fault::Short => "finishes at 80 000 of 100 000",
        Fault::Silent => "falls silent after 80 000",
        Fault::Degraded => "degrades, finishes all 100 000",
    }
}
