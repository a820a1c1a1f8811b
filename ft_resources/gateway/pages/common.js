// What both pages share: the key, calls to the gateway, and building elements.
// The key lives in this tab (sessionStorage) and goes to this gateway alone.

const KEY = "ft-key";

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (attribute.startsWith("on")) made.addEventListener(attribute.slice(2), value);
    else if (value === true) made.setAttribute(attribute, "");
    else if (value !== false && value !== null) made.setAttribute(attribute, value);
  }
  // Strings become text nodes: what a model or a person wrote is never read as markup.
  made.append(...children);
  return made;
}

export function headers() {
  const key = sessionStorage.getItem(KEY);
  return { "Content-Type": "application/json", ...(key ? { Authorization: `Bearer ${key}` } : {}) };
}

export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export async function call(method, path, body, extra = {}) {
  const sent = { method, headers: headers(), ...extra };
  if (body !== undefined) sent.body = JSON.stringify(body);
  let reply;
  try {
    reply = await fetch(path, sent);
  } catch (failed) {
    if (failed.name === "AbortError") throw failed;
    throw new Refused(0, "The gateway does not answer. Is it running?");
  }
  if (reply.ok) return reply;
  let said = `The gateway refused (${reply.status}).`;
  try {
    said = (await reply.json()).error.message;
  } catch {
    // not of the gateway: the status is all there is
  }
  throw new Refused(reply.status, said);
}

// Of several answers to one question, the one asked for last counts: `const stale = asked()` before
// a call, and after it `stale()` says whether the question was put again meanwhile.
export function inTurn() {
  let last = 0;
  return () => {
    const mine = ++last;
    return () => mine !== last;
  };
}

export function keyField(input, changed) {
  input.value = sessionStorage.getItem(KEY) ?? "";
  input.addEventListener("change", () => {
    const key = input.value.trim();
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
    changed();
  });
}

export function teller(place) {
  return (text, kind = "") => {
    place.textContent = text;
    place.className = `told ${kind}`;
  };
}

export function askForKey(error, input, tell) {
  tell(error.message, "bad");
  if (error.status === 401 || error.status === 403) input.focus();
}
