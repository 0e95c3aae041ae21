// Marko 6: page.marko, compiled once and piped as its manual shows it. Argument: the folder with node_modules.
// Prints its port.

import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { PARTS, TEXT, TITLE, asked, rows } from './page.mjs';

const modules = process.argv[2];
const require = createRequire(join(modules, 'node_modules', 'x'));
const compiler = require('@marko/compiler');

// Beside node_modules, for what it imports and for the translator that the compiler looks for.
function compiled() {
  const folder = mkdtempSync(join(modules, 'page-'));
  try {
    const source = readFileSync(new URL('page.marko', import.meta.url), 'utf8');
    const path = join(folder, 'page.marko');
    writeFileSync(path, source);
    const options = { output: 'html', modules: 'cjs', optimize: true, translator: require.resolve('marko/translator') };
    const { code } = compiler.compileSync(source, path, options);
    writeFileSync(`${path}.cjs`, code);
    const page = require(`${path}.cjs`);
    return page.default ?? page;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const template = compiled();
const server = createServer((request, response) => {
  const page = asked(request.url);
  if (!page) return response.writeHead(404).end();
  response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
  template.render({ ...page, title: TITLE, text: TEXT, parts: PARTS, rows }).pipe(response);
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
