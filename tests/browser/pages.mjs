// Walks through every page in Chromium, with JavaScript and without, and fails on the first thing
// that is not as it should be: node pages.mjs BASE_URL SCREENSHOT_DIRECTORY
//
// Beside what the walk checks, no message of the browser's console (a violated policy is one), no
// request that fails and no dialog is tolerated anywhere.

import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';

const CHROMIUM = process.env.PIKV_CHROMIUM ?? '/usr/bin/chromium';
// A name that is not this machine's own: browsers trust pages from there less, and send less with forms.
const OTHER_HOST = 'pikv.test';
// Never asked: what it answers is made up here.
const STRANGER = 'http://stranger.test/';
const PATIENCE_MS = 20_000;
const WALK_MS_MAX = 300_000;
const KEYS_MAX = 1_200;
const KEYS_AT_ONCE = 50;
const WINDOW = { width: 1024, height: 768 };

const PASSWORD = 'Correct-horse-9';
const KEY = 'first key/é?&=#<b>';
const VALUE = '<script>alert("stored")</script>\n  & {{name}} \'quoted\'';
const LONG_KEY = 'long-'.repeat(60);
const LONG_VALUE = 'w'.repeat(2_000);

const OPEN_PAGES = ['/api/register', '/api/token', '/api/login'];
const DATA_PAGES = ['/dashboard', '/api/data', '/api/data/retrieve', '/api/data/update', '/api/data/delete'];

const [base, directory] = process.argv.slice(2);
if (base === undefined || directory === undefined) {
  console.error('usage: node pages.mjs BASE_URL SCREENSHOT_DIRECTORY');
  process.exit(2);
}

/** Everything that the browser complains about, but for the statuses that the walk asks for. */
function complaintsOf(page) {
  const complaints = [];
  const isStatus = (text) => text.startsWith('Failed to load resource: the server responded with a status of');
  page.on('console', (message) => {
    if (!isStatus(message.text())) complaints.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`script: ${error}`));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()} ${request.failure()?.errorText}`));
  page.on('response', (response) => {
    const isDocument = response.request().resourceType() === 'document';
    if (!isDocument && response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`);
  });
  page.on('dialog', (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    return dialog.dismiss();
  });
  return complaints;
}

/** Does what leads to another page and returns the status of that one. */
async function statusOf(page, action) {
  const isPage = (response) => {
    const request = response.request();
    const isRedirect = response.status() >= 300 && response.status() < 400;
    return request.isNavigationRequest() && !isRedirect;
  };
  const [response] = await Promise.all([page.waitForResponse(isPage), page.waitForEvent('load'), action()]);
  return response.status();
}

/** Sends the form of the page. */
function send(page) {
  return statusOf(page, () => page.locator('main form button[type=submit]').click());
}

async function open(page, run, target) {
  const status = await statusOf(page, () => page.goto(run.root + target));
  assert.equal(status, 200, target);
}

function pathOf(page) {
  return new URL(page.url()).pathname;
}

async function focusedId(page) {
  return page.evaluate(() => document.activeElement?.id ?? '');
}

/** No sideways scrolling at 320 pixels; a picture of it, and one of each colour scheme. */
async function look(page, run, name) {
  await page.setViewportSize({ width: 320, height: 640 });
  const width = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(width <= 320, `${name} is ${width} pixels wide at 320`);
  if (run.takesPictures) await takePictures(page, name);
  await page.setViewportSize(WINDOW);
}

async function takePictures(page, name) {
  const take = (kind) => page.screenshot({ path: path.join(directory, `${name}-${kind}.png`), fullPage: true });
  await take('320');
  await page.setViewportSize(WINDOW);
  for (const colorScheme of ['dark', 'light']) {
    await page.emulateMedia({ colorScheme });
    await take(colorScheme);
  }
}

async function checkErrorPage(page, firstField) {
  assert.match(await page.title(), /^Error: /);
  const summary = page.getByRole('alert');
  assert.ok(await summary.isVisible(), 'there is a summary of the errors');
  assert.equal(await page.evaluate(() => document.querySelector('main').firstElementChild.getAttribute('role')), 'alert');
  if (firstField === '') return;
  assert.equal(await focusedId(page), firstField, 'the first field in error has the focus');
  assert.equal(await page.locator(`#${firstField}`).getAttribute('aria-invalid'), 'true');
  await summary.locator(`a[href="#${firstField}"]`).first().click();
  assert.equal(await focusedId(page), firstField, 'the summary leads to the field');
}

