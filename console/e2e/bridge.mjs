// Drives headless Chromium for the tests of tests/integration: one JSON object per line on standard input
// ({id, page, op, args}), one answer per line on standard output ({id, result} or {id, error}).
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage', '--force-color-profile=srgb'] });
const pages = new Map();

async function open(name, { width = 1280, height = 800, dark = false, language = 'en-US', timeout = 15000 } = {}) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    locale: language,
    timezoneId: 'UTC',
    reducedMotion: 'reduce',
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  // an answer of 400 and above is the console's to show, and not by itself an error of the page
  page.on('console', (m) => m.type() === 'error' && !m.text().startsWith('Failed to load resource') && errors.push(m.text()));
  pages.set(name, { page, context, errors });
}

// Runs axe in a context of its own, which the page's policy does not reach.
async function axe(page, options) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId: contextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  await session.send('Runtime.evaluate', { expression: axeSource, contextId });
  const run = `axe.run(document, ${JSON.stringify(options ?? {})}).then((r) => r.violations.map((v) => ({
    id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.slice(0, 5).map((n) => n.target.join(' ') + ' ' + n.failureSummary) })))`;
  const { result, exceptionDetails } = await session.send('Runtime.evaluate', { expression: run, contextId, awaitPromise: true, returnByValue: true });
  await session.detach();
  if (exceptionDetails) throw new Error(JSON.stringify(exceptionDetails));
  return result.value;
}

const ops = {
  goto: ({ page }, url) => page.goto(url).then((answer) => answer?.status() ?? null),
  init: ({ page }, source) => page.addInitScript(source).then(() => null),
  reload: ({ page }) => page.reload().then(() => null),
  url: ({ page }) => page.url(),
  click: ({ page }, selector, options) => page.locator(selector).first().click(options),
  hover: ({ page }, selector) => page.locator(selector).first().hover(),
  fill: ({ page }, selector, text) => page.locator(selector).first().fill(text),
  press: ({ page }, key) => page.keyboard.press(key),
  type: ({ page }, text) => page.keyboard.type(text),
  wait: ({ page }, selector, state, timeout) => page.locator(selector).first().waitFor({ state: state ?? 'visible', timeout: timeout ?? undefined }),
  text: ({ page }, selector) => page.locator(selector).first().innerText(),
  value: ({ page }, selector) => page.locator(selector).first().inputValue(),
  count: ({ page }, selector) => page.locator(selector).count(),
  enabled: ({ page }, selector) => page.locator(selector).first().isEnabled(),
  evaluate: ({ page }, source) => page.evaluate(source),
  screenshot: ({ page }, path, options) => page.screenshot({ path, ...options }).then(() => null),
  size: ({ page }, width, height) => page.setViewportSize({ width, height }),
  axe: ({ page }, options) => axe(page, options),
  errors: ({ errors }) => errors,
  close: ({ context }) => context.close(),
};

async function answer({ id, page, op, args = [] }) {
  try {
    if (op === 'open') return { id, result: (await open(page, args[0])) ?? null };
    const known = pages.get(page);
    if (!known || !ops[op]) throw new Error(`no page ${page}, or no ${op}`);
    return { id, result: (await ops[op](known, ...args)) ?? null };
  } catch (error) {
    return { id, error: String(error.message ?? error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
await browser.close();
