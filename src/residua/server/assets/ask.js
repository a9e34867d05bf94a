
"use strict";
// What all pages share: they ask this server alone. The token lives as long as the page.
const byId = id => document.getElementById(id);
const number = n => n.toLocaleString("en"), count = (n, noun) => `${number(n)} ${noun}${n === 1 ? "" : "s"}`;
const significant = (value, digits = 4) => (value ?? null) === null ? "none" : String(Number(value.toPrecision(digits)));
const scaleOf = pictures => `${significant(pictures.brightest, 2)} and more, ${pictures.one_scale_for_all ? "the same for every image" : "this image's own scale"}`;
let token = null;

function make(tag, text, attributes = {}) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  return node;
}

function say(text, isProblem = false) {
  byId("status").textContent = text;
  byId("status").classList.toggle("problem", isProblem);
}

function showNumbers(rows) {
  byId("numbers").replaceChildren(...Object.entries(rows).flatMap(([name, value]) => [make("dt", name), make("dd", value)]));
}

// A notice says what has changed since the server started, such as the threshold of its run.
async function ask(path, options = {}, gone = "Is it still running?") {
  const headers = {...options.headers, ...(token ? {authorization: `Bearer ${token}`} : {})};
  let response;
  try {
    response = await fetch(path, {...options, headers});
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error(`The server does not answer. ${gone}`);
  }
  const notice = response.headers.get("residua-notice");
  byId("notice").textContent = notice ?? "";
  byId("notice").hidden = !notice;
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({message: `The server answered ${response.status}.`}));
  if (response.status === 401) {
    byId("token-form").hidden = false;
    byId("token").focus();
    throw new Error(token ? "That is not the server's token." : "Give the server's token first.");
  }
  throw new Error(problem.message);
}

function onToken(again) {
  byId("token-form").addEventListener("submit", event => {
    event.preventDefault();
    token = byId("token").value;
    byId("token").value = "";
    byId("token-form").hidden = true;
    say("");
    again();
  });
}

