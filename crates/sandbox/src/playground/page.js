// The playground: what a user can try, what came of it, and what of it reached Auth0 and the providers.

import { CallError, call, finishLogIn, logIn, logOut, text, told, user } from "./client.js";

// --- Journal ---------------------------------------------------------------------------------------------------------

let seen = Number(told("journal"));

// What reached the tenant and the providers since the last look.
async function arrivals() {
  const response = await fetch(`/sandbox/journal?after=${seen}`);
  const entries = await response.json();
  seen = entries.at(-1)?.number ?? seen;
  return entries.map(({ host, method, path, status }) => ({ who: owner(host), host, method, path, status }));
}

function owner(host) {
  if (host === told("domain")) return "Auth0";
  const known = { Google: "googleapis.com", GitHub: "github.com", Facebook: "facebook.com" };
  return Object.keys(known).find((name) => host.endsWith(known[name])) ?? host;
}

// --- What can be tried -----------------------------------------------------------------------------------------------

const PROVIDERS = {
  "google-oauth2": { name: "Google", me: "/oauth2/v3/userinfo" },
  github: { name: "GitHub", me: "/user" },
  facebook: { name: "Facebook", me: "/me?fields=id,name" },
};
const nameOf = (provider) => PROVIDERS[provider]?.name ?? provider;

const provider = (title, provider, request, account = {}) => ({
  title,
  method: "CallProvider",
  message: { identity: { provider, ...account }, request }, // without a user id it is about the caller
});
const me = (name) => provider(`Who am I at ${nameOf(name)}?`, name, { path: PROVIDERS[name].me });
const list = (title) => ({ title, method: "ListIdentities", message: {} });

// Two people of the sample, for who is one of them.
const STRANGERS = ["google-oauth2|108204268033311374519", "github|2000001"];

const TRIALS = {
  google: () => act(me("google-oauth2")),
  github: () => act(me("github")),
  facebook: () => act(me("facebook")),
  calendar: () =>
    act(provider("Read my Google calendar", "google-oauth2", { path: "/calendar/v3/calendars/primary/events" })),
  list: () => act(list("List my accounts again")),
  token: () =>
    act({ title: "Get the token itself", method: "GetIdentityToken", message: { identity: { provider: "facebook" } } }),
  other: () =>
    act({ ...list("List somebody else’s accounts"), message: { userId: STRANGERS.find((id) => id !== user.id) } }),
  post: () => act(provider("Post to my Facebook feed", "facebook", { method: "POST", path: "/me/feed" })),
  async expire() {
    // The sandbox's lever, as when Google ends a token ahead of its time; no tenant has it.
    await fetch(`/sandbox/users/${encodeURIComponent(user.id)}/google-oauth2/expire-all`, { method: "POST" });
    await act({ ...me("google-oauth2"), title: "Let my Google token end, then call" });
  },
};

// Makes a call, and tells how it went and who was asked.
async function act(deed) {
  const begun = performance.now();
  const outcome = await call(deed.method, deed.message).then(
    (answer) => ({ answer, ...judge(deed, answer) }),
    (error) => ({ error, ...judgeError(deed, error) }),
  );
  const took = Math.round(performance.now() - begun);
  const arrived = await arrivals();
  if (!user) return outcome; // who logged out meanwhile leaves nothing behind
  if (deed.method === "ListIdentities" && outcome.answer) accounts = listed(outcome.answer);
  if (outcome.answer?.report) note(outcome.answer.report.identity);
  showAccounts();
  showEvent(deed, outcome, took, arrived);
  if (outcome.error?.reason === "CALLER_UNAUTHENTICATED") leave(outcome.error.message);
  return outcome;
}

// JSON leaves out what is empty.
const listed = ({ identities = [] }) => identities;

