// Looks at a page of parts with Chromium or Firefox, as each line of the input asks (base.Talker).
// Arguments: `chromium` or `firefox`, its path, the folder with node_modules.
//
// A line may also say `look`: `document` opens the URL as a person does, `fetch` asks for it from a script of the page `from`;
// `scripts`: whether scripts may run; `lands`: the path where a page that sends its reader elsewhere ends; `picture`: where a
// screenshot is to be put. What is due is waited for: `until`, a selector that is there when all has been shown, `state`, the
// readyState, `events`, and `timing`, the names in Server-Timing.
// The answer's `message` is JSON: what was shown, what ran, what was complained about.

import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { Firefox } from './firefox.mjs';

const [kind, executablePath, cache] = process.argv.slice(2);
const require = createRequire(join(cache, 'node_modules', 'x'));
const timeout = 60_000;
const size = { width: 900, height: 700 };

// In the page before all else: what happens to it.
function watch() {
  window.endwellSeen = { events: [], violations: [] };
  for (const type of ['DOMContentLoaded', 'load']) {
    addEventListener(type, () => window.endwellSeen.events.push(type), { capture: true });
  }
  addEventListener('securitypolicyviolation', (event) => {
    window.endwellSeen.violations.push(`${event.effectiveDirective}: ${event.blockedURI} ${event.sample}`);
  });
}

// In the page: what a person sees and what has run. No promise: with scripts off Firefox fulfils none.
function tell({ until }) {
  const box = (element) => {
    const { top, bottom, width } = element.getBoundingClientRect();
    return { text: element.innerText.trim(), top, bottom, width };
  };
  const entry = performance.getEntriesByType('navigation')[0];
  return {
    url: location.href,
    found: !until || document.querySelector(until) !== null,
    text: document.body?.innerText ?? '',
    state: document.readyState,
    // What the page itself says: which of its scripts ran, and what they met.
    ran: window.seen ?? [],
    problems: window.problems ?? [],
    seen: window.endwellSeen ?? null,
    boxes: [...document.querySelectorAll('p.content, p.fallback, p.placeholder')].filter((one) => one.offsetHeight > 0).map(box),
    overflows: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    // Not before all has come: Firefox goes on giving what it gave first.
    timing: (window.endwellSeen?.events.includes('load') ? entry.serverTiming : [])
      .map(({ name, duration, description }) => ({ name, duration, description })),
  };
}

// In a page of the same origin: what a script gets of the URL.
async function ask(url) {
  const seen = { status: null, text: '', error: null, whole: null, timing: null };
  try {
    const response = await fetch(url, { cache: 'no-store' });
    seen.status = response.status;
    const text = new TextDecoder();
    for (const reader = response.body.getReader(); ;) {
      const { value, done } = await reader.read();
      if (done) break;
      seen.text += text.decode(value, { stream: true });
    }
  } catch (error) {
    seen.error = error.name;
  }
  // Trailers are told a moment after the body.
  const entry = () => performance.getEntriesByName(new URL(url, location.href).href)[0];
  for (let left = 100; left && seen.error === null && !entry(); left--) await new Promise((resolve) => setTimeout(resolve, 10));
  seen.timing = (entry()?.serverTiming ?? []).map(({ name, duration, description }) => ({ name, duration, description }));
  seen.whole = await fetch(`${url}&again=1`, { cache: 'no-store' }).then((response) => response.text()).then(() => null, (error) => error.name);
  return seen;
}

// Chromium's window, with what a Tab of Firefox has.
class Window {
  complaints = [];
  ended = [];
  #context;
  #page;
  #news = new Set();

  static async open(browser, scripts) {
    const window = new Window();
    window.#context = await browser.newContext({ ignoreHTTPSErrors: true, javaScriptEnabled: scripts, viewport: size });
    window.#page = await window.#context.newPage();
    window.#listen(window.#page);
    return window;
  }

