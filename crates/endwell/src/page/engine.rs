//! Runs the parts of a page and writes it.
//!
//! Reads: fragments whose parts it polls, each when it was woken. Gives: octets as soon as they may go, then
//! the end. Never: polls a part of a page that is over; writes behind a part that was fatal.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake};
use std::time::Duration;

use bytes::Bytes;
use endwell_core::{Cause, FailedPart, Severity};
use tokio::time::Instant;

use super::clock::{Alarm, Clock};
use super::error::PartError;
use super::failures::Failures;
use super::fragment::{Fragment, Given, HeadOf, Run};
use super::out::Out;
use super::script::Scripts;
use super::tree::{Grown, Tree};
use super::wake::{Bell, Woken, waker};
use crate::producer::panicked;

/// Items of a repetition that are taken in one go: others shall have their turn.
const TURN: usize = 16;

/// Alarms that may be there for parts that are over, beside one for each that is not: forgetting them costs a look at
/// all.
const ALARMS: usize = 64;

/// How a page is written.
pub(super) struct Manner {
    pub(super) in_order: bool,
    pub(super) nonce: Option<String>,
    pub(super) redirect: Option<String>,
    /// Octets wait so long for parts that may be fatal; `None` waits for all of them.
    pub(super) hold: Option<Duration>,
    pub(super) parts: usize,
    pub(super) foot: Bytes,
}

/// What a page gives next.
pub(super) enum Step {
    Octets(Bytes),
    End,
}

/// A page that runs.
pub(super) struct Engine {
    pub(super) tree: Tree,
    woken: Arc<Woken>,
    /// To be polled.
    pub(super) due: VecDeque<usize>,
    /// Repetitions that were woken and have to wait until items of theirs are done.
    pub(super) full: Vec<usize>,
    clock: Clock,
    pub(super) failures: Failures,
    /// Parts under way of which the head depends.
    deciding: usize,
    /// Parts under way that may end the page.
    pub(super) risky: usize,
    /// What parts decided of the head, by their numbers, which are in the order of the page.
    decided: BTreeMap<usize, Box<HeadOf>>,
    pub(super) manner: Manner,
    pub(super) holds: bool,
    pub(super) scripts: Scripts,
    /// What is being written, from the page itself to the part whose turn it is.
    pub(super) path: Vec<usize>,
    /// Parts whose place was marked.
    pub(super) late: Vec<Late>,
    pub(super) out: Out,
    /// Octets were given away: what fails from here on is no 5xx any more.
    pub(super) given: bool,
    pub(super) over: bool,
}

/// A part whose place was marked, and that comes when it is there.
#[derive(Clone, Copy)]
pub(super) struct Late {
    pub(super) part: usize,
    pub(super) place: u64,
}

impl Engine {
    pub(super) fn new(content: Fragment, manner: Manner) -> Self {
        let (tree, root) = Tree::new(manner.parts);
        let mut engine = Self {
            tree,
            woken: Arc::default(),
            due: VecDeque::new(),
            full: Vec::new(),
            clock: Clock::default(),
            failures: Failures::default(),
            deciding: 0,
            risky: 0,
            decided: BTreeMap::new(),
            holds: manner.hold != Some(Duration::ZERO),
            scripts: Scripts::default(),
            path: vec![root],
            late: Vec::new(),
            out: Out::default(),
            given: false,
            over: false,
            manner,
        };
        if let Some(nonce) = &engine.manner.nonce {
            engine.scripts.set_nonce(nonce);
        }
        if engine.manner.redirect.is_some() {
            engine.out.follow_markup();
        }
        let until = engine
            .manner
            .hold
            .and_then(|time| Instant::now().checked_add(time));
        if let (true, Some(until)) = (engine.holds, until) {
            engine.clock.set(until, Alarm::Head);
        }
        engine.add(root, content);
        engine
    }