// What an answer means, in words, and what can be done next.
function judge({ method, message }, answer) {
  if (method !== "CallProvider") {
    return { mark: "OK", tone: "good", words: `${listed(answer).length} accounts are linked. No secret is in the list.` };
  }
  const { statusCode: mark, report } = answer;
  const name = nameOf(report.identity.provider);
  const { reason, missingScopes = [], connectUrl } = report.diagnosis ?? {};
  if (connectUrl) {
    const scopes = missingScopes.map((scope) => scope.split("/").at(-1)).join(", ");
    const words = `${name} says that you never granted what this takes: ${scopes}. The service adds a link at which you can.`;
    return { mark, tone: "warn", words, next: [["Grant it", () => logIn({ link: connectUrl, again: message })]] };
  }
  if (mark >= 400) {
    const meaning = reason ? ` The service makes of it: ${reason.replace("ERROR_REASON_", "")}.` : "";
    return { mark, tone: "warn", words: `That is ${name}’s own answer.${meaning}` };
  }
  if (report.tokenRenewed) {
    const refused = report.attempts > 1 ? `${name} refused the token: it had ended. ` : "The token had ended. ";
    return { mark, tone: "good", words: `${refused}The service renewed it at ${name} and made the call, all in this one.` };
  }
  return { mark, tone: "good", words: `The service called ${name} with your token, and hands over the answer alone.` };
}

function judgeError(deed, error) {
  if (!(error instanceof CallError)) return { mark: "failed", tone: "bad", words: `No answer: ${error.message}.` };
  const mark = error.reason;
  if (mark === "IDENTITY_AMBIGUOUS") {
    const candidates = error.metadata.candidates.split(",").map((one) => one.split("/"));
    const next = candidates.map(([name, connection, ...id]) => {
      const account = { connection, accountId: id.join("/") };
      const chosen = provider(`${deed.title} As ${account.accountId}`, name, deed.message.request, account);
      return [`As ${account.accountId}`, () => act(chosen)];
    });
    return { mark, tone: "warn", words: "Several of your accounts match, and the service never guesses. Choose one.", next };
  }
  if (mark === "REAUTHENTICATION_REQUIRED") {
    const next = [["Log in there again", () => logIn({ link: error.link, again: deed.message })]];
    return { mark, tone: "warn", words: "The token is dead, and nothing is left to renew it with. Only you can get another.", next };
  }
  if (mark === "CALLER_NOT_ALLOWED") {
    return { mark, tone: "bad", words: `The service says no: ${error.message}.` };
  }
  const wait = error.wait ? ` Try again in ${error.wait} s.` : "";
  return { mark, tone: "bad", words: `The service says: ${error.message}.${wait}` };
}

// --- What is shown ---------------------------------------------------------------------------------------------------

const at = (id) => document.getElementById(id);

// An element. Text from outside becomes a text node, and never markup.
function el(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function button(label, deed, kind) {
  const element = el("button", { class: kind }, label);
  element.addEventListener("click", () => run(deed));
  return element;
}

let accounts = [];

// A call tells the newest of the account that it used.
function note(identity) {
  const same = (one) => one.provider === identity.provider && one.accountId === identity.accountId;
  accounts = accounts.map((one) => (same(one) ? identity : one));
}

const STATES = {
  STATE_ACTIVE: ["good", "active"],
  STATE_REAUTHENTICATION_REQUIRED: ["warn", "log in again"],
  STATE_NO_TOKEN: ["none", "no token"],
};

function showAccounts() {
  const cards = accounts.map((one) => {
    const [tone, state] = STATES[one.state] ?? ["none", one.state];
    return el(
      "li",
      {},
      el("strong", {}, nameOf(one.provider)),
      el("span", { class: `badge ${tone}` }, state),
      el("span", { class: "id" }, one.accountId),
      el("span", { class: "expiry" }, expiry(one)),
    );
  });
  at("accounts").replaceChildren(...cards);
}

function expiry({ state, expireTime, expiryBasis, renewable }) {
  if (state === "STATE_NO_TOKEN") return "Auth0 keeps none";
  if (!expireTime) return "no known end";
  const minutes = Math.round((new Date(expireTime) - Date.now()) / 60_000);
  if (minutes <= 0) return renewable ? "has ended; renewed when used" : "has ended";
  const [amount, unit] = minutes < 120 ? [minutes, "minute"] : minutes < 2880 ? [minutes / 60, "hour"] : [minutes / 1440, "day"];
  const when = new Intl.RelativeTimeFormat("en").format(Math.round(amount), unit);
  return `ends ${expiryBasis === "EXPIRY_BASIS_UPPER_BOUND" ? `with${when}` : when}`; // "within an hour" is at the latest
}

function showEvent(deed, { mark, tone, words, next = [], answer, error }, took, arrived) {
  const steps = next.map(([label, step]) => button(label, step, "primary"));
  if (deed.method === "CallProvider") steps.push(button("Send it again", () => act(deed), "plain"));
  const event = el(
    "li",
    {},
    el("h3", {}, deed.title),
    el("p", { class: "meta" }, `${deed.method} · ${took} ms`),
    el("p", {}, el("span", { class: `badge ${tone}` }, String(mark)), " ", words),
    el("p", { class: "next" }, ...steps),
    el("p", { class: "traffic" }, ...traffic(arrived)),
  );
  if (answer?.body) event.append(more("The provider’s answer", pre(pretty(text(answer.body)))));
  if (arrived.length) event.append(more("What arrived at Auth0 and the providers", table(arrived)));
  const result = error ? { reason: error.reason, message: error.message, metadata: error.metadata } : answer;
  event.append(more("The call in JSON", pre(JSON.stringify(deed.message, null, 2)), pre(JSON.stringify(result, null, 2))));
  event.querySelector("details").open = Boolean(answer?.body);
  at("events").prepend(event);
  at("status").textContent = `${deed.title} ${mark}. ${words}`;
  at("log").scrollTop = 0;
  // On a phone the log is below what was pressed.
  if (event.getBoundingClientRect().top > innerHeight * 0.8) event.scrollIntoView();
}

// How many requests reached whom; that none reached Auth0 or a provider is the news.
function traffic(arrived) {
  const counts = new Map([["Auth0", 0]]);
  for (const { who } of arrived) counts.set(who, (counts.get(who) ?? 0) + 1);
  if (counts.size === 1) counts.set("providers", 0);
  const shown = [...counts].map(([who, count]) =>
    el("span", { class: count ? "count" : "count zero" }, `${who} `, el("b", {}, String(count))),
  );
  return ["Requests: ", ...shown, counts.get("Auth0") ? "" : " Auth0 was not needed."];
}

function table(arrived) {
  const rows = arrived.map(({ who, method, host, path, status }) =>
    el("tr", {}, el("td", {}, who), el("td", {}, `${method} ${host}${path}`), el("td", {}, String(status ?? "–"))),
  );
  const head = ["At", "Request", "Answer"].map((name) => el("th", { scope: "col" }, name));
  return el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows));
}

