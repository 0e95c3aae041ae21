//! Every way to make a body × every course it can take × every framing × both server loops: raw
//! observers see what is due, every octet that was produced arrives, and the records agree.

#[path = "../support/mod.rs"]
mod support;

mod ways;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use endwell::core::{Ending, Verdict};
use endwell::{Record, SaidBy};
use endwell_lab::observe::{Pace, Seen, SeenEnd, http1, http2};
use support::matrix::Column;
use support::{Loop, Server, Setup};
use ways::{Ask, Course, OCTETS, Told, Way, app, cannot_be};

/// Nothing here waits longer than a second when all is well: this is for busy machines.
const DEADLINE: Duration = Duration::from_secs(60);

/// So many wrong cases tell enough: each may have waited until the deadline.
const ENOUGH: usize = 20;

#[derive(Debug, Clone, Copy)]
struct Case {
    ask: Ask,
    column: Column,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ask {
            way,
            course,
            size,
            id,
            ..
        } = self.ask;
        let column = self.column.title();
        write!(f, "{way:?}, {course:?}, on {column}, {size} octets ({id})")
    }
}

impl Case {
    fn leaves(&self) -> bool {
        matches!(self.ask.course, Course::LeavesBlocked | Course::LeavesIdle)
    }

    /// A source without a word for "dropped" is taken at its end, unless a promise shows the lack.
    fn is_whole(&self) -> bool {
        match self.ask.course {
            Course::Ok => true,
            Course::Drop => {
                matches!(self.ask.way, Way::Stream | Way::Reader) && !self.column.promises()
            }
            _ => false,
        }
    }

    /// The octets that must arrive; `None` for an answer of the server's in its place.
    fn octets(&self) -> Option<usize> {
        let Ask { size, course, .. } = self.ask;
        let produced = self.ask.produced();
        match course {
            Course::ErrorFirst => None,
            // The octet that would fulfil the promise waits for the proof that never came.
            Course::ErrorLast | Course::Degrade if self.column.promises() => Some(size - 1),
            _ => Some(produced),
        }
    }

    /// `ending`, `error_type` and `said_by` of the record, as literals.
    fn record(&self) -> (&'static str, Option<&'static str>, SaidBy) {
        let its_own = match self.ask.way.says() {
            true => SaidBy::Producer,
            false => SaidBy::Source,
        };
        match self.ask.course {
            Course::Ok => ("complete", None, its_own),
            Course::ErrorFirst | Course::ErrorMid | Course::ErrorLast => {
                ("failed", Some("producer_error"), its_own)
            }
            Course::Panic => ("failed", Some("producer_panicked"), SaidBy::Server),
            Course::Drop if matches!(self.ask.way, Way::Stream | Way::Reader) => {
                match self.column.promises() {
                    true => ("failed", Some("length_short"), SaidBy::Source),
                    false => ("complete", None, SaidBy::Source),
                }
            }
            Course::Drop => ("failed", Some("producer_dropped"), SaidBy::Server),
            Course::TimeOut => ("failed", Some("producer_idle"), SaidBy::Server),
            Course::Degrade => ("degraded", Some("producer_error"), its_own),
            Course::LeavesBlocked | Course::LeavesIdle => {
                ("cancelled", Some("client_gone"), SaidBy::Server)
            }
        }
    }

    /// What a broken response ends with, as `docs/endings.md` has it.
    fn broken_end(&self) -> SeenEnd {
        match self.column {
            Column::Http10Close => SeenEnd::Reset,
            Column::Http10Length | Column::Http11Chunked | Column::Http11Length => SeenEnd::Fin,
            Column::Http2 | Column::Http2Length => SeenEnd::StreamReset(2),
            Column::Http3 | Column::Http3Length => SeenEnd::StreamReset(0x10c),
        }
    }