    /// What failed so far.
    pub(super) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// Runs the parts until it is known what the head will be.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<HeadOf> {
        self.run(cx);
        if self.deciding > 0 && !self.failures.is_fatal() {
            return Poll::Pending;
        }
        let decided = std::mem::take(&mut self.decided).into_values();
        Poll::Ready(decided.fold(HeadOf::default(), |head, later| head.then(*later)))
    }

    /// Runs the parts, and gives what may go.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        // What is written is taken first: a repetition must not run ahead of its reader.
        while self.out.is_empty() && !self.over {
            self.run(cx);
            self.write();
            // What was written may let repetitions go on, also where it was nothing.
            if self.due.is_empty() {
                break;
            }
        }
        match self.out.take() {
            Some(octets) => {
                self.given = true;
                Poll::Ready(Step::Octets(octets))
            }
            None if self.over => Poll::Ready(Step::End),
            None => Poll::Pending,
        }
    }

    /// Polls the parts that were woken, and those that thereby became known.
    fn run(&mut self, cx: &mut Context<'_>) {
        self.woken.register(cx);
        self.woken.take(&mut self.due);
        self.run_due();
        while let Poll::Ready((at, alarm)) = self.clock.poll(cx) {
            match alarm {
                Alarm::Head => self.holds = false,
                Alarm::Part(part) => self.expire(part, at),
            }
            self.run_due();
        }
    }

    fn run_due(&mut self) {
        while !self.failures.is_fatal()
            && let Some(part) = self.due.pop_front()
        {
            self.poll_part(part);
        }
    }

    fn poll_part(&mut self, part: usize) {
        let Some(node) = self.tree.get_mut(part) else {
            return;
        };
        let Some(mut work) = node.work.take() else {
            return;
        };
        if node.is_full() {
            node.work = Some(work);
            self.wait_for_items(part);
            return;
        }
        let woken = &self.woken;
        let bell = Arc::clone(node.bell.get_or_insert_with(|| Bell::new(part, woken)));
        if let (Some(time), None) = (node.timeout, node.deadline) {
            node.started = Instant::now();
            // A time beyond all clocks is none.
            node.deadline = node.started.checked_add(time);
            if let Some(deadline) = node.deadline {
                self.clock.set(deadline, Alarm::Part(part));
                self.forget_alarms();
            }
        }
        bell.heard();
        let waker = waker(&bell);
        for turn in 0.. {
            if turn == TURN {
                bell.wake_by_ref();
                break;
            }
            match poll_work(work.as_mut(), &mut Context::from_waker(&waker)) {
                Poll::Pending => break,
                Poll::Ready(Ok(Given::Item(key, content))) => {
                    let item = self.tree.item(part, Some(&key));
                    self.add(item, content);
                    if self.tree.get(part).is_some_and(|node| node.is_full()) {
                        self.wait_for_items(part);
                        break;
                    }
                }
                Poll::Ready(result) => return self.settle(part, work, result),
            }
        }
        if let Some(node) = self.tree.get_mut(part) {
            node.work = Some(work);
        }
    }

    /// A long repetition must not leave an alarm for each part that it had.
    fn forget_alarms(&mut self) {
        if self.clock.len() > ALARMS + 2 * self.tree.len() {
            let tree = &self.tree;
            self.clock.retain(|at, alarm| match alarm {
                Alarm::Head => true,
                Alarm::Part(part) => tree.get(part).is_some_and(|node| node.deadline == Some(at)),
            });
        }
    }

    /// A repetition goes on when items of its own are done.
    fn wait_for_items(&mut self, part: usize) {
        if !self.full.contains(&part) {
            self.full.push(part);
        }
    }

    /// The work of a part is over.
    fn settle(&mut self, part: usize, work: Pin<Box<dyn Run>>, result: Result<Given, PartError>) {
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(work)));
        let result = match (result, dropped) {
            (Ok(_), Err(panic)) => Err(of_panic(&*panic)),
            (result, _) => result,
        };
        self.is_over(part);
        match result {
            Ok(Given::All(content, None)) => self.add(part, content),
            Ok(Given::All(content, Some(head))) => self.decide(part, content, head),
            Ok(Given::Item(..) | Given::Over) => {}
            Err(error) => {
                if let Some((to, content)) = self.fail(part, &error) {
                    self.add(to, content);
                }
            }
        }
    }

    /// The head and the end do not depend on it any more.
    fn is_over(&mut self, part: usize) {
        if let Some(node) = self.tree.get_mut(part) {
            self.deciding -= usize::from(node.decides);
            self.risky -= usize::from(node.severity == Severity::Fatal);
            node.deadline = None;
        }
    }

    fn decide(&mut self, part: usize, content: Fragment, decided: Box<HeadOf>) {
        if !decided.instead {
            self.add(part, content);
            self.decided.insert(part, decided);
            return;
        }
        self.tree.clear();
        let instead = Manner {
            in_order: self.manner.in_order,
            nonce: self.manner.nonce.take(),
            redirect: self.manner.redirect.take(),
            hold: Some(Duration::ZERO),
            parts: self.manner.parts,
            foot: Bytes::new(),
        };
        let mut failures = std::mem::take(&mut self.failures);
        failures.of_another_page();
        let woken = Arc::clone(&self.woken);
        *self = Self::new(Fragment::new(), instead);
        (self.failures, self.woken) = (failures, woken);
        self.decided.insert(part, decided);
        let root = self.path[0];
        self.add(root, content);
    }

    fn expire(&mut self, part: usize, at: Instant) {
        let Some(node) = self.tree.get_mut(part) else {
            return;
        };
        // Another part may have its number by now.
        if node.deadline != Some(at) {
            return;
        }
        let time = node.timeout.unwrap_or_default();
        if let Some(work) = node.work.take() {
            self.settle(part, work, Err(PartError::TimedOut(time)));
        }
    }

    /// Records that a part failed; gives what stands in its place, and where.
    fn fail(&mut self, part: usize, error: &PartError) -> Option<(usize, Fragment)> {
        let node = self.tree.get_mut(part)?;
        let (severity, repeats, started) = (node.severity, node.repeats, node.started);
        let catch = node.catch.take();
        node.is_last = severity == Severity::Fatal;
        self.record(part, severity, error.cause(), started);
        match catch_unwind(AssertUnwindSafe(|| catch.map(|catch| catch(error)))) {
            Ok(None) => None,
            Ok(Some(content)) if repeats => Some((self.tree.item(part, None), content)),
            Ok(Some(content)) => Some((part, content)),
            Err(panic) => {
                let severity = severity.max(Severity::Degrading);
                self.record(part, severity, of_panic(&*panic).cause(), started);
                None
            }
        }
    }

    fn record(&mut self, part: usize, severity: Severity, cause: Cause, started: Instant) {
        self.failures.add(FailedPart {
            name: self.tree.path(part),
            severity,
            cause,
            duration: started.elapsed(),
        });
    }

    /// Adds content, whose parts run from here on.
    fn add(&mut self, to: usize, content: Fragment) {
        for (part, limit) in self.grow(to, content) {
            let error = PartError::TooMany(limit);
            let Some((to, content)) = self.fail(part, &error) else {
                continue;
            };
            // What stands in its place may have parts that are too many again, and so on for ever: those have nothing.
            for (part, limit) in self.grow(to, content) {
                if let Some(node) = self.tree.get_mut(part) {
                    node.catch = None;
                }
                let none = self.fail(part, &PartError::TooMany(limit));
                debug_assert!(none.is_none(), "it has no fallback");
            }
        }
    }

    /// Adds content; gives the parts that are too many, and how many may be.
    fn grow(&mut self, to: usize, content: Fragment) -> Vec<(usize, usize)> {
        let mut beyond = Vec::new();
        let (due, deciding, risky) = (&mut self.due, &mut self.deciding, &mut self.risky);
        self.tree.add(to, content, |grown| match grown {
            Grown::Part(part, node) => {
                due.push_back(part);
                *deciding += usize::from(node.decides);
                *risky += usize::from(node.severity == Severity::Fatal);
            }
            Grown::Beyond(part, limit) => beyond.push((part, limit)),
        });
        beyond
    }
}

/// A panic in it is an error of the part.
fn poll_work(work: Pin<&mut dyn Run>, cx: &mut Context<'_>) -> Poll<Result<Given, PartError>> {
    match catch_unwind(AssertUnwindSafe(|| work.poll_run(cx))) {
        Ok(polled) => polled.map_err(PartError::Failed),
        Err(panic) => Poll::Ready(Err(of_panic(&*panic))),
    }
}

fn of_panic(panic: &(dyn std::any::Any + Send)) -> PartError {
    PartError::Panicked(panicked(panic).message.into_owned())
}
