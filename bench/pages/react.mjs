// React's renderToPipeableStream as its manual shows it. Argument: the folder with node_modules. Prints its port.

import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { join } from 'node:path';

import { PARTS, TEXT, TITLE, asked, rows } from './page.mjs';

const require = createRequire(join(process.argv[2], 'node_modules', 'x'));
const { createElement, Suspense, use } = require('react');
const { renderToPipeableStream } = require('react-dom/server');

function Rows({ promise }) {
  return createElement('ul', null, use(promise).map(({ name, price }) =>
    createElement('li', { key: name }, createElement('b', null, name), createElement('i', null, price))));
}

function Part({ part, late }) {
  return createElement('section', null,
    createElement('h2', null, part.title),
    createElement(Suspense, { fallback: createElement('p', null, 'One moment') },
      createElement(Rows, { promise: rows(part, late) })));
}

function Page({ late }) {
  return createElement('html', { lang: 'en' },
    createElement('head', null, createElement('meta', { charSet: 'utf-8' }), createElement('title', null, TITLE)),
    createElement('body', null,
      createElement('h1', null, TITLE),
      createElement('p', null, TEXT),
      createElement('main', null, PARTS.map((part) => createElement(Part, { key: part.title, part, late }))),
      createElement('footer', null, 'This is all.')));
}

const server = createServer((request, response) => {
  const page = asked(request.url);
  if (!page) return response.writeHead(404).end();
  let failed = false;
  const { pipe, abort } = renderToPipeableStream(createElement(Page, page), {
    // In order: nothing leaves before all is there, as the manual has it for crawlers.
    [page.ordered ? 'onAllReady' : 'onShellReady']() {
      response.writeHead(failed ? 500 : 200, { 'content-type': 'text/html; charset=utf-8' });
      pipe(response);
    },
    onError() {
      failed = true;
    },
  });
  response.on('close', () => abort());
});
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