    fn signal_out(&self) -> &'static str {
        match self.column {
            Column::Http10Close => "reset_connection",
            Column::Http11Chunked => "missing_last_chunk",
            Column::Http10Length | Column::Http11Length => "short_body",
            Column::Http2 | Column::Http2Length => "reset_stream:0x2",
            Column::Http3 | Column::Http3Length => "reset_stream:0x10c",
        }
    }

    fn request(&self) -> http1::Request {
        match self.column {
            Column::Http10Length | Column::Http10Close => http1::Request::get10(&self.ask.target()),
            _ => http1::Request::get11(&self.ask.target()),
        }
    }

    fn observe(&self, addr: SocketAddr) -> Seen {
        let pace = Pace {
            deadline: DEADLINE,
            ..Pace::fast()
        };
        match self.column.is_http2() {
            true => http2::observe(addr, None, &self.ask.target(), &[], &pace),
            false => http1::observe(addr, None, &self.request(), &pace),
        }
    }

    /// Reads what there is before the silence, or a little of what has no end, and leaves.
    fn leave(&self, addr: SocketAddr) -> std::io::Result<Seen> {
        let until = self.ask.cut;
        let enough = move |seen: &Seen| seen.body.len() >= until;
        let pace = Pace {
            deadline: DEADLINE,
            ..Pace::fast()
        };
        if self.column.is_http2() {
            let mut connection = http2::Connection::connect(addr, None, &pace)?;
            let stream = connection.get(&self.ask.target(), &[])?;
            let seen = connection.read_until(stream, enough);
            match self.ask.id % 2 {
                0 => connection.cancel(stream, 8),
                _ => return Ok(seen),
            }
            connection.close();
            return Ok(seen);
        }
        let mut session = http1::Session::connect(addr, None, &pace)?;
        session.send(&self.request())?;
        let seen = session.read_until(enough);
        match self.ask.id % 2 {
            0 => session.close(),
            _ => session.reset(),
        }
        Ok(seen)
    }

    fn judge(&self, server: &Server, told: &Told) -> Result<(), String> {
        let target = self.ask.target();
        let seen = match self.leaves() {
            true => self.leave(server.addr).map_err(|error| error.to_string())?,
            false => self.observe(server.addr),
        };
        let record = server
            .try_record(&target, DEADLINE)
            .ok_or_else(|| format!("no record; {}", seen.verdict_line()))?;
        match self.leaves() {
            true => self.judge_left(&seen, &record)?,
            false => self.judge_seen(&seen, &record)?,
        }
        self.judge_record(&record)?;
        self.judge_told(&record, told)
    }

    fn judge_left(&self, seen: &Seen, record: &Record) -> Result<(), String> {
        let received = seen.body.len() as u64;
        let tally = record.tally;
        if seen.body[..self.ask.cut] != OCTETS[..self.ask.cut] {
            return Err(format!("other octets: {}", seen.verdict_line()));
        }
        if tally.produced < tally.sent || tally.sent < received {
            return Err(format!("{received} received: {}", record.json()));
        }
        Ok(())
    }

    fn judge_seen(&self, seen: &Seen, record: &Record) -> Result<(), String> {
        let wrong = |what: &str| Err(format!("{what}: {}", seen.verdict_line()));
        let Some(octets) = self.octets() else {
            if seen.status != Some(500) || !seen.is_complete() || record.status != 500 {
                return wrong("an error before the first octet must be a whole 500");
            }
            return Ok(());
        };
        let way = format!("{:?}", self.ask.way);
        if seen.status != Some(200) || seen.header("content-type") != Some("text/plain") {
            return wrong("the head must arrive");
        }
        if seen.header("x-way") != Some(way.as_str()) {
            return wrong("the fields of the body must arrive");
        }
        if seen.body != OCTETS[..octets] {
            return wrong(&format!("{octets} octets must arrive"));
        }
        if record.tally.sent != octets as u64 || record.tally.produced != self.ask.produced() as u64
        {
            return Err(format!("octets: {}", record.json()));
        }
        if self.is_whole() {
            if !seen.is_complete() {
                return wrong("a whole response must be seen whole");
            }
            return Ok(());
        }
        // A close-delimited body is never proven whole; whether it looks so, the end tells.
        if seen.is_complete() || seen.verdict() != Verdict::Incomplete {
            return wrong("SILENT TRUNCATION");
        }
        if seen.end != self.broken_end() || record.signal_out != self.signal_out() {
            return wrong("another end is due");
        }
        Ok(())
    }

    fn judge_record(&self, record: &Record) -> Result<(), String> {
        let is = (record.ending.as_str(), record.error_type(), record.said_by);
        if is != self.record() {
            return Err(format!(
                "record, {:?} is due: {}",
                self.record(),
                record.json()
            ));
        }
        let message = record.ending.cause().map_or("", |cause| &cause.message);
        let due = match self.ask.course {
            Course::ErrorFirst | Course::ErrorMid | Course::ErrorLast => "the disk failed",
            Course::Panic => "panic",
            Course::Degrade => "a part of it is missing",
            _ => "",
        };
        if !message.contains(due) || matches!(record.ending, Ending::Complete) != message.is_empty()
        {
            return Err(format!("message: {}", record.json()));
        }
        Ok(())
    }

    /// The work has stopped, and its producer was told what the observer was.
    fn judge_told(&self, record: &Record, told: &Told) -> Result<(), String> {
        let target = self.ask.target();
        wait_for(|| told.has_stopped(&target).then_some(())).ok_or("the work goes on")?;
        let ours_inside = self.ask.way == Way::Adapter
            && matches!(self.ask.course, Course::Degrade | Course::Drop);
        if !self.ask.way.says() && !ours_inside {
            return Ok(());
        }
        let ended = wait_for(|| told.ended(&target)).ok_or("its producer was told nothing")?;
        match ended {
            None if ours_inside => Ok(()),
            Some(ended) if !ours_inside && ended.json() == record.json() => Ok(()),
            ended => Err(format!(
                "its producer was told {:?}, the observer {}",
                ended.map(|record| record.json()),
                record.json()
            )),
        }
    }
}

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > until {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for way in Way::ALL {
        for course in Course::ALL {
            if cannot_be(way, course).is_some() {
                continue;
            }
            // Without TLS; what a producer says is the same on every wire.
            for column in Column::ALL.into_iter().filter(|it| it.exists(false)) {
                for (size, cut, frame) in [(40, 30, 10), (300_000, 200_000, 30_000)] {
                    let ask = Ask {
                        way,
                        course,
                        size,
                        cut,
                        frame,
                        promise: column.promises(),
                        id: cases.len(),
                    };
                    cases.push(Case { ask, column });
                }
            }
        }
    }
    cases
}

