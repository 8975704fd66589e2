// Whether a pointer is pressed: who draws anew before it is let go takes the pressed element away, and its click with it.

// A click follows the release: of a mouse at once, of a finger a little later.
const CLICK_MS = 100;

let pressed = false;
let timer = null;
let waiting = [];

function free() {
  clearTimeout(timer);
  pressed = false;
  const all = waiting;
  waiting = [];
  all.forEach((go) => go());
}

const on = (name, heard) => document.addEventListener(name, heard, { capture: true, passive: true });
on('pointerdown', () => { clearTimeout(timer); pressed = true; });
on('pointerup', () => { clearTimeout(timer); timer = setTimeout(free, CLICK_MS); });
on('pointercancel', free);
// Menus and other windows keep the release to themselves.
on('contextmenu', free);
window.addEventListener('blur', free);
on('pointermove', (event) => { if (pressed && !event.buttons) free(); });

// Waits until nothing is pressed.
export async function let_go() {
  while (pressed) await new Promise((go) => waiting.push(go));
}
