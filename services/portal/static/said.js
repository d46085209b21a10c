// What the server says by a code, in the reader's language; as the server says it where there are no words.

const language = document.documentElement.lang || "en";
const catalogue = JSON.parse(document.getElementById("texts")?.textContent || "{}");
const shown = (name, value) => (typeof value === "number" ? value.toLocaleString(language) : catalogue[`name:${name}:${value}`] ?? value);

export function said({ code, text, values = {}, because = [] }) {
  const form = catalogue[`said:${code}`];
  if (form === undefined) return text;
  const filled = { ...values, because: because.map(said).join("; ") };
  return form.replace(/%\((\w+)\)s/g, (_, name) => shown(name, filled[name] ?? ""));
}

export const named = (name) => catalogue[`name:${name}`] ?? name;

// Why something was refused, by its code.
export const refused = ({ code, error }) => catalogue[`refusal:${code}`] ?? error;
