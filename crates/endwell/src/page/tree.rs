//! The parts of a page that are not all written yet, and what is known of their content.
//!
//! Reads: fragments, as they become known. Gives: a tree whose leaves are octets and parts under way.
//! A part is forgotten once it is over and written and so are those inside of it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use endwell_core::Severity;
use slab::Slab;
use tokio::time::Instant;

use super::fragment::{Catch, Declared, Fragment, Piece, Pieces, Run};
use super::part::ITEMS;
use super::wake::Bell;

/// How deep parts may lie in one another: what writes them goes as deep.
pub(super) const DEPTH: usize = 64;

/// One part, or one item of a repetition, or the page itself.
pub(super) struct Node {
    name: Cow<'static, str>,
    pub(super) severity: Severity,
    pub(super) started: Instant,
    pub(super) timeout: Option<Duration>,
    /// When it will have taken too long.
    pub(super) deadline: Option<Instant>,
    pub(super) placeholder: Option<Bytes>,
    pub(super) catch: Option<Catch>,
    pub(super) decides: bool,
    pub(super) repeats: bool,
    /// Under way, unless it is over.
    pub(super) work: Option<Pin<Box<dyn Run>>>,
    pub(super) bell: Option<Arc<Bell>>,
    /// The page ends behind it.
    pub(super) is_last: bool,
    content: Content,
    parent: Option<usize>,
    depth: usize,
    /// Parts inside of it that are not forgotten.
    children: usize,
    written: bool,
}

/// What is known and not yet written. Most is one chunk.
#[derive(Default)]
enum Content {
    #[default]
    Nothing,
    One(Item),
    Several(VecDeque<Item>),
}

/// One step of what is written.
pub(super) enum Item {
    Chunk(Bytes),
    Part(usize),
}

/// What may come later than what is around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Later {
    /// Nothing: all is in order.
    Nothing,
    /// What has a placeholder.
    Placeholders,
    /// Repetitions too, whatever their author said: what is late itself would wait for their end.
    Repetitions,
}

impl Content {
    fn push(&mut self, item: Item) {
        *self = match std::mem::take(self) {
            Self::Nothing => Self::One(item),
            Self::One(first) => Self::Several(VecDeque::from([first, item])),
            Self::Several(mut items) => {
                items.push_back(item);
                Self::Several(items)
            }
        };
    }

