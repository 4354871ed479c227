// What tests of pages share: a real browser, axe, pictures, and who serves.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const servers = [];

/** serve starts a program that prints its address, and serves until the tests end. */
export async function serve(program, ...args) {
  const server = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
  servers.push(server);
  const url = await new Promise((resolve) => createInterface(server.stdout).once("line", resolve));
  return { url, tell: (line) => server.stdin.write(line + "\n"), stop: () => server.kill() };
}

/** start starts the browser. Pictures are left in the folder, if there is one. */
export async function start(browserPath, shots) {
  const browser = await chromium.launch({ executablePath: browserPath, args: process.getuid() === 0 ? ["--no-sandbox"] : [] });
  const problems = [];
  return {
    problems,
    async open(url, colorScheme, viewport = { width: 1400, height: 900 }) {
      const context = await browser.newContext({ colorScheme, viewport, bypassCSP: false, reducedMotion: "reduce" });
      const page = await context.newPage();
      const base = new URL("/", url).href;
      page.on("console", (m) => m.type() === "error" && problems.push(m.text()));
      page.on("pageerror", (e) => problems.push(String(e)));
      page.on("request", (r) => r.url().startsWith(base) || r.url().startsWith("data:") || problems.push("asks " + r.url()));
      await page.goto(url);
      return page;
    },
    shot: (page, name) => shots && page.screenshot({ path: `${shots}/${name}.png`, fullPage: true }),
    /** run runs tests by their names, those with ONLY in them if that is set, and ends the process. */
    async run(tests) {
      let failed = 0;
      for (const [name, test] of Object.entries(tests).filter(([name]) => name.includes(process.env.ONLY || ""))) {
        try {
          await test();
          console.log("ok   " + name);
        } catch (e) {
          failed++;
          console.log(`FAIL ${name}: ${e.stack}`);
        }
        for (const c of browser.contexts()) await c.close();
      }
      if (problems.length) { failed++; console.log("the console and the network had:", problems); }
      await browser.close();
      for (const s of servers) s.kill();
      process.exit(failed ? 1 : 0);
    },
  };
}

/** accessible fails if axe finds anything. The page's own policy lets no script in but its own, so axe goes through the debugger. */
export async function accessible(page, when) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(", ")}`), [], when);
}

/** fits fails if a page is wider than its window. */
export async function fits(page) {
  assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is wider than the screen");
}
