// The playground: a browser that calls the IdP token service as the user who logged in, with nothing but the platform.
//
// Copy from here: the login (authorization code with PKCE), the call (the Connect protocol in JSON) and the reading of its
// errors. The journal is the sandbox's alone, where one can see what the service asks of whom.

const told = (name) => document.querySelector(`meta[name="${name}"]`).content;
const SERVICE = told("service");
// The sandbox's tenant served this page. At a real one this is `https://` and its domain, and its application names this
// page's address in Allowed Callback URLs and this page's origin in Allowed Web Origins.
const TENANT = location.origin;
const PAGE = location.origin + location.pathname;

// The user's access token lives here and nowhere else: what is stored, every later script of this origin can read.
let session = null; // { token, id, name, email }

// --- Login -----------------------------------------------------------------------------------------------------------

const PENDING = "login";

const base64url = (bytes) =>
  btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const random = () => base64url(crypto.getRandomValues(new Uint8Array(32)));

// Sends the browser to the tenant. `link` is a connect link of the service's, which is a login that asks a provider for
// more; `again` is a call to repeat afterwards.
async function logIn({ link = `${TENANT}/authorize`, again = null } = {}) {
  const url = new URL(link);
  if (url.origin !== TENANT) throw new Error(`The link does not lead to the tenant: ${url.origin}`);
  const pending = { verifier: random(), state: random(), nonce: random(), again, since: Date.now() };
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(pending.verifier));
  const parameters = {
    response_type: "code",
    client_id: told("client"),
    redirect_uri: PAGE,
    audience: told("audience"),
    scope: "openid profile email",
    state: pending.state, // that the answer is to this login
    nonce: pending.nonce, // that the ID token is
    code_challenge: base64url(new Uint8Array(digest)), // that nobody else can use the code
    code_challenge_method: "S256",
  };
  if (session) parameters.login_hint = session.email;
  for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value);
  sessionStorage.setItem(PENDING, JSON.stringify(pending)); // for this tab alone, until it is back
  location.assign(url);
}

