// Remembers in this browser which choice of files was being sent as which submission: a hash and an id,
// nothing else.

const PLACE = "anteroom-sending", MOST = 50;

function all() {
  try { return JSON.parse(localStorage.getItem(PLACE)) ?? {}; } catch { return {}; }
}

function keep(known) {
  try { localStorage.setItem(PLACE, JSON.stringify(Object.fromEntries(Object.entries(known).slice(-MOST)))); } catch { /* the server knows too */ }
}

export function begun(name) {
  return all()[name] ?? null;
}

export function remember(name, id) {
  keep({ ...all(), [name]: id });
}

export function forget(name) {
  const { [name]: _, ...others } = all();
  keep(others);
}
