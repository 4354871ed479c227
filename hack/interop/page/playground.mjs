// Uses the playground as a person does, in a real browser: playground.mjs PROGRAM CHROMIUM [FOLDER for screenshots].
import assert from "node:assert/strict";
import { accessible, fits, serve, start } from "./browser.mjs";

const [program, browserPath, shots] = process.argv.slice(2);
const { url } = await serve(program, "playground", "--address", "127.0.0.1:0");
const browser = await start(browserPath, shots);
const { shot } = browser;

async function open(...how) {
  const page = await browser.open(url, ...how);
  await verdict(page, "Allowed");
  return page;
}
const verdict = (page, word) => page.locator(".banner .word", { hasText: word }).waitFor({ timeout: 10_000 });

const tests = {
  "an example is decided, and a condition leads to its line": async () => {
    const page = await open("light");
    await page.locator(".rule.decided .name", { hasText: "read" }).waitFor();
    assert.match(await page.locator(".lines").first().textContent(), /X-User: alice/);
    await page.getByRole("button", { name: "allow.scopes" }).first().click();
    assert.equal(await page.locator(".gutter .shown").textContent(), "19");
    await accessible(page, "light");
    await shot(page, "allowed-light");
  },
  "what is typed is decided": async () => {
    const page = await open("dark");
    await page.getByLabel("Method").fill("DELETE");
    await verdict(page, "Refused");
    await page.locator(".rule.decided.deny").waitFor();
    await page.getByLabel("Method").fill("GET");
    await page.getByLabel("Claims, as JSON").fill('{"iss":"https://login.example.com","aud":"orders","sub":"eve","scope":"profile"}');
    await page.locator(".banner small", { hasText: "403 InsufficientScope" }).waitFor();
    await page.locator(".rule.near .name", { hasText: "read" }).waitFor();
    await accessible(page, "dark");
    await shot(page, "refused-dark");
  },
  "a mistake is told with its line, and loses nothing": async () => {
    const page = await open("light");
    const policy = page.locator("#policy");
    const text = await policy.inputValue();
    await policy.fill(text.replace("scopes: [orders.read]", "scops: [orders.read]"));
    await verdict(page, "Not decided");
    assert.equal(await page.locator(".gutter .error").textContent(), "19");
    assert.match(await page.getByRole("alert").textContent(), /scops: is not a known field/);
    await accessible(page, "a mistake");
    await shot(page, "mistake-light");
    await policy.fill(text);
    await verdict(page, "Allowed");
  },
  "the keyboard is enough": async () => {
    const page = await open("light");
    await page.locator("#target").focus();
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), "tab-claims");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.evaluate(() => document.activeElement.id), "tab-token");
    await page.keyboard.press("ArrowRight");
    await page.locator(".banner small", { hasText: "401 NoToken" }).waitFor();
    await page.keyboard.press("Home");
    await verdict(page, "Allowed");
    for (let i = 0; i < 40; i++) { // nothing keeps the focus
      await page.keyboard.press("Tab");
      if (await page.evaluate(() => document.activeElement === document.body)) return;
    }
    assert.fail("Tab does not get through the page");
  },
  "a small screen has it all in one column": async () => {
    const page = await open("dark", { width: 390, height: 800 });
    await fits(page);
    await accessible(page, "small");
    await shot(page, "small-dark");
  },
  "every example is decided": async () => {
    const page = await open("light");
    for (const option of await page.locator("#example option").all()) {
      const title = await option.textContent();
      await page.locator("#example").selectOption({ label: title });
      await page.locator("#explanation:not(.stale)").waitFor();
      await page.waitForFunction(() => document.querySelector(".banner .word").textContent !== "Not decided");
      assert.equal(await page.locator(".notes").count(), 0, title);
    }
  },
};

await browser.run(tests);
