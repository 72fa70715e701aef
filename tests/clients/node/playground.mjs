// The playground as a person in a browser uses it: Chromium, headless.
// `playground.mjs SCENARIO PAGE TOKENS`; tests/foreign/playground.rs starts it, and tells some of the tokens that the page must not
// see, as a JSON list. A scenario that goes wrong throws, and so does one
// that makes the page complain, talk to strangers, or see a provider's token.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const SHOTS = new URL("../../../target/playground/", import.meta.url).pathname;

// What the sandbox's tokens look like: Google's, GitHub's, Facebook's; access tokens and refresh tokens.
const PROVIDER_TOKEN = /ya29\.[\w-]{20}|1\/\/0[\w-]{20}|gh[opsur]_\w{20}|EAA\w{30}/;

const [scenario, address, tokens] = process.argv.slice(2);
const TOKENS = JSON.parse(tokens);
const page_url = new URL(address);

// Chromium reports each answer of 400 and above, which is how an RPC that is refused is answered.
const isRefusal = (message) =>
  message.text().startsWith("Failed to load resource: the server responded with a status of 4") &&
  message.location().url.includes("/idptoken.v1.IdpTokenService/");

// Everything that the browser was told and said.
class Visit {
  complaints = [];
  bodies = [];
  origins = new Set();
  requests = [];

  static async begin(options = {}) {
    const visit = new Visit();
    const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";
    // Chromium's own sandbox cannot be had by root in a container; it visits nobody but ours.
    visit.browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--no-proxy-server"] });
    const context = await visit.browser.newContext({ reducedMotion: "reduce", ...options });
    const page = (visit.page = await context.newPage());
    page.on("console", (message) => message.type() === "error" && !isRefusal(message) && visit.complaints.push(message.text()));
    page.on("pageerror", (error) => visit.complaints.push(String(error)));
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol === "data:") return;
      visit.origins.add(url.origin);
      visit.requests.push(request);
    });
    page.on("response", (response) => visit.bodies.push(response.text().catch(() => "")));
    return visit;
  }

  async logIn(name = "Mary Jackson") {
    await this.page.goto(address);
    await this.page.getByRole("button", { name: "Log in" }).click();
    await this.choose(name);
  }

  // On the tenant's login page.
  async choose(name) {
    await this.page.getByRole("link", { name }).click();
    await this.page.getByText("accounts are linked").first().waitFor();
    await this.settled();
  }

  async press(name) {
    const before = await this.page.locator("#events > li").count();
    await this.page.getByRole("button", { name, exact: true }).first().click();
    await this.page.locator("#events > li").nth(before).waitFor({ state: "attached" });
    await this.settled();
    return this.latest();
  }

  // The call that a link was followed for works, once the service has looked at Auth0 again.
  async mended() {
    const again = this.page.locator("#events > li", { hasText: "The same call again" });
    await again.filter({ has: this.page.locator(".badge", { hasText: "200" }) }).waitFor({ timeout: 90_000 });
  }

  async settled() {
    await this.page.locator('#events[aria-busy="false"]').waitFor({ state: "attached" });
  }

  // What the newest event says: its mark, its words, and how many requests reached whom.
  async latest() {
    const event = this.page.locator("#events > li").first();
    const counts = {};
    for (const one of await event.locator(".count").allTextContents()) {
      const [, who, count] = one.match(/^(.*) (\d+)$/);
      counts[who] = Number(count);
    }
    return { text: await event.textContent(), mark: await event.locator(".badge").textContent(), counts };
  }

  async end() {
    const bodies = await Promise.all(this.bodies);
    await this.browser.close();
    assert.deepEqual(this.complaints, []);
    const service = [...this.origins].filter((origin) => origin !== page_url.origin);
    assert.ok(service.length <= 1 && service.every((one) => one.startsWith("http://127.0.0.1:")), `${service}`);
    assert.ok(TOKENS.length && TOKENS.every((token) => PROVIDER_TOKEN.test(token)), "the search finds tokens");
    const seen = bodies.find((body) => PROVIDER_TOKEN.test(body) || TOKENS.some((token) => body.includes(token)));
    assert.equal(seen, undefined, "a provider's token reached the browser");
    assert.ok(bodies.some((body) => body.length > 100), "bodies were looked at");
  }
}