  #listen(page) {
    page.on('console', (message) =>
      this.complaints.push(`${message.type()}: ${message.text()} (${message.location().url})`));
    page.on('pageerror', (error) => this.complaints.push(`error: ${error}`));
    const ended = (request, error) => {
      if (!request.isNavigationRequest()) return;
      this.ended.push({ url: request.url(), error });
      for (const look of this.#news) look();
    };
    page.on('requestfinished', (request) => ended(request, null));
    page.on('requestfailed', (request) => ended(request, request.failure().errorText));
    page.on('load', () => [...this.#news].forEach((look) => look()));
  }

  until(what, isTrue, deadline) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`not within ${deadline} ms: ${what}`)), deadline);
      const look = () => {
        if (!isTrue()) return;
        clearTimeout(timer);
        this.#news.delete(look);
        resolve();
      };
      this.#news.add(look);
      look();
    });
  }

  async prepare(source) {
    await this.#page.addInitScript(`(${source})()`);
  }

  async open(url) {
    // It is not waited for: an answer that breaks never gets that far.
    this.#page.goto(url, { waitUntil: 'commit', timeout }).catch((error) => this.complaints.push(`error: ${error.message}`));
  }

  async evaluate(source, argument) {
    return JSON.parse(await this.#page.evaluate(
      `(async () => JSON.stringify(await (${source})(${JSON.stringify(argument ?? null)})))()`) ?? 'null');
  }

  // Playwright's own waits for the fonts of a document, which one that broke never has.
  async screenshot() {
    const session = await this.#context.newCDPSession(this.#page);
    const { data } = await session.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    return Buffer.from(data, 'base64');
  }

  close() {
    return this.#context.close();
  }
}

// Browsers that run already, by what they were started for.
const started = {};

function chromium() {
  const args = [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync', '--ignore-certificate-errors',
  ];
  return (started.chromium ??= require('playwright-core').chromium.launch({ executablePath, headless: true, args, timeout }));
}

// Scripts are off for a whole Firefox.
function firefox(scripts) {
  const preferences = { 'javascript.enabled': scripts };
  return (started[`firefox-${scripts}`] ??= Firefox.start(executablePath, require('ws'), timeout, preferences));
}

async function window(scripts) {
  return kind === 'chromium' ? Window.open(await chromium(), scripts) : (await firefox(scripts)).tab(size);
}

async function inDocument(shown, { url, until, lands, state, events = [], timing = [], picture }) {
  await shown.prepare(`${watch}`);
  await shown.open(url);
  // On the way to another page the answer's end may pass unseen.
  if (!lands) await shown.until('the answer has ended', () => shown.ended.length > 0, timeout);
  // What the browser does with the end it does after it.
  const asDue = ({ url, found, seen, ...told }) =>
    found && (!lands || new URL(url).pathname === lands) && (!state || told.state === state) &&
    events.every((one) => seen.events.includes(one)) && timing.every((name) => told.timing.some((one) => one.name === name));
  const late = Date.now() + timeout / 2;
  let told;
  do {
    // There is nothing to ask between two pages.
    told = await shown.evaluate(`${tell}`, { until }).catch((error) => {
      if (!lands || Date.now() > late) throw error;
      return { found: false };
    });
  } while (!asDue(told) && Date.now() < late && (await new Promise((resolve) => setTimeout(resolve, 20, true))));
  if (picture) writeFileSync(picture, await shown.screenshot());
  const ended = shown.ended.map((one) => ({ path: new URL(one.url).pathname, error: one.error }));
  return { ...told, ended, complaints: shown.complaints };
}

async function inScript(shown, { url, from }) {
  await shown.open(new URL(from, url).href);
  await shown.until('the page to ask from', () => shown.ended.length > 0, timeout);
  return shown.evaluate(`${ask}`, url);
}

async function look(asked) {
  const shown = await window(asked.scripts ?? true);
  try {
    const told = await (asked.look === 'fetch' ? inScript : inDocument)(shown, asked);
    return { status: null, error: null, message: JSON.stringify(told), saved: false };
  } finally {
    await shown.close();
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await look(JSON.parse(line)).catch((error) => (
    { status: null, error: error.name, message: error.message, saved: false }));
  process.stdout.write(JSON.stringify(answer) + '\n');
}
for (const one of Object.values(started)) await one.then((browser) => browser.close(), () => {});
process.exit(0);
