//! Writes a page: what may go in its order, what came late into its place, and the last words.

use bytes::Bytes;

use super::engine::{Engine, Late};
use super::tree::{Item, Later};

impl Engine {
    /// Writes what may go now.
    pub(super) fn write(&mut self) {
        if self.failures.is_fatal() {
            return self.write_last();
        }
        if self.holds && self.risky > 0 {
            return;
        }
        self.holds = false;
        let through = self.write_in_order();
        let late = (through || self.waits_for_late()) && self.write_late();
        if through && late {
            let foot = std::mem::take(&mut self.manner.foot);
            self.out.put(foot);
            self.over = true;
        }
    }

    /// The page ends behind a part that was fatal: what is there goes out, and the way to another page.
    fn write_last(&mut self) {
        self.over = true;
        if !self.given {
            // Nothing was given away: it becomes another response, or none.
            self.out.clear();
        } else {
            // Where a part is awaited may be the middle of a tag: nothing is moved from there unless that is known.
            if self.write_in_order() || self.out.room() == Some("") {
                self.write_late();
            }
            if let (Some(url), Some(before)) = (&self.manner.redirect, self.out.room()) {
                self.out.put(Bytes::from_static(before.as_bytes()));
                self.scripts.redirect(url, &mut self.out);
            }
        }
        self.forget();
    }

    /// Drops what is under way.
    fn forget(&mut self) {
        self.tree.clear();
        self.path.clear();
        self.late.clear();
        self.due.clear();
    }

    /// Goes on in the order of the page as far as the content is there; tells whether that was all of it.
    fn write_in_order(&mut self) -> bool {
        while let Some(&part) = self.path.last() {
            let Some(node) = self.tree.get(part) else {
                return false;
            };
            let (is_last, is_over) = (node.is_last, node.is_over());
            match self.tree.pop(part) {
                Some(Item::Chunk(octets)) => self.out.put(octets),
                Some(Item::Part(child)) if self.goes_later(child) => self.mark(child),
                Some(Item::Part(child)) => self.path.push(child),
                None if is_last || !is_over => return false,
                None => {
                    self.path.pop();
                    self.written(part);
                }
            }
        }
        true
    }

    /// Whether the turn is that of a repetition all of whose items are written, and unfinished only because parts of
    /// theirs come late. Between two items elements may stand, so those may come here.
    fn waits_for_late(&self) -> bool {
        let turn = self.path.last().and_then(|part| self.tree.get(*part));
        turn.is_some_and(|node| node.is_full())
    }

    /// Whether what follows a part goes ahead of it.
    fn goes_later(&self, part: usize) -> bool {
        let later = match self.manner.in_order {
            true => Later::Nothing,
            false => Later::Placeholders,
        };
        self.tree.may_wait(part, later) && !self.tree.is_closed(part, later)
    }

    /// Marks a part's place, for when it comes.
    fn mark(&mut self, part: usize) {
        let node = self.tree.get(part);
        let placeholder = node.and_then(|node| node.placeholder.clone());
        let placeholder = placeholder.unwrap_or_default();
        let place = self.scripts.place(&placeholder, &mut self.out);
        self.late.push(Late { part, place });
    }

    /// Writes the parts that came late; tells whether all of them did.
    fn write_late(&mut self) -> bool {
        let mut at = 0;
        // Others may be marked meanwhile, inside of those that are written.
        while let Some(&late) = self.late.get(at) {
            match self.write_one(late) {
                true => drop(self.late.remove(at)),
                false => at += 1,
            }
        }
        self.late.is_empty()
    }

    /// Writes what came for a place; tells whether that was all of it.
    fn write_one(&mut self, late: Late) -> bool {
        let Late { part, place } = late;
        let Some(node) = self.tree.get(part) else {
            return true;
        };
        if !node.repeats {
            let closed = self.tree.is_closed(part, Later::Repetitions);
            if closed {
                self.fill(place, true, part);
                self.written(part);
            }
            return closed;
        }
        while let Some(item) = self.tree.first(part)
            && self.tree.is_closed(item, Later::Repetitions)
        {
            self.tree.pop(part);
            self.fill(place, false, item);
            self.written(item);
        }
        let over = self.tree.is_closed(part, Later::Repetitions) && self.tree.first(part).is_none();
        if over {
            self.scripts.call(place, true, &mut self.out);
            self.written(part);
        }
        over
    }

    /// Writes the content of a part, and the script that moves it to its place.
    fn fill(&mut self, place: u64, last: bool, part: usize) {
        self.scripts.open(place, &mut self.out);
        self.write_closed(part);
        self.scripts.close(place, last, &mut self.out);
    }

    /// Writes content that waits for nothing.
    fn write_closed(&mut self, part: usize) {
        while let Some(item) = self.tree.pop(part) {
            match item {
                Item::Chunk(octets) => self.out.put(octets),
                Item::Part(child)
                    if self.tree.may_wait(child, Later::Repetitions)
                        && !self.tree.is_closed(child, Later::Repetitions) =>
                {
                    self.mark(child);
                }
                Item::Part(child) => {
                    self.write_closed(child);
                    self.written(child);
                }
            }
        }
    }

    /// A part is written to its end; a repetition that waited for that goes on.
    fn written(&mut self, part: usize) {
        let (full, due) = (&mut self.full, &mut self.due);
        self.tree.written(part, |of| {
            if let Some(at) = full.iter().position(|full| *full == of) {
                due.push_back(full.swap_remove(at));
            }
        });
    }
}
