// What every scenario stands on: a page of the viewer in Chromium, which fails when the page has an error, when it
// asks anything of another origin, or when the policy of its security is violated.
//
// A scenario is a module that is run as `node tests/<name>.mjs BASE`; it ends with an error when something is wrong.

import assert from "node:assert/strict";

import { chromium } from "playwright-core";

export const BASE = process.argv[2];
export const WORKED = "600d600d600d600d600d600d600d600d";
export const FAILED = "fa11fa11fa11fa11fa11fa11fa11fa11";
export const LARGE = "b16b16b16b16b16b16b16b16b16b16b1";
export const HOSTILE = "e711e711e711e711e711e711e711e711";

export const SIZES = {
  wide: { width: 1440, height: 900 },
  laptop: { width: 1280, height: 800 },
  phone: { width: 390, height: 844 },
};

// Generous: the machine may be slow and busy.
const PATIENCE = 30_000;

export async function withBrowser(work) {
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu"],
  });
  try {
    await work(browser);
  } finally {
    await browser.close();
  }
}

/** Runs `work(page)` on a page of its own, and fails with what went wrong in it. */
export async function withPage(browser, options, work) {
  const context = await browser.newContext({
    viewport: SIZES.laptop,
    permissions: ["clipboard-read", "clipboard-write"],
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(`error: ${error.stack}`));
  page.on("console", (message) => {
    // Chromium itself logs an answer that is no success; scenarios ask for such answers on purpose.
    if (
      ["error", "warning"].includes(message.type()) &&
      !message.text().startsWith("Failed to load resource")
    )
      wrong.push(`console: ${message.text()}`);
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(BASE) && !/^(data|blob):/.test(request.url()))
      wrong.push(`asked another origin: ${request.url()}`);
  });
  try {
    await work(page);
    assert.deepEqual(wrong, []);
  } catch (error) {
    throw new Error(`${page.url()}\n${wrong.join("\n")}`, { cause: error });
  } finally {
    await context.close();
  }
}

/** Waits until `look()` gives something true. */
export async function until(look, what) {
  const deadline = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < deadline, `waited for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

export const parameter = (page, name) => new URL(page.url()).searchParams.get(name);

export async function noSidewaysScroll(page) {
  const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(inner <= outer, `the page is ${inner} wide in a window of ${outer}`);
}
