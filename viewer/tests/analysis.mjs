// The map, the comparison, and the latencies.

import assert from "node:assert/strict";

import {
  BASE,
  FAILED,
  noSidewaysScroll,
  parameter,
  SIZES,
  until,
  withBrowser,
  withPage,
  WORKED,
} from "./browser.mjs";

await withBrowser(async (browser) => {
  await withPage(browser, {}, async (page) => {
    await page.goto(`${BASE}/map`);
    const node = (name) => page.locator(`.map-node[data-service="${name}"]`);
    await node("storefront").waitFor();
    assert.ok((await page.locator(".map-node.is-database").count()) >= 2);
    assert.ok((await page.locator(".map-node.is-external").count()) >= 1);
    await node("inventory").click();
    const panel = page.getByLabel("About inventory");
    await panel.getByText("Called by").waitFor();
    await until(() => parameter(page, "node") === "inventory", "the node in the address");
    await page.reload();
    await panel.waitFor();
    await page.keyboard.press("Enter");
    await until(() => parameter(page, "service") === "inventory", "a search for the service");
    await page.goBack();
    await panel.waitFor();
    await page.keyboard.press("Escape");
    await until(
      () => page.evaluate(() => document.activeElement.dataset.service === "inventory"),
      "the focus back on the node",
    );
    const before = await page.locator(".map-frame svg > g").getAttribute("transform");
    const frame = await page.locator(".map-frame").boundingBox();
    await page.mouse.move(frame.x + 300, frame.y + 30);
    await page.mouse.wheel(0, 300);
    await until(
      async () => (await page.locator(".map-frame svg > g").getAttribute("transform")) !== before,
      "a zoom",
    );
    await page.getByRole("button", { name: "Fit" }).click();
    await page.getByRole("button", { name: "Table" }).click();
    const calls = page.getByRole("table", { name: "Calls between services" });
    await calls
      .locator("tbody tr")
      .filter({ hasText: "storefront" })
      .filter({ hasText: "inventory" })
      .first()
      .waitFor();
    await calls.getByRole("button", { name: "p95" }).click();
    assert.equal(parameter(page, "view"), "table");

    await page.goto(`${BASE}/compare/${WORKED}/${FAILED}`);
    const table = page.getByRole("table", { name: "Differences" });
    await table.getByText("orders publish").waitFor();
    assert.equal(await table.locator("tr.removed").count(), 1);
    assert.ok((await table.locator("tbody tr").count()) >= 7);
    await page.getByRole("button", { name: /^Removed/ }).click();
    await until(async () => (await table.locator("tbody tr").count()) === 1, "only what was removed");
    await page.getByRole("button", { name: "Swap the traces" }).click();
    await page.waitForURL(`**/compare/${FAILED}/${WORKED}`);
    await until(async () => (await table.locator("tr.added").count()) === 1, "added, the other way round");

    await page.goto(`${BASE}/latency`);
    await page.getByRole("link", { name: "storefront" }).click();
    await page.locator(".mark").first().waitFor();
    assert.equal(await page.locator(".mark").count(), 3);
    await page.getByLabel("Operation").selectOption("POST /orders/{id}");
    await until(
      async () =>
        parameter(page, "operation") === "POST /orders/{id}" &&
        (await page.locator(".histogram").count()) === 1,
      "the operation",
    );
    assert.equal(await page.locator(".series canvas").count(), 2);
    await page.locator(".column:not(:disabled)").first().click();
    await until(() => parameter(page, "min") && parameter(page, "max"), "a search for those");
    await page.locator(".result").first().waitFor();
  });

  // Of more spans than are looked at: here the server only says so.
  await withPage(browser, {}, async (page) => {
    for (const [path, api] of [
      ["/map", "map"],
      ["/latency?service=storefront", "latency"],
    ]) {
      await page.route(new RegExp(`/api/viewer/${api}\\b`), async (route) => {
        const response = await route.fetch();
        await route.fulfill({
          response,
          json: { ...(await response.json()), note: "of the newest 9 spans" },
        });
      });
      await page.goto(BASE + path);
      await page.getByText("of the newest 9 spans").waitFor();
    }
  });

  for (const path of ["/map", `/compare/${WORKED}/${FAILED}`, "/latency?service=storefront"]) {
    await withPage(browser, { viewport: SIZES.phone, colorScheme: "dark" }, async (page) => {
      await page.goto(BASE + path);
      await page.locator(".map-node, .compare-table, .histogram").first().waitFor();
      await noSidewaysScroll(page);
    });
  }
});
