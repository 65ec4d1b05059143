// What the library made for a pointer only is a button for the keyboard, too.

const POINTER_ONLY = [
  "a:not([href])[x-on\\:click]",
  "span[x-on\\:click]",
  "div.cursor-pointer[x-on\\:click]",
  "h2.cursor-pointer[x-on\\:click]",
].join(",");
const ICON = ".material-symbols-outlined";
const TOGGLE = /^\s*(\w+) = (?:!\1|true)\b/;

/** Give an element that shows only an icon a name. */
function name(element) {
  const copy = element.cloneNode(true);
  copy.querySelectorAll(ICON).forEach((icon) => icon.remove());
  if (!element.matches(ICON) && copy.textContent.trim()) return;
  const { labelMenu, labelShow } = document.body.dataset;
  const shows = element.getAttribute("x-on:click")?.includes("showPassword");
  element.setAttribute("aria-label", shows ? labelShow : labelMenu);
}

/** Make an element a button; the framework, which has not read it yet, tells what it opened. */
function makeButton(element) {
  element.setAttribute("role", "button");
  element.setAttribute("tabindex", "0");
  element.toggleAttribute("data-keys", true);
  const opens = TOGGLE.exec(element.getAttribute("x-on:click"));
  if (opens) element.setAttribute("x-bind:aria-expanded", opens[1]);
  name(element);
}

document.addEventListener("alpine:init", () => {
  document.querySelectorAll(POINTER_ONLY).forEach(makeButton);
  document.querySelectorAll("a[href='#'][x-on\\:click]").forEach(name);
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" && event.key !== " ") return;
  if (!(event.target instanceof Element) || !event.target.matches("[data-keys]")) return;
  event.preventDefault();
  event.target.click();
});
