// The pictures of README and docs: `node tests/screenshots.mjs BASE DIRECTORY`. Made by `make screenshots`.

import { BASE, FAILED, SIZES, withBrowser, withPage } from "./browser.mjs";

const directory = process.argv[3];
const PICTURES = [
  { name: "search", path: "/", colorScheme: "light", ready: ".result" },
  {
    name: "trace",
    path: `/trace/${FAILED}`,
    colorScheme: "light",
    ready: ".row",
    click: ".row.failed >> nth=1",
  },
  {
    name: "trace-dark",
    path: `/trace/${FAILED}`,
    colorScheme: "dark",
    ready: ".row",
    click: ".row.failed >> nth=1",
  },
  { name: "map", path: "/map", colorScheme: "light", ready: ".map-node" },
];

await withBrowser(async (browser) => {
  for (const { name, path, colorScheme, ready, click } of PICTURES) {
    await withPage(
      browser,
      { viewport: { ...SIZES.laptop, height: 720 }, colorScheme, reducedMotion: "reduce" },
      async (page) => {
        await page.goto(BASE + path);
        await page.locator(ready).first().waitFor();
        if (click) await page.locator(click).click();
        // Plots are drawn in the frame after their data came.
        await page.evaluate(
          () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))),
        );
        await page.mouse.move(0, 0);
        await page.screenshot({ path: `${directory}/${name}.png` });
        console.log(`${directory}/${name}.png`);
      },
    );
  }
});
