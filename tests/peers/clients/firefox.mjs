// Firefox without a window, through WebDriver BiDi: https://w3c.github.io/webdriver-bidi/.
// Node 18 has no WebSocket of its own, hence the module `ws`.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

// What a fresh profile would fetch or ask about; what a test needs beyond that, Firefox sets by itself for BiDi.
const PREFERENCES = {
  'app.normandy.enabled': false,
  'browser.safebrowsing.update.enabled': false,
  'datareporting.policy.dataSubmissionEnabled': false,
  'extensions.systemAddon.update.enabled': false,
  'network.captive-portal-service.enabled': false,
  'network.connectivity-service.enabled': false,
  'network.dns.disablePrefetch': true,
  'services.settings.server': 'data:,',
  'toolkit.telemetry.server': 'data:,',
};
const EVENTS = ['log.entryAdded', 'network.responseCompleted', 'network.fetchError'];

export class Firefox {
  // `deadline` in milliseconds is that of the start and of each command. `preferences` are those of about:config.
  static async start(executable, WebSocket, deadline, preferences = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'endwell-firefox-'));
    const lines = Object.entries({ ...PREFERENCES, ...preferences }).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
    writeFileSync(join(folder, 'user.js'), lines.join(''));
    const process = spawn(
      executable, ['--headless', '--no-remote', '--remote-debugging-port', '0', '--profile', folder],
      { env: { ...globalThis.process.env, HOME: folder }, stdio: ['ignore', 'ignore', 'pipe'] });
    const firefox = new Firefox(folder, process, deadline);
    try {
      const address = await firefox.#within(deadline, 'a port', firefox.#port());
      firefox.#socket = new WebSocket(`${address}/session`);
      await firefox.#within(deadline, 'a connection', new Promise((resolve, reject) => {
        firefox.#socket.on('open', resolve);
        firefox.#socket.on('error', reject);
      }));
      firefox.#socket.on('message', (text) => firefox.#heard(JSON.parse(text)));
      const capabilities = { alwaysMatch: { acceptInsecureCerts: true } };
      await firefox.call('session.new', { capabilities });
      await firefox.call('session.subscribe', { events: EVENTS });
      return firefox;
    } catch (error) {
      await firefox.close();
      throw error;
    }
  }

  #socket = null;
  #folder;
  #process;
  #deadline;
  #last = 0;
  #waiting = new Map();
  #listeners = new Set();

  constructor(folder, process, deadline) {
    this.#folder = folder;
    this.#process = process;
    this.#deadline = deadline;
  }

  async #port() {
    for await (const line of createInterface({ input: this.#process.stderr })) {
      const found = /^WebDriver BiDi listening on (ws:\S+)/.exec(line);
      // What it says from now on is not read, and must not fill the pipe.
      if (found) return this.#process.stderr.resume(), found[1];
    }
    throw new Error('firefox-esr ended before it listened');
  }

  #within(deadline, what, promise) {
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`firefox-esr gave no ${what} within ${deadline} ms`)), deadline);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
  }

  #heard(message) {
    if (message.type === 'event') {
      for (const listener of this.#listeners) listener(message.method, message.params);
      return;
    }
    const { resolve, reject } = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.type === 'success') resolve(message.result);
    else reject(new Error(`${message.error}: ${message.message}`));
  }

  // A command of BiDi.
  call(method, params) {
    const id = ++this.#last;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#socket.send(JSON.stringify({ id, method, params }));
    return this.#within(this.#deadline, `answer to ${method}`, answer);
  }

  // A tab with cookies and a cache of its own.
  async tab(viewport) {
    const { userContext } = await this.call('browser.createUserContext', {});
    const { context } = await this.call('browsingContext.create', { type: 'tab', userContext });
    await this.call('browsingContext.setViewport', { context, viewport });
    return new Tab(this, context, userContext);
  }

  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close() {
    this.#socket?.terminate();
    const gone = new Promise((resolve) => this.#process.on('exit', resolve));
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGTERM');
      const hard = setTimeout(() => this.#process.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(hard);
    }
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

// What looks.mjs needs of a browser's window.
export class Tab {
  complaints = [];
  // Documents whose answer has ended, in order: {url, error}.
  ended = [];
  #firefox;
  #context;
  #userContext;
  #deaf;
  #news = new Set();

  constructor(firefox, context, userContext) {
    this.#firefox = firefox;
    this.#context = context;
    this.#userContext = userContext;
    this.#deaf = firefox.listen((method, params) => this.#heard(method, params));
  }

  #heard(method, params) {
    if (method === 'log.entryAdded' && params.source.context === this.#context) {
      this.complaints.push(`${params.level}: ${params.text}`);
    }
    if (params.context !== this.#context) return;
    // The answer to a navigation, not to what the page asks for.
    if (params.navigation && /^network\.(responseCompleted|fetchError)$/.test(method)) {
      this.ended.push({ url: params.request.url, error: params.errorText ?? null });
    }
    for (const look of this.#news) look();
  }

  // Waits for what the events of this tab make true.
  until(what, isTrue, deadline) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#news.delete(look);
        reject(new Error(`not within ${deadline} ms: ${what}`));
      }, deadline);
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

  // A function that runs in each document before all else.
  async prepare(source) {
    await this.#firefox.call('script.addPreloadScript', { functionDeclaration: source, contexts: [this.#context] });
  }

  // Begins to load; the answer may take as long as it likes.
  async open(url) {
    await this.#firefox.call('browsingContext.navigate', { context: this.#context, url, wait: 'none' });
  }

  async evaluate(source, argument) {
    const answer = await this.#firefox.call('script.callFunction', {
      functionDeclaration: `(text) => {
        const told = (${source})(JSON.parse(text));
        return told instanceof Promise ? told.then(JSON.stringify) : JSON.stringify(told);
      }`,
      arguments: [{ type: 'string', value: JSON.stringify(argument ?? null) }],
      target: { context: this.#context },
      awaitPromise: true,
    });
    if (answer.type !== 'success') throw new Error(answer.exceptionDetails.text);
    return JSON.parse(answer.result.value ?? 'null');
  }

  async screenshot() {
    const { data } = await this.#firefox.call('browsingContext.captureScreenshot', { context: this.#context, origin: 'document' });
    return Buffer.from(data, 'base64');
  }

  async close() {
    this.#deaf();
    await this.#firefox.call('browser.removeUserContext', { userContext: this.#userContext });
  }
}
