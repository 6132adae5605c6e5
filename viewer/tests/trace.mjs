// One trace: rows, details, finding, folding, zooming, the other views, copying, and the keyboard.

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

const rows = (page) => page.locator(".row");
const clipboard = (page) => page.evaluate(() => navigator.clipboard.readText());

await withBrowser(async (browser) => {
  await withPage(browser, {}, async (page) => {
    await page.goto(`${BASE}/trace/${WORKED}`);
    const hue = (service) =>
      page.evaluate(
        (name) =>
          [...document.querySelectorAll(".row")]
            .find((row) => row.querySelector(".service")?.textContent === name)
            .querySelector(".name")
            .style.getPropertyValue("--hue"),
        service,
      );
    await rows(page).first().waitFor();
    const before = await hue("inventory");
    await page.getByText("Linked from").getByRole("link", { name: "mail: orders process" }).click();
    await page.locator('.row[aria-selected="true"]').waitFor();
    await page.goto(`${BASE}/map`);
    const node = page.locator('.map-node[data-service="inventory"]');
    await node.waitFor();
    assert.equal(await node.evaluate((one) => one.style.getPropertyValue("--hue")), before);

    // The server is gone, and comes back.
    await page.route("**/api/viewer/**", (route) => route.abort());
    await page.goto(`${BASE}/trace/${FAILED}`);
    await page.getByText("autotrace ui does not answer").waitFor();
    await page.unroute("**/api/viewer/**");
    await page.getByRole("button", { name: "Try again" }).click();
    await rows(page).first().waitFor();
  });

  await withPage(browser, {}, async (page) => {
    await page.goto(`${BASE}/trace/${FAILED}`);
    await until(async () => (await rows(page).count()) === 8, "eight rows");
    assert.match(await page.title(), /POST \/orders/);
    assert.equal(await page.locator(".row.failed").count(), 2);
    assert.ok((await page.locator(".critical").count()) > 4);
    await page.getByRole("button", { name: "Critical path" }).click();
    assert.equal(await page.locator(".critical").count(), 0);

    await page.getByRole("row", { name: /inventory POST \/reserve/ }).click();
    const details = page.getByLabel("Details of the span");
    await details.getByText("inventory.OutOfStock", { exact: true }).waitFor();
    assert.ok((await details.locator(".stack-library").count()) >= 2);
    assert.equal(await details.locator(".stack-place").count(), 1);
    assert.ok((await details.locator(".tag").allTextContents()).includes("server"));
    await until(() => parameter(page, "span"), "the span in the address");
    await page.reload();
    await details.getByText("product 2 is sold out").first().waitFor();

    await page
      .getByRole("row", { name: /SELECT products/ })
      .first()
      .click();
    assert.match(await details.locator("pre").textContent(), /\nFROM products p\n {2}LEFT JOIN/);
    const line = details.locator(".attributes > div").filter({ hasText: "server.address" });
    await line.hover();
    await line.getByRole("button", { name: "Copy" }).click();
    await until(async () => (await clipboard(page)) === "db.internal", "the value in the clipboard");

    await page.keyboard.press("Escape");
    assert.equal(await details.count(), 0);
    await until(() => !parameter(page, "span"), "no span in the address");

    const width = async () => (await page.locator(".row .name").first().boundingBox()).width;
    const divider = page.getByRole("separator", { name: "Width of the names" });
    const [edge, before] = [await divider.boundingBox(), await width()];
    await page.mouse.move(edge.x + edge.width / 2, edge.y + 100);
    await page.mouse.down();
    await page.mouse.move(edge.x + edge.width / 2 + 120, edge.y + 100, { steps: 4 });
    await page.mouse.up();
    assert.ok(Math.abs((await width()) - before - 120) < 3, "the names are as wide as they were dragged");
    await page.reload();
    await rows(page).first().waitFor();
    assert.ok(Math.abs((await width()) - before - 120) < 3, "also the next time");
    await divider.dblclick({ position: { x: 4, y: 100 } });
    assert.equal(await width(), before);

    await page.keyboard.press("/");
    await page.keyboard.type("db.system.name=postgresql");
    await until(async () => (await page.locator(".found").textContent()) === "3", "three matches");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    assert.equal(await page.locator(".found").textContent(), "2 of 3");
    await page.getByRole("button", { name: "Show matches only" }).click();
    await until(async () => (await rows(page).count()) === 6, "the matches and what is above them");
    await page.getByRole("button", { name: "Clear" }).click();
    await page.getByLabel("Find in the trace").fill("nothing has this");
    assert.equal(await page.locator(".found").textContent(), "0");
    await page.getByRole("button", { name: "Clear" }).click();

    await page.locator("body").press("Escape");
    await page.locator("body").press("g");
    await page.locator("body").press("h");
    await until(async () => (await rows(page).count()) === 1, "the root, collapsed");
    assert.equal(await page.locator(".hidden-count").textContent(), "7");
    await until(() => parameter(page, "fold"), "the fold in the address");
    await page.locator("body").press("l");
    await until(async () => (await rows(page).count()) === 8, "all rows");
    await page.locator("body").press("l");
    assert.equal(await page.locator('.row[aria-selected="true"] .operation').textContent(), "GET session");
    await page.locator("body").press("[");
    await until(async () => (await rows(page).count()) === 3, "one level");
    await page.locator("body").press("]");

    const map = await page.locator(".minimap").boundingBox();
    await page.mouse.move(map.x + map.width * 0.1, map.y + 20);
    await page.mouse.down();
    await page.mouse.move(map.x + map.width * 0.5, map.y + 20, { steps: 4 });
    await page.mouse.up();
    await until(() => Number(parameter(page, "from")) > 0, "the zoom in the address");
    await page.getByRole("button", { name: "Show all" }).click();
    assert.equal(parameter(page, "from"), null);

    await page.locator("body").press("2");
    await page.locator(".flame canvas").click({ position: { x: 300, y: 10 } });
    await details.getByText("POST /orders/{id}").waitFor();
    await page.locator("body").press("3");
    const table = page.getByRole("table", { name: "Statistics" });
    await table.getByRole("button", { name: "Count" }).click();
    assert.match(await table.locator("tbody tr").first().textContent(), /SELECT products/);
    await page.goBack();
    await page.locator(".flame").waitFor();
    await page.locator("body").press("3");
    await table.locator("tbody tr").filter({ hasText: "SELECT products" }).click();
    await until(async () => (await page.locator(".row.match").count()) === 3, "the rows of that line");

    for (const [name, mark] of [
      ["Jaeger JSON", '"traceID"'],
      ["OTLP JSON", '"resourceSpans"'],
      ["Text", "2 services"],
    ]) {
      await page.getByRole("button", { name: "Copy", exact: true }).first().click();
      await page.getByRole("button", { name, exact: true }).click();
      await until(async () => (await clipboard(page)).includes(mark), `${name} in the clipboard`);
    }

    // The file that Jaeger's own viewer would make of it comes back when it is dropped, under another id.
    const other = "d409".repeat(8);
    await page.evaluate(
      async ([id, fresh]) => {
        const text = (await (await fetch(`/api/traces/${id}`)).text()).replaceAll(id, fresh);
        const transfer = new DataTransfer();
        transfer.items.add(new File([text], "trace.json", { type: "application/json" }));
        for (const kind of ["dragenter", "dragover", "drop"])
          document.body.dispatchEvent(
            new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true }),
          );
      },
      [FAILED, other],
    );
    await page.waitForURL(`**/trace/${other}`);
    await until(async () => (await rows(page).count()) === 8, "the imported trace");

    await page.goto(`${BASE}/trace/${"0".repeat(31)}1`);
    await page.getByRole("alert").getByText("is not in the store").waitFor();
  });

  await withPage(browser, { viewport: SIZES.phone, hasTouch: true }, async (page) => {
    await page.goto(`${BASE}/trace/${WORKED}`);
    await rows(page).first().waitFor();
    await noSidewaysScroll(page);
    await rows(page).nth(3).click();
    await page.getByLabel("Details of the span").getByText("POST /reserve/{id}").first().waitFor();
    await noSidewaysScroll(page);
    await page.getByRole("button", { name: "Close the details" }).click();
  });
});
