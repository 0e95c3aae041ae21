// Downloads with Node's http, http2 or fetch what each line of the input asks for (base.Talker).

import { writeFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { createInterface } from 'node:readline';

function throughHttp({ url, tls }, parts) {
  return new Promise((resolve) => {
    let status = null;
    const failed = (error) => resolve({ status, error: error.code ?? error.name, message: error.message });
    const agent = new (tls ? https : http).Agent();
    (tls ? https : http)
      .get(url, { agent }, (response) => {
        status = response.statusCode;
        response.on('data', (part) => parts.push(part));
        response.on('end', () => resolve({ status, error: null, message: '' }));
        response.on('error', failed);
      })
      .on('error', failed);
  });
}

function throughHttp2({ url }, parts) {
  return new Promise((resolve) => {
    const { origin, pathname, search } = new URL(url);
    let status = null;
    const session = http2.connect(origin);
    const done = (error) => {
      session.close();
      resolve({ status, error: error ? error.code ?? error.name : null, message: error?.message ?? '' });
    };
    session.on('error', done);
    const stream = session.request({ ':path': pathname + search });
    stream.on('response', (head) => (status = head[':status']));
    stream.on('data', (part) => parts.push(part));
    stream.on('end', () => stream.on('close', () => done(null)));
    stream.on('error', done);
    stream.end();
  });
}

async function throughFetch({ url }, parts) {
  let status = null;
  try {
    const response = await fetch(url);
    status = response.status;
    for await (const part of response.body) parts.push(part);
    return { status, error: null, message: '' };
  } catch (error) {
    const cause = error.cause?.code ?? error.cause?.name ?? '';
    return { status, error: `${error.name} ${cause}`.trim(), message: `${error.message}: ${error.cause?.message}` };
  }
}

const clients = { 'node-http': throughHttp, 'node-http2': throughHttp2, 'node-fetch': throughFetch };

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  const parts = [];
  const seen = await clients[asked.client](asked, parts);
  writeFileSync(asked.save, Buffer.concat(parts));
  process.stdout.write(JSON.stringify({ ...seen, saved: true }) + '\n');
}
process.exit(0);