async function register(page, run) {
  await open(page, run, '/api/register');
  await look(page, run, 'register');
  const typed = { 'User name': run.username, 'Email address': 'not an address', 'Full name': '<b>Ada</b> "L"', Age: 'ten' };
  for (const [label, text] of Object.entries(typed)) await page.getByLabel(label, { exact: true }).fill(text);
  await page.getByLabel('Password', { exact: true }).fill('short');
  await page.getByLabel('Gender', { exact: true }).selectOption('non-binary');
  assert.equal(await send(page), 400);
  await checkErrorPage(page, 'email');
  await look(page, run, 'register-mistakes');
  for (const [label, text] of Object.entries(typed)) {
    assert.equal(await page.getByLabel(label, { exact: true }).inputValue(), text, `${label} is kept`);
  }
  assert.equal(await page.getByLabel('Gender', { exact: true }).inputValue(), 'non-binary');
  assert.equal(await page.getByLabel('Password', { exact: true }).inputValue(), '', 'the password is not kept');

  await page.getByLabel('Email address', { exact: true }).fill(`${run.username}@example.com`);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByLabel('Age', { exact: true }).fill('36');
  assert.equal(await send(page), 200);
  assert.match(await page.getByRole('status').innerText(), new RegExp(run.username));
  await look(page, run, 'registered');
}

async function checkSignedOut(page, run) {
  for (const target of ['/', ...DATA_PAGES, '/api/data/some/key']) {
    await open(page, run, target);
    assert.equal(pathOf(page), '/api/login', `${target} without a session`);
  }
}

/** With the keyboard alone, after a first try with a wrong password. */
async function logIn(page, run) {
  await open(page, run, '/api/login');
  await look(page, run, 'login');
  await page.getByLabel('User name', { exact: true }).fill(run.username);
  await page.getByLabel('Password', { exact: true }).fill('Wrong-horse-9');
  assert.equal(await send(page), 401);
  await checkErrorPage(page, '');
  await look(page, run, 'login-wrong');

  await open(page, run, '/api/login');
  await page.keyboard.press('Tab');
  assert.match(await page.evaluate(() => document.activeElement.innerText), /Skip/, 'the skip link comes first');
  await page.keyboard.press('Enter');
  for (let presses = 0; (await focusedId(page)) !== 'username'; presses += 1) {
    assert.ok(presses < 3, 'the skip link leads to the form');
    await page.keyboard.press('Tab');
  }
  const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
  assert.notEqual(ring, 'none', 'the focus can be seen');
  await page.keyboard.type(run.username);
  await page.keyboard.press('Tab');
  assert.equal(await focusedId(page), 'password');
  await page.keyboard.type(PASSWORD);
  assert.equal(await statusOf(page, () => page.keyboard.press('Enter')), 200);
  assert.equal(pathOf(page), '/dashboard');
  assert.match(await page.locator('header').innerText(), new RegExp(`Signed in as ${run.username}`));
  await look(page, run, 'dashboard');
}

async function makeToken(page, run) {
  await open(page, run, '/api/token');
  await look(page, run, 'token');
  await page.getByLabel('User name', { exact: true }).fill(run.username);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  assert.equal(await send(page), 200);
  const token = await page.getByLabel('Access token', { exact: true }).inputValue();
  assert.equal(token.split('.').length, 3, 'a token has three parts');
  await look(page, run, 'token-made');
  return token;
}

async function fillAndSend(page, key, value) {
  await page.getByLabel('Key', { exact: true }).fill(key);
  if (value !== undefined) await page.getByLabel('Value', { exact: true }).fill(value);
  return send(page);
}

async function shownValue(page) {
  return page.locator('main pre').textContent();
}

/** Forms send line breaks as CR LF. */
function unified(text) {
  return text.replaceAll('\r\n', '\n');
}