const more = (label, ...content) => el("details", {}, el("summary", {}, label), ...content);
const pre = (content) => el("pre", { tabindex: 0 }, content);

function pretty(body) {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}

function tell(words, tone = "bad") {
  at("notice").textContent = words;
  at("notice").className = tone;
  at("notice").hidden = !words;
}

// One deed at a time, so that what arrives meanwhile is its doing.
let busy = false;

async function run(deed) {
  if (busy) return;
  busy = true;
  at("events").ariaBusy = "true";
  tell("");
  try {
    await deed();
  } catch (problem) {
    tell(problem.message);
  } finally {
    busy = false;
    at("events").ariaBusy = "false";
  }
}

function leave(why = "") {
  logOut();
  accounts = [];
  at("accounts").replaceChildren();
  at("events").replaceChildren();
  tell(why);
  showPage();
  at("log-in").focus();
}

function showPage() {
  at("welcome").hidden = user !== null;
  at("desk").hidden = at("session").hidden = user === null;
  at("who").textContent = user?.name ?? "";
}

async function start() {
  at("log-in").addEventListener("click", () => run(logIn));
  at("log-out").addEventListener("click", () => leave());
  for (const one of document.querySelectorAll("[data-trial]")) {
    one.addEventListener("click", () => run(TRIALS[one.dataset.trial]));
  }
  let pending = null;
  await run(async () => {
    pending = await finishLogIn();
    if (!pending) return;
    await arrivals(); // the login's own
    await act(list("List my accounts"));
  });
  showPage(); // not before there is something to show, so that nothing moves
  if (user && pending?.again) await repeat(pending);
}

// Seconds after which a call is repeated that a connect link was followed for. The service looks at Auth0 again 5 s after it
// last did, and the later the more often that was in vain, since Auth0 lets it ask only so much.
const PATIENCE = [6, 11, 21, 41, 61];

async function repeat({ again, since }) {
  tell("You are back. The call is repeated as soon as the service looks at Auth0 again.", "good");
  for (const seconds of PATIENCE) {
    await new Promise((resolve) => setTimeout(resolve, since + seconds * 1000 - Date.now()));
    if (!user) return;
    let outcome = null;
    await run(async () => {
      outcome = await act({ title: "The same call again", method: "CallProvider", message: again });
    });
    if (!outcome?.next) return;
  }
}

start();
