// A store with nothing in it says how to get traces, and shows the first as it arrives.

import assert from "node:assert/strict";

import { BASE, noSidewaysScroll, SIZES, until, withBrowser, withPage } from "./browser.mjs";

await withBrowser(async (browser) => {
  for (const viewport of [SIZES.phone, SIZES.laptop]) {
    await withPage(browser, { viewport }, async (page) => {
      await page.goto(BASE);
      await page.getByText("autotrace-run python app.py").waitFor();
      await page.getByText("traces appear here as they arrive").waitFor();
      await noSidewaysScroll(page);
      for (const path of ["/map", "/latency"]) {
        await page.goto(BASE + path);
        await page.locator(".message").waitFor();
      }
    });
  }
  await withPage(browser, {}, async (page) => {
    await page.goto(BASE);
    await page.getByText("traces appear here as they arrive").waitFor();
    const now = Date.now();
    const body = JSON.stringify([
      {
        traceId: "f125".repeat(8),
        id: "f125".repeat(4),
        name: "first",
        timestamp: now * 1000,
        duration: 1500,
        kind: "SERVER",
        localEndpoint: { serviceName: "newcomer" },
      },
    ]);
    const status = await page.evaluate(
      async (text) =>
        (
          await fetch("/api/viewer/import", {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: text,
          })
        ).status,
      body,
    );
    assert.equal(status, 200);
    await until(
      async () => (await page.locator(".result-service").allTextContents()).includes("newcomer"),
      "the first trace",
    );
  });
});
