// Makes the pictures of docs/ from the real pages: pictures.mjs CLI FIXTURE CHROMIUM FOLDER. What is shown of the fleet is made, as its tests have it.
import { serve, start } from "./browser.mjs";

const [cli, fixture, browserPath, folder] = process.argv.slice(2);
const playground = await serve(cli, "playground", "--address", "127.0.0.1:0");
const shop = await serve(fixture, "shop");
const browser = await start(browserPath);
const size = { width: 1240, height: 860 };
const picture = (page, name) => page.screenshot({ path: `${folder}/${name}.png` });

await browser.run({
  playground: async () => {
    const page = await browser.open(playground.url, "light", size);
    await page.locator(".banner .word", { hasText: "Allowed" }).waitFor();
    await picture(page, "playground");
  },
  dashboard: async () => {
    const page = await browser.open(shop.url, "light", size);
    await page.locator("#live.good").waitFor();
    await page.locator(".tile .value b", { hasText: /^[\d,]+\+?$/ }).nth(2).waitFor(); // sidecars have been heard
    await picture(page, "dashboard");
  },
});
