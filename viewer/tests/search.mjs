// Searching: filters, the points, the list, the keyboard, history, and traces as they arrive.

import assert from "node:assert/strict";

import { BASE, noSidewaysScroll, parameter, SIZES, until, withBrowser, withPage } from "./browser.mjs";

const rows = (page) => page.locator(".result");
const spanOf = (traceId) => ({
  resourceSpans: [
    {
      resource: { attributes: [{ key: "service.name", value: { stringValue: "latecomer" } }] },
      scopeSpans: [
        {
          spans: [
            {
              traceId,
              spanId: traceId.slice(0, 16),
              name: "arrived late",
              kind: 2,
              startTimeUnixNano: `${Date.now()}000000`,
              endTimeUnixNano: `${Date.now() + 5}000000`,
            },
          ],
        },
      ],
    },
  ],
});

await withBrowser(async (browser) => {
  const shown = [];
  for (const timezoneId of ["Asia/Tokyo", "America/St_Johns"]) {
    await withPage(browser, { timezoneId }, async (page) => {
      await page.goto(BASE);
      const time = rows(page).first().locator("time");
      const [text, title] = [await time.textContent(), await time.getAttribute("title")];
      const there = new Date(title).toLocaleTimeString("en-GB", { timeZone: timezoneId });
      assert.ok(text.endsWith(there), `${text} where it is ${there}`);
      shown.push(there);
    });
  }
  assert.notEqual(shown[0], shown[1]);

  await withPage(browser, {}, async (page) => {
    await page.goto(BASE);
    await rows(page).first().waitFor();
    const all = await rows(page).count();
    assert.ok(all > 50, `${all} traces`);

    await page.getByLabel("Errors only").check();
    await until(
      async () =>
        (await rows(page).count()) < all && (await page.locator(".result:not(.failed)").count()) === 0,
      "only failed traces",
    );
    assert.equal(parameter(page, "errors"), "true");
    await page.goBack();
    await until(async () => (await rows(page).count()) === all, "all traces again");

    await page.getByLabel("Service").selectOption("mail");
    await until(
      async () => (await page.locator(".result-service").allTextContents()).every((name) => name === "mail"),
      "only traces of mail",
    );
    await page.getByLabel("Operation").selectOption("render");
    await until(() => parameter(page, "operation") === "render", "the operation in the address");
    await page.getByRole("button", { name: "Clear" }).click();

    await page.getByLabel("Tags").fill("http.response.status_code=409");
    await page.getByLabel("Tags").press("Enter");
    await until(
      async () =>
        (await rows(page).count()) > 0 && (await page.locator(".result:not(.failed)").count()) === 0,
      "traces with that tag",
    );
    await page.getByLabel("Tags").fill("no pair");
    await page.getByRole("alert").waitFor();
    await page.getByRole("button", { name: "Clear" }).click();

    await page.getByLabel("Longer than").fill("100ms");
    await page.getByLabel("Longer than").press("Enter");
    await until(
      async () => parameter(page, "min") === "100ms" && (await rows(page).count()) < all,
      "only long traces",
    );
    await page.reload();
    await until(
      async () =>
        (await page.getByLabel("Longer than").inputValue()) === "100ms" && (await rows(page).count()) > 0,
      "the same after a reload",
    );
    await page.goto(`${BASE}/?tags=nobody%3Dhas`);
    await page.getByText("No trace matches").waitFor();
    await page.getByRole("button", { name: "Clear the filters" }).click();
    await until(async () => (await rows(page).count()) === all, "all traces");

    // Points: a drag narrows time and duration, a click opens the trace below it.
    const box = await page.locator(".scatter .u-over").boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 4);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.6, box.y + box.height - 4, { steps: 5 });
    await page.mouse.up();
    await until(() => parameter(page, "start") && parameter(page, "end"), "the time in the address");
    await until(async () => (await rows(page).count()) < all, "fewer traces");
    await page.goBack();
    await until(async () => (await rows(page).count()) === all, "all traces");
    let opened = false;
    for (let y = 4; y < box.height && !opened; y += 5) {
      for (let x = 4; x < box.width && !opened; x += 12) {
        await page.mouse.move(box.x + x, box.y + y);
        if (await page.locator(".scatter .tip").count()) {
          await page.mouse.click(box.x + x, box.y + y);
          opened = true;
        }
      }
    }
    await page.waitForURL(/\/trace\/[0-9a-f]+/);
    await page.goBack();
    await until(async () => (await rows(page).count()) === all, "the list, after the way back");

    await page.locator("body").press("j");
    await page.locator("body").press("j");
    const chosen = await page.locator(".result.chosen").getAttribute("data-trace");
    await page.locator("body").press("Enter");
    await page.waitForURL(`**/trace/${chosen}`);
    await page.goBack();

    await page.getByRole("combobox", { name: "Order" }).selectOption("longest");
    await until(
      async () => (await page.locator(".result-service").first().textContent()) === "gateway",
      "the longest first",
    );

    await page.locator(".pick input").nth(1).check();
    await page.locator(".pick input").nth(2).check();
    await page.getByRole("link", { name: "Compare" }).click();
    await page.waitForURL(/\/compare\//);
    await page.goBack();

    await page.locator("body").press("?");
    await page.getByRole("dialog").getByText("Next trace").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("body").press("T");
    await until(
      () => page.evaluate(() => document.documentElement.dataset.theme === "dark"),
      "the dark theme",
    );

    // A trace that arrives while somebody watches.
    await page.goto(`${BASE}/?live=true`);
    await page.getByRole("button", { name: "Live", exact: true }).waitFor();
    const late = "1a7e".repeat(8);
    const status = await page.evaluate(
      async ([body]) =>
        (
          await fetch("/api/viewer/import", {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body,
          })
        ).status,
      [JSON.stringify(spanOf(late))],
    );
    assert.equal(status, 200);
    await page.locator(`[data-trace="${late}"]`).waitFor();

    // One is deleted, then the rest: after a question each, and and the map knows.
    await page.locator(`[data-trace="${late}"] a`).first().click();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Delete this trace" }).waitFor({ state: "hidden" });
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("button", { name: "Delete this trace" }).click();
    await page.getByText("1 trace deleted").waitFor();
    await rows(page).first().waitFor();
    await until(async () => (await page.locator(`[data-trace="${late}"]`).count()) === 0, "its end");
  });

  await withPage(browser, { viewport: SIZES.phone, colorScheme: "dark", hasTouch: true }, async (page) => {
    await page.goto(BASE);
    await rows(page).first().waitFor();
    await noSidewaysScroll(page);
    await page.getByRole("button", { name: "More filters" }).click();
    await page.getByLabel("Errors only").check();
    await until(async () => (await page.locator(".result:not(.failed)").count()) === 0, "only failed traces");
    await noSidewaysScroll(page);
  });

  await withPage(browser, {}, async (page) => {
    await page.goto(`${BASE}/?live=true`);
    await rows(page).first().waitFor();
    await page.getByRole("button", { name: "Delete all" }).click();
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "No traces yet" }).waitFor();
    await page.goto(`${BASE}/map`);
    await page.locator(".message").waitFor();
  });
});