const scenarios = {
  async lists_accounts_and_calls_each_provider(visit) {
    await visit.logIn();
    assert.equal(new URL(visit.page.url()).search, "", "code and state leave the address");
    assert.equal(await visit.page.locator("#who").textContent(), "Mary Jackson");
    const accounts = await visit.page.locator("#accounts li").allTextContents();
    assert.equal(accounts.length, 4, "the rules let the page see those of three providers");
    assert.match(accounts[0], /Google\s*active\s*100000000000000000006\s*ends within \d+ minutes/);
    for (const [button, name] of [["Who am I at Google?", "Mary Jackson"], ["Who am I at Facebook?", "Mary Jackson"]]) {
      const event = await visit.press(button);
      assert.equal(event.mark, "200");
      assert.match(event.text, new RegExp(name));
    }
    const stored = await visit.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.equal(stored, '[{},{},""]', "nothing is stored once the login is over");
    assert.doesNotMatch(await visit.page.content(), /eyJ[\w-]+\.eyJ/, "no token stands in the page");
  },

  async shows_that_the_cache_spares_auth0(visit) {
    await visit.logIn();
    assert.ok((await visit.latest()).counts.Auth0 > 0, "the first list asks Auth0");
    assert.deepEqual((await visit.press("List my accounts again")).counts, { Auth0: 0, providers: 0 });
    assert.deepEqual((await visit.press("Who am I at Google?")).counts, { Auth0: 0, Google: 1 });
    assert.deepEqual((await visit.press("Send it again")).counts, { Auth0: 0, Google: 1 });
  },

  async shows_a_renewal(visit) {
    await visit.logIn();
    const event = await visit.press("Let my Google token end, then call");
    assert.equal(event.mark, "200");
    assert.match(event.text, /refused the token: it had ended. The service renewed it at Google/);
    assert.equal(event.counts.Google, 4, "refused, asked about, renewed, called");
    assert.match(await visit.page.locator("#accounts li").first().textContent(), /ends in 60 minutes$/);
  },

  async resolves_an_ambiguous_account_by_choosing(visit) {
    await visit.logIn();
    const event = await visit.press("Who am I at GitHub?");
    assert.equal(event.mark, "IDENTITY_AMBIGUOUS");
    assert.equal(event.counts.GitHub, undefined);
    const chosen = await visit.press("As 2000005");
    assert.equal(chosen.mark, "200");
    assert.match(chosen.text, /mary-at-work/);
  },

  async follows_the_link_of_a_missing_scope_to_a_login_that_mends_it(visit) {
    await visit.logIn();
    const event = await visit.press("Read my Google calendar");
    assert.equal(event.mark, "403");
    assert.match(event.text, /never granted what this takes: calendar/);
    await visit.page.getByRole("button", { name: "Grant it" }).click();
    await visit.choose("Mary Jackson");
    await visit.mended();
  },

  async follows_the_link_of_a_dead_token(visit) {
    await visit.logIn();
    const revoke = "/sandbox/users/auth0%7C4a61636b736f6e0000000001/facebook/revoke";
    await visit.page.request.post(page_url.origin + revoke);
    const event = await visit.press("Who am I at Facebook?");
    assert.equal(event.mark, "REAUTHENTICATION_REQUIRED");
    await visit.page.getByRole("button", { name: "Log in there again" }).click();
    await visit.choose("Mary Jackson");
    await visit.mended();
  },

  async shows_what_is_refused(visit) {
    await visit.logIn();
    for (const button of ["Get the token itself", "List somebody else’s accounts", "Post to my Facebook feed"]) {
      const event = await visit.press(button);
      assert.equal(event.mark, "CALLER_NOT_ALLOWED", button);
      assert.deepEqual(event.counts, { Auth0: 0, providers: 0 }, button);
    }
  },

  async forgets_the_user_who_logs_out(visit) {
    await visit.logIn();
    await visit.page.getByRole("button", { name: "Log out" }).click();
    await visit.page.getByRole("button", { name: "Log in" }).waitFor();
    assert.equal(await visit.page.locator("#accounts li, #events li").count(), 0);
    await visit.logIn("Grace Hopper");
    assert.equal(await visit.page.locator("#accounts li").count(), 2);
    await visit.logIn("Donald Knuth");
    assert.equal(await visit.page.locator("#accounts li").count(), 0, "a password alone is no account at a provider");
  },

  async takes_no_login_that_it_did_not_begin(visit) {
    await visit.page.goto(`${address}?code=stolen&state=forged`);
    await visit.page.getByText("That was the answer to another login.").waitFor();
    assert.equal(visit.page.url(), address);
    assert.ok(await visit.page.getByRole("button", { name: "Log in" }).isVisible());
    assert.ok(!visit.requests.some((request) => request.method() === "POST"), "the code is not used");
  },

  async works_by_keyboard(visit) {
    const { page } = visit;
    await page.goto(address);
    await page.getByRole("button", { name: "Log in" }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.getByText("accounts are linked").first().waitFor();
    await visit.settled();
    await page.keyboard.press("Tab"); // Log out
    await page.keyboard.press("Tab"); // the first thing to try
    const before = await page.evaluate(() => document.activeElement.textContent);
    await page.keyboard.press("Enter");
    await page.locator("#events > li").nth(1).waitFor();
    assert.equal((await visit.latest()).mark, "200");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), before, "the focus stays");
    assert.match(await page.getByRole("status").textContent(), /Who am I at Google\? 200\./);
  },

  fits_a_phone: (visit) => everyState(visit, { width: 360, height: 780 }),
  fits_a_desk: (visit) => everyState(visit, { width: 1280, height: 860 }),
};

