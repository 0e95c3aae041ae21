// Downloads with Chromium what each line of the input asks for (base.Talker): a click on a link with
// `download`; an archive, on the page of its folder. A URL that ends in `#page` is opened as a page instead, one that
// ends in `#kept` as a page that may never be whole: what of it stays visible. Fails if it is not the protocol asked for.
// Arguments: the folder of playwright-core, the path of chromium.

import { copyFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

import { protocolFlags, SPOKEN } from './quic.mjs';

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(modules);
const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  // A download opens connections of its own, to which Playwright's ignoreHTTPSErrors does not reach.
  '--ignore-certificate-errors',
];
const timeout = 25_000;

async function spoken(page, protocol) {
  const said = await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol);
  if (said !== SPOKEN[protocol]) throw new Error(`it spoke ${said}, ${SPOKEN[protocol]} was asked for`);
}

async function open(context, url, protocol) {
  const page = await context.newPage();
  const response = await page.goto(url, { waitUntil: 'load', timeout });
  await spoken(page, protocol);
  return { page, status: response.status() };
}

async function download(context, { url, protocol, save }) {
  const pageOf = new URL(url).searchParams.has('archive') ? url.replace(/\?.*/, '') : new URL('/hello', url).href;
  const { page } = await open(context, pageOf, protocol);
  const started = page.waitForEvent('download', { timeout });
  await page.evaluate((href) => {
    const link = document.createElement('a');
    link.href = href;
    link.download = 'body';
    document.body.append(link);
    link.click();
  }, url);
  const file = await started;
  const error = await file.failure();
  if (error === null) copyFileSync(await file.path(), save);
  return { status: null, error, message: error ?? '', saved: error === null };
}

async function load(context, { url, protocol, save }) {
  const { page, status } = await open(context, url, protocol);
  writeFileSync(save, await page.evaluate(() => document.body.innerText));
  return { status, error: null, message: await page.evaluate(() => document.readyState), saved: true };
}

// The network is done before the parser is, and no event says when that is: what is shown once it stays the same.
async function settled(page) {
  for (let last = null, since = Date.now(); ;) {
    const text = await page.evaluate(() => document.body.innerText);
    if (text !== last) [last, since] = [text, Date.now()];
    else if (Date.now() - since > 1500) return text;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

// A page that breaks never loads: when its answer has ended, in whichever way, what a person sees is looked at.
async function kept(context, { url, protocol, save }) {
  const page = await context.newPage();
  const ended = new Promise((resolve) => {
    const isIt = (request) => request.isNavigationRequest() && request.frame() === page.mainFrame();
    page.on('requestfailed', (request) => isIt(request) && resolve(request.failure().errorText));
    page.on('requestfinished', (request) => isIt(request) && resolve(null));
    page.on('close', () => resolve('closed'));
  });
  const response = await page.goto(url, { waitUntil: 'commit', timeout });
  const error = await ended;
  await spoken(page, protocol);
  writeFileSync(save, await settled(page));
  const message = await page.evaluate(() => document.readyState);
  return { status: response.status(), error, message, saved: true };
}

// One browser for each set of flags; Playwright gives each a fresh user data folder.
const browsers = {};
async function browser(protocol, tls, url) {
  const more = await protocolFlags(protocol, tls, url);
  const launch = () => chromium.launch({ executablePath, headless: true, args: [...flags, ...more], timeout });
  return (browsers[more] ??= launch());
}

const ways = { '#page': load, '#kept': kept };

async function fetch(asked) {
  // A tab may start ten downloads without a click of a person: a tab each.
  const context = await (await browser(asked.protocol, asked.tls, asked.url)).newContext();
  try {
    return await (ways[new URL(asked.url).hash] ?? download)(context, asked);
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
