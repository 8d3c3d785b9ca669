// The review by keyboard, the next item loaded ahead, holds renewed, edits shown word by word. Every form works without this.
"use strict";
(() => {
  const $ = (query, from = document) => from.querySelector(query);
  const $$ = (query, from = document) => [...from.querySelectorAll(query)];

  // Airflow keeps its own light/dark switch; inside its frame we follow it.
  const theme = localStorage.getItem("theme") || localStorage.getItem("chakra-ui-color-mode");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;

  const RENEW_MS = 60_000;
  let ahead = null; // {url, page}: the next item's page, loaded while this one is read
  let renewing = 0;

  function say(id, words) {
    const line = document.getElementById(id);
    if (!line) return;
    line.textContent = words ? words[0].toUpperCase() + words.slice(1) + (/[.!?]$/.test(words) ? "" : ".") : "";
    line.hidden = !words;
  }

  async function post(url, data) {
    const answer = await fetch(url, { method: "POST", body: new URLSearchParams(data), headers: { accept: "application/json" } });
    const json = (answer.headers.get("content-type") || "").includes("application/json");
    const told = json ? await answer.json() : { error: answer.status === 401 ? "You are not logged in any more. Log in again; what you wrote is still here." : `The server answered ${answer.status}.` };
    if (!answer.ok) throw new Error(told.error || told.detail || `The server answered ${answer.status}.`);
    return told;
  }

  function loadAhead() {
    const item = $("[data-coming]");
    ahead = null;
    if (!item) return;
    const url = item.dataset.coming;
    ahead = { url, page: fetch(`${url}?ahead=true`).then((answer) => (answer.ok ? answer.text() : null)).catch(() => null) };
  }

  function hold() {
    clearInterval(renewing);
    const item = $("[data-hold]");
    if (!item) return;
    const renew = () => post(item.dataset.hold, { item_id: item.dataset.item }).then(
      (told) => { if (told.holder) say("error", `${told.holder} has this item open too.`); }, () => {});
    renew();
    renewing = setInterval(() => { if (!document.hidden) renew(); }, RENEW_MS);
  }

  // Only the main part is put in; a page's scripts never run this way.
  function show(text, url, said) {
    const page = new DOMParser().parseFromString(text, "text/html");
    const main = $("#main", page);
    if (!main) return false;
    $("#main").replaceWith(document.importNode(main, true));
    document.title = page.title;
    history.pushState(null, "", url);
    say("said", said);
    scrollTo(0, 0);
    begin();
    return true;
  }

  async function decide(form, button) {
    const data = new FormData(form);
    if (button && button.name) data.append(button.name, button.value);
    const buttons = $$("button");
    buttons.forEach((one) => { one.disabled = true; });
    say("error", "");
    try {
      const told = await post(form.action, data);
      const base = form.action.replace(/\/decide$/, "");
      const url = told.next ? `${base}/item/${told.next}` : `${base}?said=${encodeURIComponent(`${told.said}. Nothing is left to decide here`)}`;
      const loaded = told.next && ahead && new URL(ahead.url, location.href).href === new URL(url, location.href).href ? await ahead.page : null;
      if (!loaded || !show(loaded, url, told.said)) location.assign(told.next ? `${url}?said=${encodeURIComponent(told.said)}` : url);
      else {
        // The page was loaded before this decision was made: what it says of all of them is put right.
        if ($("#left")) $("#left").textContent = `${told.left} left to decide`;
        if ($("#done")) $("#done").value = $("#done").max - told.left;
        if ($("#undo-last")) $("#undo-last").hidden = false;
      }
    } catch (error) {
      say("error", error.message);
      buttons.forEach((one) => { one.disabled = false; });
      $("#error")?.scrollIntoView({ block: "nearest" });
    }
  }

  function difference(area) {
    const line = area.closest("label").nextElementSibling;
    let waiting = 0;
    area.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(async () => {
        const parts = await post(area.dataset.difference, { before: area.defaultValue, after: area.value }).catch(() => []);
        line.replaceChildren(...(parts.some(([kind]) => kind !== "same") ? parts : []).map(([kind, text]) => {
          if (kind === "same") return document.createTextNode(text);
          const mark = document.createElement(kind === "gone" ? "del" : "ins");
          mark.textContent = text;
          return mark;
        }));
      }, 250);
    });
  }

  function begin() {
    if (document.documentElement.dataset.theme) {
      $$("picture source").forEach((source) => { source.media = theme === "dark" ? "all" : "not all"; });
    }
    $$("textarea[data-difference]").forEach(difference);
    $$("[data-choose]").forEach((button) => {
      button.hidden = false;
      button.addEventListener("click", () => $$("input[name=chosen]").forEach((box) => { box.checked = true; }));
    });
    if ($("article.one")) {
      hold();
      loadAhead();
    }
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!form.matches("article.one form.decide")) return;
    event.preventDefault();
    decide(form, event.submitter);
  });

  document.addEventListener("toggle", (event) => {
    if (event.target.open && event.target.matches("details.edit, details.rework")) $("textarea, select", event.target)?.focus();
  }, true);

  document.addEventListener("keydown", (event) => {
    const writing = event.target.matches?.("textarea, input:not([type=checkbox]), select");
    if (writing && event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      const form = event.target.closest("form");
      form?.requestSubmit($("button[name=decision]", form));
      return;
    }
    if (event.key === "Escape") {
      const open = event.target.closest?.("details[open]") || $("article.one details[open]");
      if (open) { open.open = false; $("summary", open).focus(); }
      return;
    }
    if (writing || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    if (event.key === "?") { $("#keys")?.showModal(); return; }
    const target = $(`[data-key="${CSS.escape(event.key)}"]`);
    if (!target || target.disabled || target.closest("[hidden]")) return;
    event.preventDefault();
    const box = target.matches("summary") ? target.parentElement : null;
    if (!box) { target.click(); return; }
    box.open = true;
    $("textarea, select", box)?.focus(); // at once: the next key is the first of what is written
  });

  window.addEventListener("popstate", () => location.reload());
  begin();
})();
