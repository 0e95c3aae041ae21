//! Octets on their way out: small ones together, large ones as they are.

use std::collections::VecDeque;
use std::fmt::{self, Write};

use bytes::{Bytes, BytesMut};

use crate::tail::Markup;

/// From here on octets go as they are: to copy them costs more than to frame them.
const LARGE: usize = 4096;

/// Octets that are gathered to one frame at most.
const FRAME: usize = 16 * 1024;

/// What was written and not yet taken.
#[derive(Debug, Default)]
pub(super) struct Out {
    frames: VecDeque<Bytes>,
    gathered: BytesMut,
    /// Follows the markup, for what must be written between two tags.
    markup: Option<Markup>,
}

impl Out {
    /// From here on it is known whether something can be written between two tags.
    pub(super) fn follow_markup(&mut self) {
        self.markup = Some(Markup::default());
    }

    /// What must stand before an element that is written here; `None` where none can be.
    pub(super) fn room(&self) -> Option<&'static str> {
        self.markup.as_ref()?.room()
    }

    pub(super) fn put(&mut self, octets: Bytes) {
        if let Some(markup) = &mut self.markup {
            markup.watch(&octets);
        }
        if octets.len() >= LARGE {
            self.close_frame();
            self.frames.push_back(octets);
            return;
        }
        if self.gathered.len() + octets.len() > FRAME {
            self.close_frame();
        }
        self.gathered.extend_from_slice(&octets);
    }

    /// Writes text of ours, without a string of its own.
    pub(super) fn text(&mut self, text: fmt::Arguments<'_>) {
        if self.gathered.len() >= FRAME {
            self.close_frame();
        }
        let before = self.gathered.len();
        let written = self.gathered.write_fmt(text);
        debug_assert!(written.is_ok(), "there is memory, or nothing goes on");
        if let Some(markup) = &mut self.markup {
            markup.watch(&self.gathered[before..]);
        }
    }

    fn close_frame(&mut self) {
        if !self.gathered.is_empty() {
            self.frames.push_back(self.gathered.split().freeze());
        }
    }

    /// The next frame.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        if self.frames.is_empty() {
            self.close_frame();
        }
        self.frames.pop_front()
    }

    /// Forgets what was written.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
        self.gathered.clear();
    }
}
