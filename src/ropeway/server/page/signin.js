// The question for the token, where the server wants one and this tab has none.

import { el } from "./dom.js";

export function signInForm(why, given) {
  const field = el("input", { id: "token", type: "password", required: true, autocomplete: "current-password", spellcheck: "false" });
  const form = el(
    "form",
    {
      class: "signin",
      onsubmit: (event) => {
        event.preventDefault();
        given(field.value.trim());
      },
    },
    el("h1", {}, "Sign in"),
    why ? el("p", { class: "error", role: "alert" }, why) : null,
    el("label", { for: "token" }, "Token"),
    field,
    el("button", {}, "Sign in"),
    el("p", {}, "The server has said it at its first start, and keeps it in a file: ", el("code", {}, "cat ~/.local/state/ropeway/server-token")),
    el("p", { class: "soft" }, "It stays in this tab and is forgotten when the tab is closed."),
  );
  return el("section", {}, form);
}
