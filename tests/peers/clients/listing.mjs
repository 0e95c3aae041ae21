// Looks at pages of folders with Chromium, as each line of the input asks (base.Talker): the page with
// axe-core, by keyboard, without scripts and on a narrow screen; the JSON beside it with Ajv.
// Arguments: the folder with node_modules, the path of chromium, the schema.
// Answers `error: null`, or what is wrong, a line each.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const [cache, executablePath, schemaPath] = process.argv.slice(2);
const require = createRequire(join(cache, 'node_modules', 'x'));
const { chromium } = require('playwright-core');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const Ajv = require('ajv/dist/2020').default;
// strictTypes: the schema says `size: false` where there is none, which needs no type beside it.
const valid = new Ajv({ strictTypes: false, strictRequired: false }).compile(JSON.parse(readFileSync(schemaPath, 'utf8')));

const timeout = 25_000;
const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'];
// All that axe-core knows of WCAG 2.2 AA and of good practice.
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
// A page of more rows takes axe-core minutes, and every load seconds: it is looked at without axe-core, and less often.
const MANY_ROWS = 500;

const browser = await chromium.launch({ executablePath, headless: true, args: flags, timeout });

// A page in a window of its own; what its console said goes into `wrong`.
async function inPage(url, options, wrong, look) {
  const context = await browser.newContext(options);
  try {
    const page = await context.newPage();
    page.on('console', (message) => wrong.push(`console: ${message.text()}`));
    const response = await page.goto(url, { waitUntil: 'load', timeout });
    if (response.status() !== 200) wrong.push(`status ${response.status()}`);
    await look(page, context);
  } finally {
    await context.close();
  }
}

// How many rows there are.
async function accessible(page, scheme, wrong) {
  const shown = await page.evaluate(() => ({
    rows: document.querySelectorAll('tbody tr').length,
    styled: getComputedStyle(document.querySelector('table')).tableLayout === 'fixed',
    background: getComputedStyle(document.body).backgroundColor,
  }));
  if (!shown.styled) wrong.push(`${scheme}: the style is not let in`);
  const light = shown.background === 'rgb(255, 255, 255)';
  if (light !== (scheme === 'light')) wrong.push(`${scheme}: the background is ${shown.background}`);
  if (shown.rows > MANY_ROWS) return shown.rows;
  await page.evaluate(axe);
  const found = await page.evaluate((values) => window.axe.run({ runOnly: { type: 'tag', values } }), rules);
  if (found.passes.length < 15) wrong.push(`${scheme}: axe-core tried ${found.passes.length} rules only`);
  for (const { id, impact, nodes } of found.violations) {
    wrong.push(`${scheme}: axe-core: ${impact}: ${id}: ${nodes[0].html.slice(0, 200)} (${nodes.length} in all)`);
  }
  return shown.rows;
}

// Tab goes from link to link in the order of the page, and shows where it is.
async function keyboard(page, wrong) {
  const links = await page.evaluate(() => [...document.querySelectorAll('a')].map((link) => link.href));
  const entry = await page.evaluate(() => document.querySelector('tbody tr:not(:has(.u)) a')?.href);
  const passed = [];
  for (const expected of links.slice(0, 40)) {
    await page.keyboard.press('Tab');
    const { href, outline } = await page.evaluate(() => {
      const link = document.activeElement;
      const style = getComputedStyle(link);
      return { href: link.href, outline: style.outlineStyle === 'none' ? 0 : parseFloat(style.outlineWidth) };
    });
    if (href !== expected) return wrong.push(`Tab reaches ${href}, not ${expected}`);
    if (!(outline >= 2)) wrong.push(`the focus on ${href} is not seen`);
    passed.push(href);
  }
  if (entry && !passed.includes(entry)) wrong.push(`Tab does not reach the first entry ${entry}`);
}

async function narrow(page, wrong) {
  for (const width of [1280, 360, 320]) {
    await page.setViewportSize({ width, height: 740 });
    const { widest, cut } = await page.evaluate(() => ({
      widest: document.documentElement.scrollWidth,
      cut: [...document.querySelectorAll('th, td')].filter((cell) => cell.scrollWidth > cell.clientWidth + 1).length,
    }));
    if (widest > width) wrong.push(`at ${width} px it is ${widest} px wide`);
    if (cut) wrong.push(`at ${width} px ${cut} cells are cut off or overlap`);
  }
}