async function storeAndRetrieve(page, run) {
  await open(page, run, '/api/data');
  await look(page, run, 'store');
  assert.equal(await fillAndSend(page, KEY, VALUE), 200);
  assert.ok((await page.getByRole('status').innerText()).includes(KEY));
  await look(page, run, 'stored');
  assert.equal(await fillAndSend(page, KEY, 'again'), 409);
  await checkErrorPage(page, 'key');
  assert.equal(await page.getByLabel('Value', { exact: true }).inputValue(), 'again', 'the value is kept');
  await look(page, run, 'store-again');
  assert.equal(await fillAndSend(page, LONG_KEY, LONG_VALUE), 200);

  await open(page, run, '/api/data/retrieve');
  assert.equal(await fillAndSend(page, KEY), 200);
  assert.equal(unified(await shownValue(page)), VALUE, 'a value is shown as text');
  assert.equal(await page.locator('script').count(), 0);
  await look(page, run, 'retrieved');
  assert.equal(await fillAndSend(page, LONG_KEY), 200);
  await look(page, run, 'retrieved-long');
  assert.equal(await fillAndSend(page, 'no such key'), 404);
  await checkErrorPage(page, 'key');
  assert.equal(await page.getByLabel('Key', { exact: true }).inputValue(), 'no such key', 'the key is kept');
  await look(page, run, 'retrieve-missing');
  assert.equal(await fillAndSend(page, '..'), 400);
  await checkErrorPage(page, 'key');
  assert.equal(await page.getByLabel('Key', { exact: true }).inputValue(), '..', 'the key is kept');
  assert.ok((await listedKeys(page)).includes(KEY), 'the keys are listed beside the error');
  await open(page, run, `/api/data/${encodeURIComponent(KEY)}`);
  assert.equal(unified(await shownValue(page)), VALUE, 'a key has an address of its own');
  await open(page, run, '/');
  assert.equal(pathOf(page), '/dashboard', 'the root leads to the dashboard');
}

/** What has no form of its own is a page too. */
async function checkProblemPage(page, run) {
  assert.equal(await statusOf(page, () => page.goto(`${run.root}/api/data/retrieve?cursor=none`)), 400);
  await checkErrorPage(page, '');
  await look(page, run, 'problem');
}

/** Forms on another site's page: the browser sends them, and the server takes none. */
async function checkStranger(page, run) {
  const input = ([name, value]) => `<input name="${name}" value="${value}">`;
  const sendFrom = async (method, target, fields) => {
    const form = `<form method="${method}" action="${run.root}${target}">${fields.map(input).join('')}<button>go</button></form>`;
    await page.route(STRANGER, (route) => route.fulfill({ contentType: 'text/html', body: `<link rel="icon" href="data:,">${form}` }));
    await page.goto(STRANGER);
    const status = await statusOf(page, () => page.getByRole('button').click());
    await page.unroute(STRANGER);
    return status;
  };
  const credentials = [['username', run.username], ['password', PASSWORD]];
  assert.equal(await sendFrom('post', '/api/login', credentials), 403);
  await checkErrorPage(page, '');
  assert.equal(await sendFrom('post', '/api/token', credentials), 403);
  // SameSite=Lax keeps the cookie away from these, so there is nobody to store anything for.
  assert.equal(await sendFrom('post', '/api/data', [['key', 'strange'], ['value', 'v']]), 401);
  assert.equal(await sendFrom('post', '/api/data/delete', [['key', 'key-10']]), 401);
  assert.equal(await sendFrom('get', '/api/data/retrieve', [['key', 'strange']]), 404, 'nothing was stored');
  assert.equal(await sendFrom('get', '/api/data/retrieve', [['key', 'key-10']]), 200, 'nothing was deleted');
}

async function listedKeys(page) {
  return page.locator('ul.keys a').allInnerTexts();
}

