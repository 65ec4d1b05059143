// Passkeys: a form marked data-passkey asks the device for one and sends what it says.

const isAddress = /^[\d.]+$|^\[/.test(location.hostname);
// A passkey belongs to a host's name; where the page has only an address there is none.
const hasPasskeys = Boolean(window.PublicKeyCredential?.parseRequestOptionsFromJSON) && !isAddress;

const ask = {
  create: (options) => navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) }),
  get: (options) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) }),
};

function prepare(form) {
  const { publicKey } = JSON.parse(document.getElementById("passkey-options").textContent);
  const failed = form.querySelector("[data-passkey-failed]");
  const button = form.querySelector("button[type=submit]");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    failed.hidden = true;
    try {
      const credential = await ask[form.dataset.passkey](publicKey);
      form.elements.credential.value = JSON.stringify(credential);
      form.submit();
    } catch {
      button.disabled = false;
      failed.hidden = false;
    }
  });
  form.hidden = false;
}

if (hasPasskeys) document.querySelectorAll("form[data-passkey]").forEach(prepare);
document.querySelectorAll("[data-no-passkeys]").forEach((note) => (note.hidden = hasPasskeys));
