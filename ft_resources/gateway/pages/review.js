// What waits for a person, one item at a time, with the keyboard alone.

import { askForKey, call, element, inTurn, keyField, teller } from "./common.js";

const at = (id) => document.getElementById(id);
const tell = teller(at("told"));

let items = [];
let domain = ""; // of the items
let place = 0; // of the item that is shown
let chosen = 0; // its answer
let sending = false;
const asked = inTurn();
const askedReleases = inTurn();

async function load() {
  const stale = asked();
  try {
    const wanted = at("domain").value;
    const query = wanted ? `?domain=${encodeURIComponent(wanted)}` : "";
    const state = await (await call("GET", `/review/items${query}`)).json();
    if (stale()) return;
    at("domain").replaceChildren(...state.domains.map((one) => {
      const label = `${one.domain} (${one.open})`;
      return element("option", { value: one.domain, selected: one.domain === state.domain }, label);
    }));
    ({ items, domain } = state);
    place = 0;
    showAgreement(state);
    show();
    tell("");
  } catch (error) {
    if (stale()) return;
    [items, domain] = [[], ""];
    show();
    at("item").hidden = true;
    askForKey(error, at("key"), tell);
  }
}

function show() {
  close();
  const item = items[place];
  at("item").hidden = !item;
  if (!item) {
    at("place").textContent = "";
    if (domain) tell("Nothing waits here for you.", "good");
    return;
  }
  at("place").textContent = `${place + 1} of ${items.length}`;
  at("reason").textContent = item.reasons.map((reason) => reason.replaceAll("_", " ")).join(", ");
  at("from").textContent = [item.model_version, item.week].filter(Boolean).join(" · ");
  at("prompt").textContent = item.prompt;
  at("answers").replaceChildren(...item.answers.map((answer, index) => {
    const card = element("article", { class: "card", role: "option", id: `answer-${index}` },
      element("h3", {}, element("kbd", {}, String(index + 1)), ` ${answer.label}`),
      element("div", { class: "text" }, answer.text));
    card.addEventListener("click", () => choose(index));
    return card;
  }));
  choose(0);
}

function choose(index) {
  if (!items[place] || index >= items[place].answers.length) return;
  chosen = index;
  at("answers").querySelectorAll("[role=option]").forEach((card, one) => {
    card.setAttribute("aria-selected", String(one === index));
  });
}

function move(step) {
  if (!items.length) return;
  place = Math.min(items.length - 1, Math.max(0, place + step));
  show();
  tell("");
}

function open() {
  const item = items[place];
  if (!item) return;
  at("correct").hidden = false;
  at("text").value = item.answers[chosen].text;
  at("text").focus();
}

function close() {
  at("correct").hidden = true;
  at("text").value = "";
  at("text").blur();
}

async function decide(decision, text) {
  const item = items[place];
  if (!item || sending) return;
  sending = true;
  try {
    const body = { domain, item: item.item_id, decision, answer: chosen, ...(text ? { text } : {}) };
    const state = await (await call("POST", "/review/decisions", body)).json();
    const decided = items.indexOf(item);
    if (decided >= 0) { // else another domain was opened meanwhile
      items.splice(decided, 1);
      if (place > decided) place -= 1;
      place = Math.min(place, Math.max(0, items.length - 1));
      for (const option of at("domain").options) {
        if (option.value === state.domain) option.textContent = `${state.domain} (${items.length})`;
      }
      showAgreement(state);
      show();
    }
    const done = { approve: "Approved", reject: "Rejected", correct: "Correction kept" }[decision];
    tell(state.closed ? `${done}.` : `${done}; a second reviewer decides too.`, "good");
  } catch (error) {
    askForKey(error, at("key"), tell);
  } finally {
    sending = false;
  }
}

function keep() {
  const text = at("text").value;
  const item = items[place];
  if (!item || !text.trim()) return tell("A correction must say something.", "bad");
  if (text === item.answers[chosen].text) return tell("Nothing was changed; approve it instead.", "bad");
  decide("correct", text);
}

function showAgreement(state) {
  at("agreement").hidden = false;
  at("mode").textContent = state.reviewers === 2
    ? "Two reviewers decide each item; what they agree on holds."
    : "One reviewer decides each item.";
  const rows = state.agreement.map((pair) => element("tr", {},
    element("td", {}, pair.reviewers.join(" and ")),
    element("td", {}, String(pair.items)),
    element("td", {}, String(pair.same)),
    element("td", {}, pair.kappa === null ? "not defined" : pair.kappa.toFixed(2))));
  const none = element("tr", {}, element("td", { colspan: 4, class: "quiet" },
    "No item was decided by two reviewers yet."));
  at("pairs").replaceChildren(...(rows.length ? rows : [none]));
}

async function loadReleases() {
  const stale = askedReleases();
  try {
    const { waiting } = await (await call("GET", "/review/releases")).json();
    if (stale()) return;
    at("releases").hidden = !waiting.length;
    at("waiting").replaceChildren(...waiting.map(release));
  } catch {
    if (!stale()) at("releases").hidden = true; // why is told where the items are
  }
}

function release(one) {
  const arm = (name, told) => element("tr", {},
    element("td", {}, `${name}: ${told.adapter}`),
    element("td", {}, String(told.conversations)),
    element("td", {}, String(told.reactions)),
    element("td", {}, told.mean_reaction === null ? "none" : told.mean_reaction.toFixed(2)));
  const titles = ["Adapter", "Conversations", "Reactions", "Mean (0 to 1)"];
  const decision = (label, kind, word) => {
    const button = element("button", { type: "button", class: kind }, label);
    button.addEventListener("click", () => decideRelease(one.domain, word));
    return button;
  };
  return element("div", { "data-release": one.domain },
    element("p", {}, element("strong", {}, one.domain), ` ${one.reason}`),
    element("table", {},
      element("thead", {}, element("tr", {}, ...titles.map((title) => element("th", {}, title)))),
      element("tbody", {}, arm("new", one.arms.canary), arm("serving", one.arms.control))),
    element("p", { class: "row" },
      decision("Let it go on", "first", "approve"), decision("Stop it", "", "stop")));
}

async function decideRelease(domain, decision) {
  try {
    const path = `/review/releases/${encodeURIComponent(domain)}`;
    const { state } = await (await call("POST", path, { decision })).json();
    tell(`${domain}: ${state.replaceAll("_", " ")}.`, "good");
  } catch (error) {
    askForKey(error, at("key"), tell);
  }
  loadReleases();
}

document.addEventListener("keydown", (event) => {
  if (event.target === at("text")) {
    if (event.key === "Escape") close();
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) keep();
    return;
  }
  if (event.target.matches("input, select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const keys = {
    a: () => decide("approve"), r: () => decide("reject"), c: open,
    j: () => move(1), k: () => move(-1), escape: close,
  };
  const does = /^[1-9]$/.test(event.key) ? () => choose(Number(event.key) - 1) : keys[event.key.toLowerCase()];
  if (!does) return;
  event.preventDefault();
  does();
});
at("approve").addEventListener("click", () => decide("approve"));
at("reject").addEventListener("click", () => decide("reject"));
at("edit").addEventListener("click", open);
at("leave").addEventListener("click", close);
at("correct").addEventListener("submit", (event) => { event.preventDefault(); keep(); });
at("domain").addEventListener("change", () => { load(); at("domain").blur(); });
keyField(at("key"), () => { load(); loadReleases(); at("key").blur(); });
load();
loadReleases();
