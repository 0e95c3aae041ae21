// Reads archives with npm's `tar` as each line of the input asks (base.Library).
// Argument: the folder of the module. As it comes it forgives; with `strict` it does not.

import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const tar = createRequire(import.meta.url)(process.argv[2]);
const kinds = { File: 'file', OldFile: 'file', Directory: 'folder', SymbolicLink: 'link' };

const hex = (text) => Buffer.from(text).toString('hex');

async function read({ path, reader }) {
  const entries = [];
  const onReadEntry = (entry) => {
    const kind = kinds[entry.type] ?? entry.type;
    const hash = createHash('sha256');
    let size = 0;
    entry.on('data', (part) => {
      size += part.length;
      hash.update(part);
    });
    entry.on('end', () => {
      const content = { file: () => hash.digest('hex'), link: () => hex(entry.linkpath) }[kind]?.() ?? '';
      // A Date has milliseconds.
      const mtime = entry.mtime ? `${BigInt(entry.mtime.getTime()) * 1_000_000n}` : null;
      entries.push([hex(entry.path), kind, entry.mode & 0o7777, mtime, size, content]);
    });
  };
  try {
    await tar.t({ file: path, strict: reader === 'node-tar-strict', onReadEntry });
    return { error: null, entries };
  } catch (error) {
    return { error: `${error.code ?? error.name}: ${error.message}`, entries: null };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await read(JSON.parse(line))) + '\n');
}
