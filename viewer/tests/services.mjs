// Two hundred services: the map is drawn, can be searched, and says what is near a service.

import assert from "node:assert/strict";

import { BASE, SIZES, until, withBrowser, withPage } from "./browser.mjs";

await withBrowser(async (browser) => {
  await withPage(browser, { viewport: SIZES.wide }, async (page) => {
    await page.goto(`${BASE}/map`);
    await page.locator(".map-node").first().waitFor();
    const nodes = await page.locator(".map-node").count();
    assert.ok(nodes > 150, `${nodes} nodes`);
    const name = await page
      .locator(".map-node")
      .nth(nodes - 1)
      .getAttribute("data-service");
    await page.getByLabel("Find a service").fill(name);
    await page.getByRole("button", { name: `Go to ${name}` }).click();
    await page.locator(`.map-node[data-service="${name}"]`).click();
    await page.getByLabel(`About ${name}`).waitFor();
    await until(async () => (await page.locator(".map-label").count()) > 0, "figures on its arrows");
    await page.getByRole("button", { name: "Fit" }).click();
    await page.locator("svg.far").waitFor();
    await page.goto(BASE);
    assert.ok((await page.getByLabel("Service").locator("option").count()) > 0);
  });
});
