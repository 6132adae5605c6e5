// A trace of 10,000 spans: how soon it is shown, and how long frames take while it scrolls. The figures are printed;
// the limits are wide, because whoever runs this may share the machine.

import assert from "node:assert/strict";

import { BASE, LARGE, SIZES, until, withBrowser, withPage } from "./browser.mjs";

const SHOWN = 10_000;
const TYPICAL = 100;

await withBrowser(async (browser) => {
  await withPage(browser, { viewport: SIZES.wide }, async (page) => {
    await page.goto(BASE);
    await page.locator(`.result[data-trace="${LARGE}"] a`).waitFor();
    const shown = await page.evaluate(async (id) => {
      const start = performance.now();
      document.querySelector(`.result[data-trace="${id}"] a`).click();
      while (!document.querySelector(".row .bar")) await new Promise(requestAnimationFrame);
      await new Promise(requestAnimationFrame);
      return performance.now() - start;
    }, LARGE);
    const frames = await page.evaluate(async () => {
      const rows = document.querySelector(".rows");
      const times = [];
      let before = await new Promise(requestAnimationFrame);
      for (let frame = 0; frame < 180; frame++) {
        rows.scrollTop += 120;
        const now = await new Promise(requestAnimationFrame);
        times.push(now - before);
        before = now;
      }
      return times.sort((a, b) => a - b);
    });
    const [typical, late, worst] = [0.5, 0.95, 1].map(
      (share) => frames[Math.min(frames.length - 1, Math.floor(frames.length * share))],
    );
    console.log(
      `shown in ${shown.toFixed(0)} ms; frames: median ${typical.toFixed(1)}, p95 ${late.toFixed(1)}, worst ${worst.toFixed(1)} ms`,
    );
    assert.ok(shown < SHOWN, `shown in ${shown} ms`);
    assert.ok(typical < TYPICAL, `frames of ${typical} ms`);
    const drawn = await page.locator(".row").count();
    assert.ok(drawn < 200, `${drawn} rows in the document`);

    await page.locator("body").press("G");
    await until(
      async () =>
        (await page.locator('.row[aria-selected="true"]').getAttribute("aria-rowindex")) === "10000",
      "the last row",
    );
    await page.locator("body").press("/");
    await page.keyboard.type("gave up");
    await until(async () => /^\d+$/.test(await page.locator(".found").textContent()), "matches");
    await page.keyboard.press("Enter");
    await page.locator('.row.match[aria-selected="true"]').waitFor();
    for (const key of ["2", "3"]) {
      await page.evaluate(() => document.activeElement.blur());
      await page.locator("body").press(key);
      await page.locator(".flame canvas, .statistics td").first().waitFor();
    }
  });
});
