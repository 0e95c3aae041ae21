// The page that all three servers make: a heading, a text, and twenty parts whose rows come asynchronously.
// crates/endwell/benches/pages makes the same one; bench/pages/run compares what a reader sees of them.

export const TITLE = 'A page of twenty parts';

const SENTENCE =
  'Everything on this page that is known is sent at once, and what takes longer comes when it is there. ';

export const TEXT = SENTENCE.repeat(10).trim();

export const PARTS = Array.from({ length: 20 }, (_, part) => ({
  title: `Part ${part + 1}`,
  rows: Array.from({ length: 5 }, (_, row) => ({
    name: `Thing ${row + 1} of part ${part + 1}, "large" & <light>`,
    price: `${part * 7 + row}.50`,
  })),
}));

// The rows of a part. `late` gives them after a turn of the event loop, so that what stands around them has left.
export function rows(part, late) {
  if (!late) return Promise.resolve(part.rows);
  return new Promise((resolve) => setImmediate(() => setImmediate(() => resolve(part.rows))));
}

// What was asked for: `/now` or `/late`, each with `/ordered` or `/placeholders` behind it.
export function asked(url) {
  const found = /^\/(now|late)\/(ordered|placeholders)$/.exec(url);
  return found && { late: found[1] === 'late', ordered: found[2] === 'ordered' };
}