/// A server whose producers may be silent, and one on which that is an error.
struct Servers {
    patient: Server,
    strict: Server,
    told: Told,
}

impl Servers {
    fn start(server_loop: Loop) -> Self {
        let told = Told::default();
        let start = |idle_deadline| {
            let setup = Setup {
                server_loop,
                ..Setup::default()
            };
            let setup = setup.policy(|policy| {
                policy.idle_deadline = idle_deadline;
                // Before its first octet a body waits as long as it must: only an error is a 500.
                policy.head_hold = None;
                policy.http10_hold.octets = 1;
            });
            setup.start(app(told.clone()))
        };
        Self {
            patient: start(None),
            strict: start(Some(Duration::from_secs(1))),
            told: told.clone(),
        }
    }

    fn run(&self, cases: &[Case]) -> Vec<(Case, String)> {
        let next = Mutex::new(cases.iter());
        let wrong = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..24 {
                scope.spawn(|| {
                    loop {
                        let Some(case) = next.lock().expect("no panic holds it").next() else {
                            return;
                        };
                        if wrong.lock().expect("no panic holds it").len() >= ENOUGH {
                            return;
                        }
                        let server = match case.ask.course {
                            Course::TimeOut => &self.strict,
                            _ => &self.patient,
                        };
                        if let Err(reason) = case.judge(server, &self.told) {
                            let mut wrong = wrong.lock().expect("no panic holds it");
                            wrong.push((*case, reason));
                        }
                    }
                });
            }
        });
        wrong.into_inner().expect("no panic holds it")
    }
}

fn all_told(server_loop: Loop) {
    let cases = cases();
    let wrong = Servers::start(server_loop).run(&cases);
    for (case, reason) in &wrong {
        eprintln!("{case}\n    {reason}");
    }
    let left_out: Vec<_> = Way::ALL
        .iter()
        .flat_map(|way| Course::ALL.map(|course| (*way, course)))
        .filter_map(|(way, course)| Some((way, course, cannot_be(way, course)?)))
        .collect();
    println!("{} cases; not among them: {left_out:?}", cases.len());
    assert!(wrong.is_empty(), "{} went wrong", wrong.len());
}

#[test]
fn every_way_to_make_a_body_tells_how_it_ended() {
    all_told(Loop::Ours);
}

#[test]
fn the_stock_server_loop_tells_the_same() {
    all_told(Loop::Stock);
}
