// What has to be answered before sending: several patients, or another one than the sender meant.

import { fits, patientsOf } from "./grouping.js";
import { h, notice, person, t, tn } from "./words.js";

// {notices: elements, open: names of questions without an answer}
export function checksOf({ studies, attachments, state, typed, changed }) {
  const notices = [], open = [], patients = [...patientsOf(studies)];
  if (patients.length > 1) {
    if (!state.answer) open.push("patients");
    notices.push(severalPatients(patients, attachments, state, changed));
  } else state.answer = "";
  const others = typed ? patients.filter(([, own]) => !own.some((study) => fits(typed, study.patient))) : [];
  if (others.length) {
    const who = others.map(([, own]) => person(own[0].patient.name)).join("; "), question = `${typed}\n${who}`;
    if (state.anyway !== question) open.push("typed");
    const box = h("input", { type: "checkbox", onchange: (event) => { state.anyway = event.target.checked ? question : ""; changed(); } });
    box.checked = state.anyway === question;
    notices.push(notice("stop", h("span", {}, h("b", {}, t("This seems to be somebody else.")), ` ${t("You wrote “%(typed)s”, the images say “%(who)s”.", { typed, who })}`),
      h("label", { class: "tick" }, box, h("span", {}, t("I have checked: it is the right patient")))));
  }
  return { notices, open };
}

function severalPatients(patients, attachments, state, changed) {
  const choose = (answer) => () => { state.answer = answer; changed(); };
  const button = (answer, text) => h("button", { type: "button", class: state.answer === answer ? "btn go" : "btn", "aria-pressed": String(state.answer === answer), onclick: choose(answer) }, text);
  const names = patients.map(([key, own]) => [key, person(own[0].patient.name) || t("No name in the images")]);
  const documents = state.answer === "split" && attachments.length ? h("label", {}, t("The documents belong to"), h("select", { onchange: (event) => { state.documentsFor = event.target.value; } },
    ...names.map(([key, name]) => h("option", { value: key, selected: key === state.documentsFor }, name)))) : null;
  return notice(state.answer ? "wait" : "stop",
    h("span", {}, h("b", {}, tn("%(num)s patient.", "%(num)s different patients.", patients.length)), ` ${t("Untick the studies you do not mean, or say how to send them.")}`),
    h("span", { class: "row" }, button("split", tn("Send %(num)s submission", "Send %(num)s separate submissions", patients.length)), button("same", t("It is the same person"))),
    documents);
}