    fn pop(&mut self) -> Option<Item> {
        match self {
            Self::Nothing => None,
            Self::One(_) => match std::mem::take(self) {
                Self::One(item) => Some(item),
                Self::Nothing | Self::Several(_) => None,
            },
            Self::Several(items) => items.pop_front(),
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Item> {
        let (one, several) = match self {
            Self::Nothing => (None, None),
            Self::One(item) => (Some(item), None),
            Self::Several(items) => (None, Some(items.iter())),
        };
        one.into_iter().chain(several.into_iter().flatten())
    }
}

impl Node {
    fn empty(name: Cow<'static, str>, parent: Option<usize>, depth: usize) -> Self {
        Self {
            name,
            severity: Severity::Note,
            started: Instant::now(),
            timeout: None,
            deadline: None,
            placeholder: None,
            catch: None,
            decides: false,
            repeats: false,
            work: None,
            bell: None,
            is_last: false,
            content: Content::Nothing,
            parent,
            depth,
            children: 0,
            written: false,
        }
    }

    /// Whether nothing more comes of its own work.
    pub(super) fn is_over(&self) -> bool {
        self.work.is_none()
    }

    /// A repetition with as many unfinished items as it may have.
    pub(super) fn is_full(&self) -> bool {
        self.repeats && self.children >= ITEMS
    }
}

/// All nodes of a page.
pub(super) struct Tree {
    nodes: Slab<Node>,
    /// How many may be under way at once.
    limit: usize,
}

/// What a part was made.
pub(super) enum Grown<'a> {
    /// It is to be polled.
    Part(usize, &'a Node),
    /// There are too many, or they lie too deep; the number that may be.
    Beyond(usize, usize),
}

impl Tree {
    /// With the page itself as the only node.
    pub(super) fn new(limit: usize) -> (Self, usize) {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node::empty("".into(), None, 0));
        (Self { nodes, limit }, root)
    }

    pub(super) fn get(&self, id: usize) -> Option<&Node> {
        self.nodes.get(id)
    }

    pub(super) fn get_mut(&mut self, id: usize) -> Option<&mut Node> {
        self.nodes.get_mut(id)
    }

    /// Adds content to a node; tells the parts in it.
    pub(super) fn add(&mut self, to: usize, content: Fragment, mut tell: impl FnMut(Grown<'_>)) {
        match content.into_pieces() {
            Pieces::None => {}
            Pieces::One(octets) => self.nodes[to].content.push(Item::Chunk(octets)),
            Pieces::Many(pieces) => {
                for piece in pieces {
                    let item = match piece {
                        Piece::Chunk(octets) => Item::Chunk(octets),
                        Piece::Part(part) => {
                            let (id, beyond) = self.grow(to, part);
                            tell(match beyond {
                                Some(limit) => Grown::Beyond(id, limit),
                                None => Grown::Part(id, &self.nodes[id]),
                            });
                            Item::Part(id)
                        }
                    };
                    self.nodes[to].content.push(item);
                }
            }
        }
    }

    /// Adds a part. Where there are too many, or they lie too deep, it has no work, and the number that
    /// may be is told.
    fn grow(&mut self, parent: usize, part: Declared) -> (usize, Option<usize>) {
        let depth = self.nodes[parent].depth + 1;
        let many = self.nodes.len() > self.limit;
        let mut node = Node::empty(part.name, Some(parent), depth);
        node.severity = part.severity;
        node.timeout = part.timeout;
        node.placeholder = part.placeholder;
        node.catch = part.catch;
        node.decides = part.decides;
        node.repeats = part.work.repeats();
        let beyond = match (many, depth > DEPTH) {
            (_, true) => Some(DEPTH),
            (true, false) => Some(self.limit),
            (false, false) => None,
        };
        node.work = beyond.is_none().then_some(part.work);
        let id = self.nodes.insert(node);
        self.nodes[parent].children += 1;
        (id, beyond)
    }

    /// Adds an item to a repetition; gives its node.
    pub(super) fn item(&mut self, list: usize, key: Option<&str>) -> usize {
        let name = match key {
            Some(key) => format!("{}[{key}]", self.nodes[list].name).into(),
            None => Cow::Borrowed(""),
        };
        let depth = self.nodes[list].depth + 1;
        let id = self.nodes.insert(Node::empty(name, Some(list), depth));
        self.nodes[list].children += 1;
        self.nodes[list].content.push(Item::Part(id));
        id
    }

    pub(super) fn pop(&mut self, id: usize) -> Option<Item> {
        self.nodes[id].content.pop()
    }

    /// The first part in its content, if that comes first.
    pub(super) fn first(&self, id: usize) -> Option<usize> {
        match self.nodes[id].content.iter().next() {
            Some(Item::Part(id)) => Some(*id),
            Some(Item::Chunk(_)) | None => None,
        }
    }

    /// Whether it can be written to its end now, without what may come `later`.
    pub(super) fn is_closed(&self, id: usize, later: Later) -> bool {
        let node = &self.nodes[id];
        node.is_over()
            && node.content.iter().all(|item| match item {
                Item::Chunk(_) => true,
                Item::Part(id) => self.may_wait(*id, later) || self.is_closed(*id, later),
            })
    }

    /// Whether what is around a part can go without it for now.
    pub(super) fn may_wait(&self, id: usize, later: Later) -> bool {
        let node = &self.nodes[id];
        match later {
            Later::Nothing => false,
            Later::Placeholders => node.placeholder.is_some(),
            Later::Repetitions => node.placeholder.is_some() || node.repeats,
        }
    }

    /// What records call it: the name, behind those of what it lies in.
    pub(super) fn path(&self, id: usize) -> String {
        let mut path = String::new();
        let mut at = Some(id);
        while let Some(node) = at.and_then(|id| self.nodes.get(id)) {
            let parent = node.parent.and_then(|id| self.nodes.get(id));
            // An item's name has that of its repetition in it.
            let of_item = parent.is_some_and(|parent| parent.repeats);
            at = match of_item {
                true => parent.and_then(|parent| parent.parent),
                false => node.parent,
            };
            path = match (node.name.is_empty(), path.is_empty()) {
                (true, _) => path,
                (false, true) => node.name.clone().into_owned(),
                (false, false) => format!("{}/{path}", node.name),
            };
        }
        path
    }

    /// It is written to its end.
    pub(super) fn written(&mut self, id: usize, mut freed: impl FnMut(usize)) {
        self.nodes[id].written = true;
        let mut at = Some(id);
        while let Some(id) = at {
            let node = &self.nodes[id];
            if !node.written || node.children > 0 {
                return;
            }
            at = self.nodes.remove(id).parent;
            if let Some(parent) = at {
                self.nodes[parent].children -= 1;
                freed(parent);
            }
        }
    }

    /// Forgets all; what is under way is dropped.
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
    }
}
