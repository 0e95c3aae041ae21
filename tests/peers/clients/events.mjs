// Reads event streams and a broken page with Chromium, as each line of the input asks (base.Talker).
// Arguments: the folder of playwright-core, the path of chromium.
// The answer's `message` is JSON: for a stream, what an EventSource fired until `done`, in order; for a URL
// that ends in `/page`, what the page came to show.

import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

import { protocolFlags } from './quic.mjs';

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(modules);
const timeout = 60_000;
const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync', '--ignore-certificate-errors',
];

// In the page: everything that the EventSource fires. An `error` with data is the server's, one without its own.
function listen({ url, timeout }) {
  return new Promise((resolve, reject) => {
    const fired = [];
    const source = new EventSource(url);
    setTimeout(() => reject(new Error(`no "done" within ${timeout} ms: ${JSON.stringify(fired)}`)), timeout);
    source.onopen = () => fired.push({ type: 'open' });
    source.onmessage = ({ data, lastEventId }) => fired.push({ type: 'message', data, id: lastEventId });
    source.onerror = (event) => {
      if (event.data === undefined) fired.push({ type: 'lost', state: source.readyState, at: performance.now() });
      else fired.push({ type: 'error', data: event.data, id: event.lastEventId });
    };
    source.addEventListener('done', () => {
      source.close();
      resolve(fired);
    });
  });
}

async function events(context, url) {
  const page = await context.newPage();
  await page.goto(new URL('/hello', url).href, { timeout });
  return page.evaluate(listen, { url, timeout: 45_000 });
}

// The page breaks: neither its load event nor goto's answer may come.
async function broken(context, url) {
  const page = await context.newPage();
  const complaints = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.goto(url, { waitUntil: 'commit', timeout }).catch(() => {});
  const note = page.locator('[role=alert]');
  await note.waitFor({ timeout });
  const shown = await page.locator('body').innerText();
  return { shown, complaints: complaints.filter((text) => text.includes('Content Security Policy')) };
}

const browsers = {};
async function browser(protocol, tls, url) {
  const more = await protocolFlags(protocol, tls, url);
  return (browsers[more] ??= chromium.launch({ executablePath, headless: true, args: [...flags, ...more], timeout }));
}

async function fetch({ url, protocol, tls }) {
  const context = await (await browser(protocol, tls, url)).newContext({ ignoreHTTPSErrors: true });
  try {
    const look = new URL(url).pathname.endsWith('/page') ? broken : events;
    return { status: null, error: null, message: JSON.stringify(await look(context, url)), saved: false };
  } catch (error) {
    return { status: null, error: error.name, message: error.message, saved: false };
  } finally {
    await context.close();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await fetch(JSON.parse(line))) + '\n');
}
for (const one of Object.values(browsers)) await (await one).close();
process.exit(0);
