// Spans whose every text would be a script, if anything took it for more than text.

import assert from "node:assert/strict";

import { BASE, HOSTILE, until, withBrowser, withPage } from "./browser.mjs";

await withBrowser(async (browser) => {
  await withPage(browser, {}, async (page) => {
    const harmless = async () => {
      assert.equal(await page.evaluate(() => window.hacked), undefined);
      assert.equal(
        await page.locator("main script, main img, main iframe, main object, main embed").count(),
        0,
      );
      const links = await page.locator("a").evaluateAll((all) => all.map((one) => one.href));
      for (const link of links) assert.match(link, /^https?:/);
    };
    await page.goto(BASE);
    await page.locator(`[data-trace="${HOSTILE}"]`).waitFor();
    await harmless();
    await page.goto(`${BASE}/trace/${HOSTILE}`);
    await until(async () => (await page.locator(".row").count()) === 9, "nine rows");
    for (let row = 0; row < 9; row++) {
      await page.locator(".row").nth(row).click();
      await page.locator(".details").waitFor();
      await page.evaluate(() =>
        document.querySelectorAll(".details details").forEach((section) => (section.open = true)),
      );
      await harmless();
    }
    for (const key of ["2", "3"]) {
      await page.locator("body").press(key);
      await page.locator(".flame, .statistics").first().waitFor();
      await harmless();
    }
    const name = encodeURIComponent("<img src=x onerror=window.hacked=1>");
    for (const path of [
      "/map",
      `/map?node=${name}`,
      `/compare/${HOSTILE}/${HOSTILE}`,
      `/latency?service=${name}`,
      `/?service=${name}`,
      `/trace/${name}`,
      "/%E0%A4%A",
      `/${name}`,
    ]) {
      await page.goto(BASE + path);
      await page.locator(".map-node, .compare-table, .histogram, .result, .message").first().waitFor();
      await harmless();
    }
  });
});