// On a narrow screen the rows are laid out in another way; to who does not see them it is the same table.
async function stillTable(page, wrong) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  const roles = {};
  for (const { ignored, role } of nodes) if (!ignored) roles[role.value] = (roles[role.value] ?? 0) + 1;
  const rows = await page.locator('tr').count();
  const expected = { table: 1, row: rows, columnheader: 3, rowheader: rows - 1, cell: 2 * (rows - 1) };
  for (const [role, count] of Object.entries(expected)) {
    if ((roles[role] ?? 0) !== count) wrong.push(`at 320 px there are ${roles[role] ?? 0} of role ${role}, not ${count}`);
  }
}

// Each column's head sorts by it, and once more turns it round: from the order that nobody asked for.
async function sorting(page, many, wrong) {
  const clicks = [
    ['Size', 'descending'],
    ['Size', 'ascending'],
    ['Modified (UTC)', 'descending'],
    ['Modified (UTC)', 'ascending'],
    ['Name', 'ascending'],
    ['Name', 'descending'],
  ];
  if (!many) await page.goto(new URL('./', page.url()).href, { timeout });
  for (const [title, expected] of many ? clicks.slice(0, 1) : clicks) {
    const head = page.getByRole('columnheader', { name: title });
    await head.getByRole('link').click({ timeout });
    const sorted = await head.getAttribute('aria-sort');
    const heads = await page.locator('th[aria-sort]').count();
    if (sorted !== expected || heads !== 1) wrong.push(`${title}: sorted ${sorted}, not ${expected} (${heads} heads)`);
  }
}

// The JSON is as the schema says, lists what the page lists, and what both link to is there.
async function json(page, context, url, wrong) {
  const asked = new URL(url);
  asked.searchParams.set('list', 'json');
  const response = await context.request.get(asked.href, { timeout });
  const listing = await response.json();
  if (!valid(listing)) wrong.push(`schema: ${JSON.stringify(valid.errors).slice(0, 500)}`);
  const rows = await page.locator('tbody tr:not(:has(.u))').count();
  if (rows !== listing.entries.length) wrong.push(`${rows} rows, ${listing.entries.length} entries in JSON`);
  const archives = await page.evaluate(() => [...document.querySelectorAll('main > p a')].map((link) => link.getAttribute('href')));
  if (rows && JSON.stringify(archives) !== JSON.stringify((listing.archives ?? []).map(({ href }) => href))) {
    wrong.push(`page and JSON link to different archives: ${archives}`);
  }
  for (const href of archives) {
    const answer = await context.request.head(new URL(href, url).href, { timeout });
    if (answer.status() !== 200) wrong.push(`${href} is answered with ${answer.status()}`);
  }
  const links = await page.evaluate(() =>
    [...document.querySelectorAll('tbody th:not(.u) a')].map((link) => link.getAttribute('href').split('?')[0]));
  const there = listing.entries.filter(({ type }) => type === 'file' || type === 'folder').map(({ href }) => href);
  if (JSON.stringify(links) !== JSON.stringify(there)) wrong.push('page and JSON link to different things');
  for (const href of there.slice(0, 40)) {
    const answer = await context.request.head(new URL(href, url).href, { timeout });
    if (answer.status() !== 200) wrong.push(`${href} is answered with ${answer.status()}`);
  }
}

async function look({ url }) {
  const wrong = [];
  let many = false;
  const viewport = { width: 1280, height: 900 };
  await inPage(url, { viewport, colorScheme: 'light' }, wrong, async (page) => {
    many = (await accessible(page, 'light', wrong)) > MANY_ROWS;
    await narrow(page, wrong);
    if (!many) await stillTable(page, wrong);
    if (!many) await accessible(page, 'light', wrong);
  });
  if (!many) await inPage(url, { viewport, colorScheme: 'dark' }, wrong, (page) => accessible(page, 'dark', wrong));
  await inPage(url, { viewport, javaScriptEnabled: false }, wrong, async (page, context) => {
    await keyboard(page, wrong);
    await json(page, context, url, wrong);
    await sorting(page, many, wrong);
  });
  return { status: 200, error: wrong.length ? 'wrong' : null, message: wrong.join('\n'), saved: false };
}

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await look(JSON.parse(line)).catch((error) => (
    { status: null, error: error.name, message: error.message, saved: false }));
  process.stdout.write(JSON.stringify(answer) + '\n');
}
await browser.close();
process.exit(0);
