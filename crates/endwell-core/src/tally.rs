//! Octets of one body, counted at the places where they can be lost.

/// Octets of a body (payload only: no heads, chunk lines or frame headers).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// What `Content-Length` promised.
    pub promised: Option<u64>,
    /// What the producer handed over.
    pub produced: u64,
    /// What was given to the transport; for a cancelled response an upper bound.
    pub sent: u64,
    /// What the peer's kernel acknowledged, where that can be known.
    pub acked: Option<u64>,
}

impl Tally {
    /// Whether the promised length has been produced exactly.
    pub fn is_fulfilled(&self) -> bool {
        self.promised == Some(self.produced)
    }

    /// How many octets of a frame may go out before the end is proven.
    ///
    /// Without a promise all of them; with one, at most so many that one octet of the
    /// promise stays back, so that a failure can still be seen (RFC 9112 section 8).
    ///
    /// # Examples
    /// ```
    /// use endwell_core::Tally;
    /// let tally = Tally { promised: Some(10), produced: 6, ..Tally::default() };
    /// assert_eq!(tally.unproven(3), 3);
    /// assert_eq!(tally.unproven(4), 3);
    /// assert_eq!(tally.unproven(400), 3);
    /// ```
    pub fn unproven(&self, frame: usize) -> usize {
        let Some(promised) = self.promised else {
            return frame;
        };
        let room = promised.saturating_sub(self.produced).saturating_sub(1);
        usize::try_from(room).map_or(frame, |room| room.min(frame))
    }
}