/** Stores keys until they fill more than a page, and reads all pages. */
async function readAllKeys(page, run, token) {
  const expected = [KEY, LONG_KEY];
  const store = async (key) => {
    const headers = { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${token}` };
    const body = JSON.stringify({ key, value: 'v' });
    const response = await fetch(`${base}/api/data`, { method: 'POST', headers, body });
    assert.equal(response.status, 201, await response.text());
  };
  const more = page.getByRole('link', { name: 'More keys' });
  for (;;) {
    await open(page, run, '/api/data/retrieve');
    if ((await more.count()) > 0) break;
    assert.ok(expected.length < KEYS_MAX, `${expected.length} keys fit on one page`);
    const added = Array.from({ length: KEYS_AT_ONCE }, (_, index) => `key-${expected.length + index}`);
    await Promise.all(added.map(store));
    expected.push(...added);
  }
  await look(page, run, 'keys');
  const found = await listedKeys(page);
  while ((await more.count()) > 0) {
    assert.equal(await statusOf(page, () => more.click()), 200);
    found.push(...(await listedKeys(page)));
    assert.ok(found.length <= expected.length, 'the pages come to an end');
  }
  assert.deepEqual([...found].sort(), [...expected].sort(), 'every key is listed once');

  await open(page, run, '/api/data/retrieve');
  const first = page.locator('ul.keys a', { hasText: KEY });
  assert.equal(await statusOf(page, () => first.click()), 200);
  assert.equal(unified(await shownValue(page)), VALUE, 'the link of a key leads to its value');
}

async function updateAndDelete(page, run) {
  await open(page, run, '/api/data/update');
  await look(page, run, 'update');
  assert.equal(await fillAndSend(page, 'no such key', '\nkept <b>'), 404);
  await checkErrorPage(page, 'key');
  assert.equal(await page.getByLabel('Key', { exact: true }).inputValue(), 'no such key', 'the key is kept');
  assert.equal(await page.getByLabel('Value', { exact: true }).inputValue(), '\nkept <b>', 'the value is kept');
  assert.equal(await fillAndSend(page, KEY, ''), 400);
  await checkErrorPage(page, 'value');
  assert.equal(await fillAndSend(page, KEY, '\n\nnew'), 200);
  await look(page, run, 'updated');
  await open(page, run, '/api/data/retrieve');
  assert.equal(await fillAndSend(page, KEY), 200);
  assert.equal(unified(await shownValue(page)), '\n\nnew');

  await open(page, run, '/api/data/delete');
  await look(page, run, 'delete');
  assert.equal(await fillAndSend(page, KEY), 200);
  await look(page, run, 'deleted');
  assert.equal(await fillAndSend(page, KEY), 404);
  await checkErrorPage(page, 'key');
  await open(page, run, '/api/data/retrieve');
  assert.equal(await fillAndSend(page, KEY), 404);
}

async function logOut(page, run) {
  const cookies = await page.context().cookies();
  assert.ok(cookies.some((cookie) => cookie.httpOnly && cookie.sameSite === 'Lax'), 'the session has a cookie');
  await open(page, run, '/dashboard');
  assert.equal(await statusOf(page, () => page.locator('header').getByRole('button', { name: 'Log out' }).click()), 200);
  assert.equal(pathOf(page), '/api/login');
  assert.equal(await statusOf(page, () => page.goBack()), 200);
  assert.equal(pathOf(page), '/api/login', 'nothing of the session is shown by going back');
  await checkSignedOut(page, run);
  await page.context().addCookies(cookies);
  await checkSignedOut(page, run);
}

async function walk(browser, root, javaScriptEnabled) {
  const name = javaScriptEnabled ? 'script' : 'no-script';
  // The pages look the same without JavaScript: one set of pictures is enough.
  const run = { root, username: `ada-${name}`, takesPictures: javaScriptEnabled };
  const context = await browser.newContext({ javaScriptEnabled, viewport: WINDOW });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const complaints = complaintsOf(page);
  let step = 'the open pages';
  const doing = async (what, action) => {
    step = what;
    const result = await action();
    assert.deepEqual(complaints, [], 'the browser has no complaint');
    return result;
  };
  try {
    await doing('the open pages', async () => {
      for (const target of OPEN_PAGES) await open(page, run, target);
    });
    await doing('data pages without a session', () => checkSignedOut(page, run));
    await doing('register', () => register(page, run));
    await doing('log in', () => logIn(page, run));
    const token = await doing('make a token', () => makeToken(page, run));
    await doing('store and retrieve', () => storeAndRetrieve(page, run));
    await doing('list the keys', () => readAllKeys(page, run, token));
    await doing('update and delete', () => updateAndDelete(page, run));
    await doing('a page for other failures', () => checkProblemPage(page, run));
    await doing('forms of a stranger', () => checkStranger(page, run));
    await doing('log out', () => logOut(page, run));
  } catch (error) {
    await page.screenshot({ path: path.join(directory, `${name}-failed.png`), fullPage: true }).catch(() => {});
    console.error(`${name}: ${step}, at ${page.url()}\n${error.stack}\ncomplaints: ${JSON.stringify(complaints, null, 1)}`);
    console.error(await page.locator('main').innerText({ timeout: 1_000 }).catch(() => 'no page'));
    throw error;
  } finally {
    await context.close();
  }
}

setTimeout(() => {
  console.error('gave up: the walk takes too long');
  process.exit(1);
}, WALK_MS_MAX).unref();

mkdirSync(directory, { recursive: true });
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    // Nothing listens for TLS here.
    '--disable-features=HttpsUpgrades,HttpsFirstBalancedMode,HttpsFirstBalancedModeAutoEnable',
    `--host-resolver-rules=MAP ${OTHER_HOST} 127.0.0.1`,
  ],
});
try {
  await walk(browser, base, true);
  const other = new URL(base);
  other.hostname = OTHER_HOST;
  await walk(browser, other.origin, false);
  console.log(`every page works; pictures are in ${directory}`);
} catch {
  process.exitCode = 1;
} finally {
  await browser.close();
}
