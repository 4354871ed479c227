// Uses the dashboard as a person does, in a real browser: dashboard.mjs FIXTURE CHROMIUM [FOLDER for screenshots].
import assert from "node:assert/strict";
import { accessible, fits, serve, start } from "./browser.mjs";

const [fixture, browserPath, shots] = process.argv.slice(2);
const browser = await start(browserPath, shots);
const { shot, problems } = browser;
const shop = await serve(fixture, "shop");

const open = async (path, ...how) => {
  const page = await browser.open(shop.url + path, ...how);
  await page.locator("#live.good").waitFor();
  return page;
};
const heard = (page) => page.locator(".tile .value b", { hasText: /^[\d,]+\+?$/ }).nth(2).waitFor();
const active = (page) => page.evaluate(() => document.activeElement.textContent.trim());

const views = {
  fleet: ["", ".hero h2"], policies: ["#/policies", "tbody tr"], policy: ["#/policy/pay/checkout", ".keys tbody tr"], workload: ["#/workload/shop/deploy/cart", "tbody tr"],
  refusals: ["#/refusals", ".reasons summary"], reason: ["#/reason/InsufficientScope", ".means"], explain: ["#/explain", "#workload option"],
};

const tests = {
  "each view, light and dark, has nothing that axe finds": async () => {
    for (const scheme of ["light", "dark"]) {
      for (const [name, [path, there]] of Object.entries(views)) {
        const page = await open(path, scheme);
        await page.locator(there).first().waitFor({ state: "attached" });
        if (name === "fleet") await heard(page);
        if (name === "refusals") await page.locator(".reasons summary").first().click();
        await accessible(page, `${name} ${scheme}`);
        await shot(page, `${name}-${scheme}`);
        await page.context().close();
      }
    }
  },
  "each view fits a narrow screen": async () => {
    for (const [name, [path, there]] of Object.entries(views)) {
      const page = await open(path, "light", { width: 390, height: 800 });
      await page.locator(there).first().waitFor({ state: "attached" });
      await fits(page);
      await accessible(page, name + " narrow");
      await shot(page, `${name}-narrow`);
      await page.context().close();
    }
  },
  "the fleet says what is wrong, and what to do": async () => {
    const page = await open("", "light");
    await heard(page);
    assert.equal(await page.locator(".hero h2").textContent(), "2 pods are not guarded");
    assert.match(await page.locator(".legend").first().textContent(), /38 guarded.*5 audit only.*1 without a sidecar.*1 bypassable/);
    const first = page.locator(".findings summary").first();
    assert.match(await first.textContent(), /KeysUnavailable/);
    await first.click();
    await page.getByText("Look at deploy/ledger").waitFor();
    await page.getByRole("button", { name: /^Show all/ }).click();
    assert.equal(await page.locator(".findings li").count(), 11);
    assert.equal(await page.locator(".findings details").first().getAttribute("open"), "", "what is open stays so");
  },
  "what is shown again keeps what a person does": async () => {
    const page = await open("", "light");
    await heard(page);
    await page.locator(".findings summary").first().click();
    await page.getByLabel("Filter workloads").fill("orders");
    assert.equal(await page.locator("tbody tr").count(), 1);
    await page.evaluate(() => { window.rowBefore = document.querySelector("tbody tr"); });
    await page.waitForResponse((r) => r.url().endsWith("api/state"), { timeout: 20_000 });
    await page.waitForResponse((r) => r.url().endsWith("api/state"), { timeout: 20_000 });
    assert.equal(await page.evaluate(() => window.rowBefore === document.querySelector("tbody tr")), true, "the row is another element");
    assert.equal(await page.evaluate(() => document.activeElement.id), "filter", "the focus is gone");
    assert.equal(await page.locator(".findings details[open]").count(), 1, "what was open is closed");
    await page.getByLabel("Filter workloads").fill("");
    await page.getByLabel(/With findings/).check();
    assert.equal(await page.locator("tbody tr").count(), 6);
  },
  "a policy has its sidecars, keys and refusals": async () => {
    const page = await open("#/policy/shop/orders", "light");
    assert.match(await page.locator(".legend").textContent(), /4 current.*1 behind.*1 out of touch/);
    await page.locator(".held .mono", { hasText: "NzbLsXh8uDCcd" }).first().waitFor({ timeout: 20_000 });
    await page.locator(".groups", { hasText: "InsufficientScope" }).waitFor();
    await page.getByRole("link", { name: "Try it in the playground" }).click();
    await page.locator(".banner .word").waitFor();
    assert.match(await page.locator("#policy").inputValue(), /name: orders/);
    await page.locator("#target").fill("/healthz");
    await page.locator(".banner .word", { hasText: "Allowed" }).waitFor();
    await accessible(page, "the playground in the dashboard");
    await shot(page, "playground-in-dashboard");
    await page.getByRole("link", { name: "Policies" }).click();
    await page.locator("tbody tr").first().waitFor();
  },
  "from a refusal to its rule": async () => {
    const page = await open("#/refusals", "light");
    await page.locator("section:has(#recent-title) tbody a[href^='#/request/']").first().click();
    await page.locator("#banner .word", { hasText: "Refused" }).waitFor();
    await page.locator(".facts.rows", { hasText: "Workload" }).waitFor();
    await page.locator(".do", { hasText: "What to do" }).waitFor();
    await accessible(page, "found");
    await shot(page, "found-light");
    await page.getByLabel("Request id").fill("unheard-of");
    await page.getByRole("button", { name: "Find" }).click();
    await page.locator("#banner .word", { hasText: "Not found" }).waitFor();
    await accessible(page, "not found");
  },
  "a request is explained": async () => {
    const page = await open("#/explain/shop/deploy/orders", "light");
    assert.equal(await page.getByLabel("Workload").inputValue(), "shop deploy/orders");
    await page.getByLabel("Path or URL").fill("/orders/1");
    await page.getByLabel("Nobody").check();
    await page.getByRole("button", { name: "Explain" }).click();
    await page.locator("#banner small", { hasText: "401 NoToken" }).waitFor();
    await page.getByLabel("Claims", { exact: true }).check();
    await page.getByLabel("Claims, as JSON").fill('{"iss":"https://login.example.com","aud":"orders","sub":"alice","scope":"orders.write"}');
    await page.getByRole("button", { name: "Explain" }).click();
    await page.locator("#banner small", { hasText: "403 InsufficientScope" }).waitFor();
    await page.locator(".rule.near .name", { hasText: "read" }).waitFor();
    await accessible(page, "explained");
    await shot(page, "explained-light");
    await page.getByLabel("Path or URL").fill("orders");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.locator("#target[data-wrong]").waitFor();
  },
  "the keyboard is enough": async () => {
    const page = await open("", "light");
    await heard(page);
    await page.keyboard.press("Tab");
    assert.equal(await active(page), "Skip to the content");
    for (const name of ["Fleet", "Policies"]) {
      await page.keyboard.press("Tab");
      assert.equal(await active(page), name);
    }
    await page.keyboard.press("Enter");
    await page.locator("h1.page-title", { hasText: "Policies" }).waitFor();
    await page.waitForFunction(() => document.activeElement.nodeName === "H1");
    await page.goto(shop.url + "#/explain");
    await page.locator("#tab-request").focus();
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.evaluate(() => document.activeElement.id), "tab-id");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), "id");
    await page.goto(shop.url + "#/");
    await heard(page);
    await page.locator(".findings summary").first().focus();
    await page.keyboard.press("Enter");
    await page.locator(".findings details[open]").waitFor();
    for (let i = 0; i < 80; i++) { // nothing keeps the focus
      await page.keyboard.press("Tab");
      if (await page.evaluate(() => document.activeElement === document.body)) return;
    }
    assert.fail("Tab does not get through the page");
  },
  "a cluster that is away, and comes back": async () => {
    const page = await open("", "light");
    await heard(page);
    shop.tell("unreachable");
    await page.locator(".trouble.unreachable", { hasText: "The cluster does not answer" }).first().waitFor({ timeout: 30_000 });
    assert.equal(await page.locator(".hero h2").textContent(), "2 pods are not guarded", "what was known is gone");
    await accessible(page, "unreachable");
    await shot(page, "unreachable-light");
    shop.tell("");
    await page.locator(".trouble[data-key=policies]").waitFor({ state: "detached", timeout: 30_000 });
  },
  "what the user may not read is said to be so": async () => {
    for (const [fault, text] of [["forbidden", "You may not ask sidecars"], ["forbidden-all", "You may not read policies"]]) {
      const { url } = await serve(fixture, "shop", fault);
      const page = await browser.open(url, "light");
      await page.locator(".trouble.forbidden", { hasText: text }).waitFor();
      await accessible(page, fault);
      await shot(page, fault + "-light");
    }
  },
  "no policies: what to do": async () => {
    const { url } = await serve(fixture, "empty");
    const page = await browser.open(url, "light");
    await page.getByText("There are no policies in shop yet").waitFor();
    await accessible(page, "empty");
    await shot(page, "empty-light");
  },
  "all is well": async () => {
    const { url } = await serve(fixture, "well");
    const page = await browser.open(url, "dark");
    await page.getByText("All 9 pods are guarded").waitFor();
    await page.getByText("Refused in 10 min").waitFor();
    await accessible(page, "well");
    await shot(page, "well-dark");
  },
  "before anything is known": async () => {
    const { url } = await serve(fixture, "shop", "hangs");
    const page = await browser.open(url, "light");
    await page.locator("[aria-busy]").waitFor();
    await accessible(page, "loading");
    await shot(page, "loading-light");
  },
  "a thousand pods stay readable": async () => {
    const { url } = await serve(fixture, "large");
    const page = await browser.open(url, "light");
    await page.locator("tbody tr").first().waitFor();
    assert.equal(await page.locator("tbody tr").count(), 40);
    await page.locator(".more button", { hasText: "Show all 58" }).click();
    assert.equal(await page.locator("tbody tr").count(), 58);
    await shot(page, "large-light");
  },
  "the program that serves it ends": async () => {
    const { url, stop } = await serve(fixture, "well");
    const page = await browser.open(url, "light");
    await page.getByText("All 9 pods are guarded").waitFor();
    stop();
    await page.locator(".trouble", { hasText: "Not connected" }).waitFor({ timeout: 20_000 });
    while (problems.some((p) => p.includes("ERR_CONNECTION_REFUSED"))) problems.splice(problems.findIndex((p) => p.includes("ERR_CONNECTION_REFUSED")), 1);
    await page.context().close();
  },
};
await browser.run(tests);