// Back from the tenant: turns the code into a token. Gives what was pending, if this is the end of a login.
async function finishLogIn() {
  const answer = new URLSearchParams(location.search);
  const pending = JSON.parse(sessionStorage.getItem(PENDING));
  sessionStorage.removeItem(PENDING);
  if (!location.search) return null;
  history.replaceState(null, "", PAGE); // neither code nor state stays in the address or the history
  if (!pending || answer.get("state") !== pending.state) throw new Error("That was the answer to another login. Log in again.");
  if (answer.has("error")) throw new Error(`The login failed: ${answer.get("error_description") ?? answer.get("error")}.`);
  const response = await fetch(`${TENANT}/oauth/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "authorization_code",
      client_id: told("client"),
      redirect_uri: PAGE,
      code: answer.get("code"),
      code_verifier: pending.verifier,
    }),
  });
  const tokens = await response.json();
  if (!response.ok) throw new Error(`The login failed: ${tokens.error_description}.`);
  // It came straight from the tenant, so that its signature needs no check (OpenID Connect Core 1.0, 3.1.3.7). The access token
  // is the service's to judge.
  const claims = JSON.parse(text(tokens.id_token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/")));
  const right = { iss: `https://${told("domain")}/`, aud: told("client"), nonce: pending.nonce };
  const wrong = Object.keys(right).find((name) => claims[name] !== right[name]);
  if (wrong) throw new Error(`The ID token is that of another login: its ${wrong} is wrong. Log in again.`);
  session = { token: tokens.access_token, id: claims.sub, name: claims.name, email: claims.email };
  return pending;
}

// --- Calls -----------------------------------------------------------------------------------------------------------

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const text = (base64) => new TextDecoder().decode(bytes(base64));

// One call, in the Connect protocol: the message as JSON, and back.
async function call(method, message) {
  const response = await fetch(`${SERVICE}/idptoken.v1.IdpTokenService/${method}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "connect-protocol-version": "1",
      authorization: `Bearer ${session.token}`,
    },
    body: JSON.stringify(message),
    signal: AbortSignal.timeout(30_000),
  });
  const answer = await response.json();
  if (!response.ok) throw new CallError(answer);
  return answer;
}

// An error of the service: what went wrong is in `reason`, for programs, with `metadata`, and perhaps a `link` that helps or the
// seconds to `wait`.
class CallError extends Error {
  constructor({ code, message = code, details = [] }) {
    super(message);
    const detail = (type) => fields(bytes(details.find((one) => one.type === `google.rpc.${type}`)?.value ?? ""));
    const [info, help, retry] = ["ErrorInfo", "Help", "RetryInfo"].map(detail);
    this.reason = string(info, 1) ?? code.toUpperCase();
    this.metadata = Object.fromEntries(all(info, 3).map(fields).map((pair) => [string(pair, 1), string(pair, 2)]));
    this.link = string(inner(help, 1), 2);
    this.wait = all(inner(retry, 1), 1)[0];
  }
}

// A detail is protobuf, which as far as it is used here is no more than numbered integers and counted runs of bytes.
function fields(data) {
  const found = [];
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = data[at++];
      value |= (byte & 127) << shift;
      if (!(byte & 128)) return value;
    }
  };
  while (at < data.length) {
    const key = varint();
    if ((key & 7) > 2) throw new Error("This page reads no such field.");
    const value = varint();
    found.push([key >> 3, (key & 7) === 0 ? value : data.subarray(at, (at += value))]);
  }
  return found;
}
const all = (found, number) => found.filter(([own]) => own === number).map(([, value]) => value);
const inner = (found, number) => fields(all(found, number)[0] ?? []);
const string = (found, number) => all(found, number).map((data) => new TextDecoder().decode(data))[0];

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
    act({ ...list("List somebody else’s accounts"), message: { userId: STRANGERS.find((id) => id !== session.id) } }),
  post: () => act(provider("Post to my Facebook feed", "facebook", { method: "POST", path: "/me/feed" })),
  async expire() {
    // The sandbox's lever, as when Google ends a token ahead of its time; no tenant has it.
    await fetch(`/sandbox/users/${encodeURIComponent(session.id)}/google-oauth2/expire-all`, { method: "POST" });
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
  if (outcome.answer?.identities) accounts = outcome.answer.identities;
  if (outcome.answer?.report) note(outcome.answer.report.identity);
  showAccounts();
  showEvent(deed, outcome, took, await arrivals());
  if (outcome.error?.reason === "CALLER_UNAUTHENTICATED") logOut(outcome.error.message);
}

// What an answer means, in words, and what can be done next.
function judge({ method, message }, answer) {
  if (method !== "CallProvider") {
    return { mark: "OK", tone: "good", words: `${answer.identities.length} accounts are linked. No secret is in the list.` };
  }
  const { statusCode: mark, report } = answer;
  const name = nameOf(report.identity.provider);
  const { reason, missingScopes = [], connectUrl } = report.diagnosis ?? {};
  if (connectUrl) {
    const words = `${name} says that you never granted ${missingScopes.join(", ")}. The service adds a link at which you can.`;
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
  return { mark, tone: "bad", words: `${error.message}.${wait}` };
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
      el("strong", {}, one.provider === "auth0" ? "Auth0 password" : nameOf(one.provider)),
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
  return `ends ${when}${expiryBasis === "EXPIRY_BASIS_UPPER_BOUND" ? " at the latest" : ""}`;
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
  return el("div", { class: "wide", tabindex: 0, role: "region", "aria-label": "Requests" },
    el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
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

function tell(problem) {
  at("notice").textContent = problem;
  at("notice").hidden = !problem;
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

function logOut(why = "") {
  session = null;
  accounts = [];
  at("events").replaceChildren();
  tell(why);
  showPage();
  at("log-in").focus();
}

function showPage() {
  at("welcome").hidden = session !== null;
  at("desk").hidden = at("session").hidden = session === null;
  at("who").textContent = session?.name ?? "";
}

async function start() {
  at("log-in").addEventListener("click", () => run(logIn));
  at("log-out").addEventListener("click", () => logOut());
  for (const one of document.querySelectorAll("[data-trial]")) {
    one.addEventListener("click", () => run(TRIALS[one.dataset.trial]));
  }
  await run(async () => {
    const pending = await finishLogIn().finally(showPage);
    if (!pending) return;
    await arrivals(); // the login's own
    await act(list("List my accounts"));
    if (pending.again) await repeat(pending);
  });
}

// The call that a connect link was followed for. For a missing scope the service reads a profile anew only if it did not
// within 5 s, and somebody who grants quickly is faster.
async function repeat({ again, since }) {
  await new Promise((resolve) => setTimeout(resolve, since + 6_000 - Date.now()));
  await act({ title: "The same call again", method: "CallProvider", message: again });
}

start();
