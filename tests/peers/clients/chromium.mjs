// Downloads with Chromium what each line of the input asks for (base.Talker): a click on a link with
// `download`; an archive, on the page of its folder. A URL that ends in `#page` is opened as a page instead.
// Arguments: the folder of playwright-core, the path of chromium.

import { copyFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const [modules, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(modules);
const flags = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
  // A download opens connections of its own, to which Playwright's ignoreHTTPSErrors does not reach.
  '--ignore-certificate-errors',
];
const timeout = 25_000;

async function open(context, url) {
  const page = await context.newPage();
  const response = await page.goto(url, { waitUntil: 'load', timeout });
  return { page, status: response.status() };
}

async function download(context, { url, save }) {
  const pageOf = new URL(url).searchParams.has('archive') ? url.replace(/\?.*/, '') : new URL('/hello', url).href;
  const { page } = await open(context, pageOf);
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

async function load(context, { url, save }) {
  const { page, status } = await open(context, url);
  writeFileSync(save, await page.evaluate(() => document.body.innerText));
  return { status, error: null, message: await page.evaluate(() => document.readyState), saved: true };
}

// One browser for each set of flags; Playwright gives each a fresh user data folder.
const browsers = {};
function browser(protocol, tls) {
  const more = tls && protocol === 'h11' ? ['--disable-http2'] : [];
  const launch = () => chromium.launch({ executablePath, headless: true, args: [...flags, ...more], timeout });
  return (browsers[more] ??= launch());
}

async function fetch(asked) {
  // A tab may start ten downloads without a click of a person: a tab each.
  const context = await (await browser(asked.protocol, asked.tls)).newContext();
  try {
    return await (asked.url.endsWith('#page') ? load : download)(context, asked);
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
