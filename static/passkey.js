// Passkeys: the button of a form asks the browser for one, and the form sends what the browser says. Without scripts,
// or in a browser that knows no passkeys, these forms are not there.
"use strict";
{
  const RENEWED = 4 * 60 * 1000; // an offer in the field is made anew before its challenge is too old
  const TOLD = { AbortError: "cancelled", InvalidStateError: "known", NotAllowedError: "cancelled" };
  const KEPT = "passkey-given";
  const can = typeof PublicKeyCredential === "function" && typeof navigator.credentials === "object";
  let waiting;
  let again;

  class Refused extends Error {}

  const bytes = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-")
      .replaceAll("/", "_")
      .replaceAll("=", "");

  const named = (passkeys) => passkeys.map((one) => ({ ...one, id: bytes(one.id) }));

  const options = async (form, signal) => {
    const body = new URLSearchParams({ csrf_token: form.elements.csrf_token.value });
    const headers = { Accept: "application/json" };
    const answer = await fetch(form.dataset.options, { method: "POST", body, headers, signal });
    if (!answer.ok) throw new Refused();
    const found = await answer.json();
    found.challenge = bytes(found.challenge);
    if (found.user) found.user.id = bytes(found.user.id);
    for (const list of ["allowCredentials", "excludeCredentials"]) if (found[list]) found[list] = named(found[list]);
    return found;
  };

  const said = (credential) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (credential.response[name]) response[name] = text(credential.response[name]);
    }
    if (credential.response.getTransports) response.transports = credential.response.getTransports();
    return JSON.stringify({ id: credential.id, rawId: text(credential.rawId), type: credential.type, response });
  };

  const ask = async (form, more) => {
    const publicKey = await options(form, more.signal);
    const wanted = { publicKey, ...more };
    const credential = await (form.dataset.passkey === "create"
      ? navigator.credentials.create(wanted)
      : navigator.credentials.get(wanted));
    form.elements.credential.value = said(credential);
    sessionStorage.setItem(KEPT, credential.id);
    form.submit();
  };

  const stop = () => {
    clearTimeout(again);
    waiting?.abort();
    waiting = undefined;
  };

  // Passkeys among what the browser fills in; whoever types a name never notices.
  const offer = async () => {
    const form = document.querySelector("form[data-autofill]");
    if (!form || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
    stop();
    const mine = new AbortController();
    waiting = mine;
    again = setTimeout(offer, RENEWED);
    try {
      await ask(form, { mediation: "conditional", signal: mine.signal });
    } catch {
      if (waiting === mine) stop();
    }
  };

  const press = async (event) => {
    event.preventDefault();
    const form = event.target;
    const told = form.querySelector("[role=status]");
    if (form.getAttribute("aria-busy")) return;
    stop();
    form.setAttribute("aria-busy", "true");
    told.textContent = "";
    try {
      await ask(form, {});
    } catch (error) {
      if (error instanceof Refused) {
        form.submit(); // the page that comes says what is the matter
        return;
      }
      told.textContent = form.dataset[TOLD[error.name] ?? "failed"];
      form.removeAttribute("aria-busy");
      offer();
    }
  };

  // Whoever keeps the passkeys hears which of them are good (Web Authentication §5.1.10), where the browser can tell.
  const tell = async (method, what) => {
    try {
      await PublicKeyCredential[method]?.(what);
    } catch {
      // nobody listens
    }
  };

  // A comfort for whoever types a password: they may be offered a passkey for the next time, if this device makes them.
  const sayPossible = async () => {
    const field = document.querySelector("input[data-passkey-possible]");
    const asking = field && PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable?.().catch(() => false);
    if (await asking) field.value = "yes";
  };

  const keepInOrder = async () => {
    const unknown = document.querySelector("[data-passkey-unknown]");
    const given = sessionStorage.getItem(KEPT);
    sessionStorage.removeItem(KEPT);
    if (unknown && given) {
      await tell("signalUnknownCredential", { rpId: location.hostname, credentialId: given });
    }
    const accepted = document.querySelector("[data-passkeys-accepted]");
    if (accepted) {
      const { rpId, userId, name, displayName, allAcceptedCredentialIds } = JSON.parse(
        accepted.dataset.passkeysAccepted,
      );
      await tell("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds });
      await tell("signalCurrentUserDetails", { rpId, userId, name, displayName });
    }
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.hidden = !can;
    form.addEventListener("submit", press);
  }
  for (const instead of document.querySelectorAll("[data-passkey-cannot]")) instead.hidden = can;
  if (can) {
    sayPossible();
    keepInOrder();
    offer();
    addEventListener("pageshow", ({ persisted }) => {
      if (!persisted) return; // somebody came back to this page
      for (const form of document.querySelectorAll("form[aria-busy]")) form.removeAttribute("aria-busy");
      offer();
    });
  }
}
