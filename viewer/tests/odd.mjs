// Traces as programs really leave them: parents that were lost, clocks that differ, long names, other scripts.

import assert from "node:assert/strict";

import { BASE, noSidewaysScroll, SIZES, withBrowser, withPage } from "./browser.mjs";

const ALONE = "a10e".repeat(8);
const BROKEN = "b20c".repeat(8);
const LONG = "1026".repeat(8);
const WORLD = "c1ab".repeat(8);
const BATCH = "ba7c".repeat(8);

await withBrowser(async (browser) => {
  await withPage(browser, {}, async (page) => {
    await page.goto(`${BASE}/trace/${BROKEN}`);
    await page.getByText("in 4 trees").waitFor();
    await page.getByText("unfinished").waitFor();
    const details = page.getByLabel("Details of the span");
    await page.getByRole("row", { name: /^cart GET/ }).click();
    await details.getByText("their clocks differ").waitFor();
    await page.getByRole("row", { name: /^prices price 0/ }).click();
    await details.getByText("is not here").waitFor();

    await page.goto(`${BASE}/trace/${BATCH}`);
    await page.locator(".row").click();
    await details.locator(".links a").nth(4).click();
    await page.getByText("Linked from").getByRole("link", { name: "books: sales process" }).waitFor();

    await page.goto(`${BASE}/trace/${WORLD}`);
    await page.getByRole("row", { name: /^在庫 在庫を確認する/ }).click();
    await details.getByText("緑茶 🍵").waitFor();
  });

  for (const viewport of [SIZES.laptop, SIZES.phone]) {
    await withPage(browser, { viewport }, async (page) => {
      await page.goto(BASE);
      const long = page.locator(`.result[data-trace="${LONG}"]`);
      assert.ok(
        (await long.locator("strong").boundingBox()).width > 100,
        "the operation is seen in the list",
      );
      await noSidewaysScroll(page);
      for (const id of [LONG, ALONE]) {
        await page.goto(`${BASE}/trace/${id}`);
        await page.locator(".row").first().click();
        await page.getByLabel("Details of the span").waitFor();
        await noSidewaysScroll(page);
      }
    });
  }
});
