// A conversation with one model: stream answers, and tie every reaction to the answer it is about.

import { askForKey, call, element, inTurn, keyField, teller } from "./common.js";

const at = (id) => document.getElementById(id);
const tell = teller(at("told"));

let session = crypto.randomUUID();
let messages = []; // what the model is sent
let running = null; // {id, abort} of the answer that is being written
const askedModels = inTurn();

async function loadModels() {
  const stale = askedModels();
  try {
    const { data } = await (await call("GET", "/v1/models")).json();
    if (stale()) return;
    const before = at("model").value;
    const names = data.map((model) => model.id).sort(byKind);
    at("model").replaceChildren(...names.map((name) => element("option", {}, name)));
    if (names.includes(before)) at("model").value = before;
    tell(names.length ? "" : "No model is loaded yet.");
  } catch (error) {
    if (!stale()) askForKey(error, at("key"), tell);
  }
}

// Domains first, then exact adapters, the base last.
function byKind(one, other) {
  const rank = (name) => (name === "base" ? 2 : name.includes("@") ? 1 : 0);
  return rank(one) - rank(other) || one.localeCompare(other);
}

function startOver() {
  running?.abort.abort();
  session = crypto.randomUUID();
  messages = [];
  at("turns").replaceChildren();
  tell("");
  at("prompt").focus();
}

async function send(text) {
  messages.push({ role: "user", content: text });
  at("turns").append(element("div", { class: "card turn mine text" }, text));
  await answer();
}

async function answer() {
  const shown = element("div", { class: "text", "data-answer": true });
  const tools = element("div", { class: "row tools" });
  const card = element("article", { class: "card turn answer" }, shown, tools);
  at("turns").append(card);
  const abort = new AbortController();
  const asked = messages.slice();
  const mine = session;
  running = { id: null, abort };
  busy(true);
  tell("");
  let text = "";
  let model = "";
  try {
    const user = at("user").value.trim();
    const body = {
      model: at("model").value, messages: asked, stream: true,
      metadata: { session_id: session }, ...(user ? { user } : {}),
    };
    const reply = await call("POST", "/v1/chat/completions", body, { signal: abort.signal });
    for await (const chunk of events(reply)) {
      if (chunk.error) throw new Error(chunk.error.message);
      running.id = chunk.id;
      model = chunk.model;
      text += chunk.choices[0]?.delta?.content ?? "";
      shown.textContent = text;
      card.scrollIntoView({ block: "nearest" });
    }
    messages = [...asked, { role: "assistant", content: text }];
    tools.append(...reactions({ id: running.id, text, model, asked, card }));
  } catch (error) {
    if (error.name === "AbortError") tell("Stopped. An answer that was cut off is not kept.");
    else askForKey(error, at("key"), tell);
    if (!text) card.remove();
    if (mine === session) { // else the conversation was left
      messages = asked.slice(0, -1);
      at("prompt").value ||= asked.at(-1).content;
    }
  } finally {
    running = null;
    busy(false);
    at("prompt").focus();
  }
}

async function* events(reply) {
  let rest = "";
  for await (const piece of reply.body.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + piece).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const data = part.replace(/^data: /, "");
      if (data === "[DONE]") return;
      yield JSON.parse(data);
    }
  }
  throw new Error("The connection was cut.");
}

function reactions(given) {
  const said = element("span", { class: "quiet" }, given.model);
  const report = async (fields) => {
    try {
      // The order tells late and repeated reports from newer ones.
      await call("POST", "/feedback", { id: given.id, order: Date.now(), ...fields });
      said.textContent = "Thank you, kept.";
      said.dataset.kept = Object.keys(fields).join(" ");
      return true;
    } catch (error) {
      tell(error.message, "bad");
      return false;
    }
  };
  const choice = (label, title, fields, group) => {
    const button = element("button", { type: "button", title, "aria-pressed": "false" }, label);
    group.push(button);
    button.addEventListener("click", async () => {
      if (!(await report(fields))) return;
      for (const one of group) one.setAttribute("aria-pressed", String(one === button));
    });
    return button;
  };
  const thumbs = [];
  const up = choice("Good", "Good answer", { thumb: "up" }, thumbs);
  const down = choice("Bad", "Bad answer", { thumb: "down" }, thumbs);
  const stars = [];
  const rating = element("span", { class: "stars row", role: "group", "aria-label": "Rating" },
    ...[1, 2, 3, 4, 5].map((n) => choice(String(n), `Rate ${n} of 5`, { rating: n }, stars)));
  const copy = element("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    await navigator.clipboard?.writeText(given.text).catch(() => {});
    report({ copied: true });
  });
  const again = element("button", { type: "button" }, "Regenerate");
  again.addEventListener("click", async () => {
    if (running) return;
    again.disabled = true;
    if (!(await report({ regenerated: true }))) {
      again.disabled = false;
      return;
    }
    given.card.querySelectorAll("button").forEach((button) => { button.disabled = true; });
    messages = given.asked.slice();
    await answer();
  });
  const comment = editor("Comment", "What was good or bad about it?", "", "comment", report);
  const own = editor("Correct", "How should the answer read?", given.text, "correction", report);
  return [up, down, rating, copy, again, comment.open, own.open, said, comment.form, own.form];
}

function editor(label, hint, text, field, report) {
  const open = element("button", { type: "button", "aria-expanded": "false" }, label);
  const area = element("textarea", { "aria-label": hint, placeholder: hint, rows: 4 });
  const keep = element("button", { type: "submit", class: "first" }, "Keep");
  const form = element("form", { hidden: true, class: "editor", "data-field": field },
    area, element("div", { class: "row" }, keep));
  open.addEventListener("click", () => {
    form.hidden = !form.hidden;
    open.setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden && !area.value) area.value = text;
    if (!form.hidden) area.focus();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (!area.value.trim() || (field === "correction" && area.value === text)) return;
    if (await report({ [field]: area.value })) {
      form.hidden = true;
      open.setAttribute("aria-expanded", "false");
      open.setAttribute("aria-pressed", "true");
    }
  });
  return { open, form };
}

function busy(yes) {
  at("send").hidden = yes;
  at("stop").hidden = !yes;
}

at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = at("prompt").value.trim();
  if (!text || running) return;
  at("prompt").value = "";
  send(text);
});
at("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  at("form").requestSubmit();
});
at("stop").addEventListener("click", () => running?.abort.abort());
at("new").addEventListener("click", startOver);
at("model").addEventListener("change", startOver);
keyField(at("key"), loadModels);
loadModels();