// Looks at every state of the page, in light and in dark.
async function everyState(visit, viewport) {
  mkdirSync(SHOTS, { recursive: true });
  for (const colorScheme of ["light", "dark"]) {
    await visit.browser.close();
    Object.assign(visit, await Visit.begin({ viewport, colorScheme }));
    const look = (name) => fits(visit.page, `${SHOTS}${name}-${viewport.width}-${colorScheme}.png`);
    await visit.page.addInitScript(watchLayout);
    await visit.page.goto(address);
    await look("welcome");
    await visit.page.getByRole("button", { name: "Log in" }).click();
    await look("login");
    await visit.choose("Mary Jackson");
    await look("accounts");
    await visit.press("Get the token itself");
    await visit.press("Who am I at GitHub?");
    await visit.press("Who am I at Facebook?");
    await visit.press("Read my Google calendar");
    await look("events");
    for (const more of await visit.page.locator("#events > li:nth-child(-n+2) summary").all()) await more.click();
    await look("details");
  }
}

// Collects what moves without being asked to.
function watchLayout() {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const one of list.getEntries()) {
      if (!one.hadRecentInput) window.shifts.push(one.value);
    }
  }).observe({ type: "layout-shift", buffered: true });
}

async function fits(page, file) {
  await page.waitForLoadState("load");
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: file, fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.equal(wide, 0, `${file}: the page scrolls sideways by ${wide}px`);
  // Playwright's evaluate is the debugger's, to which the page's Content-Security-Policy does not apply.
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run());
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join("; ")}`);
  assert.deepEqual(told, [], file);
  const shift = (await page.evaluate(() => window.shifts)).reduce((sum, one) => sum + one, 0);
  assert.ok(shift < 0.02, `${file}: the layout shifts by ${shift}`);
}

const visit = await Visit.begin();
try {
  await scenarios[scenario](visit);
  await visit.end();
} catch (error) {
  mkdirSync(SHOTS, { recursive: true });
  await visit.page.screenshot({ path: `${SHOTS}failed-${scenario}.png` }).catch(() => {});
  console.error(visit.complaints);
  throw error;
} finally {
  await visit.browser.close();
}
