// Reads event streams with eventsource-parser, fed by Node's fetch (HTTP/1.1) or http2, as each line of the
// input asks (base.Talker). Argument: the folder with node_modules.
// The answer's `message` is JSON: the events in order; its `error` is what the transport said.

import http2 from 'node:http2';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const require = createRequire(join(process.argv[2], 'node_modules', 'x'));
const { createParser } = require('eventsource-parser');

async function overHttp1(url, fields, feed) {
  const response = await fetch(url, { headers: fields });
  for await (const part of response.body) feed(part);
}

function overHttp2(url, fields, feed) {
  return new Promise((resolve, reject) => {
    const { origin, pathname, search } = new URL(url);
    const session = http2.connect(origin);
    const done = (error) => {
      session.close();
      if (error) reject(error);
      else resolve();
    };
    session.on('error', done);
    const stream = session.request({ ':path': pathname + search, ...fields });
    stream.on('data', feed);
    stream.on('error', done);
    stream.on('end', () => stream.on('close', () => done(null)));
    stream.end();
  });
}

async function read({ url, protocol }) {
  const events = [];
  const decoder = new TextDecoder();
  const parser = createParser({
    onEvent: ({ event, data, id }) => events.push({ type: event ?? 'message', data, id: id ?? '' }),
    onRetry: (retry) => events.push({ type: 'retry', data: retry }),
  });
  const feed = (part) => parser.feed(decoder.decode(part, { stream: true }));
  let error = null;
  try {
    await (protocol === 'h2' ? overHttp2 : overHttp1)(url, { accept: 'text/event-stream' }, feed);
  } catch (caught) {
    error = [caught.name, caught.code ?? caught.cause?.code].filter((word) => typeof word === 'string').join(' ');
  }
  return { status: null, error, message: JSON.stringify(events), saved: false };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await read(JSON.parse(line))) + '\n');
}
process.exit(0);
