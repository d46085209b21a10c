// Patients, studies and series out of what was read of the files. Pure.

export function emptyFound() {
  return { files: 0, bytes: 0, studies: new Map(), rest: [], directories: [], unreadable: 0 };
}

export function add(found, source, result) {
  found.files++;
  source.mark = result.instance || String(source.file?.lastModified ?? "");
  found.bytes += source.size;
  if (result.kind === "directory") found.directories.push({ source, lists: result.lists });
  else if (result.kind === "unreadable") { found.unreadable++; found.rest.push({ source, kind: "unreadable" }); }
  else if (result.kind === "dicom") addImage(found, source, result);
  else found.rest.push({ source, kind: result.kind });
}

function addImage(found, source, image) {
  const key = `${patientKey(image.patient)}\n${image.study.uid}`;
  let study = found.studies.get(key);
  if (!study) {
    study = { key, uid: image.study.uid, date: image.study.date, text: image.study.text, patient: image.patient, series: new Map(), images: 0, bytes: 0, chosen: true };
    found.studies.set(key, study);
  }
  let series = study.series.get(image.series.uid);
  if (!series) {
    series = { ...image.series, images: [] };
    study.series.set(image.series.uid, series);
  }
  series.images.push({ source, number: image.number });
  study.images++;
  study.bytes += source.size;
}

const LETTERS = { ø: "o", ð: "d", đ: "d", ł: "l", ß: "ss", æ: "ae", œ: "oe", þ: "th", ı: "i" };

// Without case and accents: Ødegård and ODEGARD are the same.
function plain(text) {
  return text.toLowerCase().normalize("NFD").replace(/\p{M}/gu, "").replace(/[øðđłßæœþı]/g, (letter) => LETTERS[letter]);
}

// Written differently, the same person: case, accents, commas and spaces of the name do not count.
export function patientKey({ name, birth, id }) {
  const words = plain(name.split("=")[0]).replace(/[\s^,.]+/g, " ").trim();
  return words || birth ? `${words}|${birth}` : `id|${id}`;
}

export function patientsOf(studies) {
  const found = new Map();
  for (const study of studies) {
    const key = patientKey(study.patient);
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(study);
  }
  return found;
}

// The files of a study as they are looked at: series by number, images by theirs.
export function inOrder(study) {
  const series = [...study.series.values()].sort((a, b) => (a.number ?? 1e9) - (b.number ?? 1e9));
  return series.flatMap((one) => one.images.sort((a, b) => a.number - b.number).map((image) => image.source));
}

export function middle(series) {
  const sorted = series.images.toSorted((a, b) => a.number - b.number);
  return sorted[Math.floor(sorted.length / 2)].source;
}

// How many images a disc's index lists, and how many of them are here.
export function indexCheck(found) {
  let lists = 0, here = 0;
  const paths = new Set();
  for (const study of found.studies.values()) for (const series of study.series.values()) for (const image of series.images) paths.add(image.source.path.toLowerCase());
  for (const { source, lists: listed } of found.directories) {
    const folder = source.path.includes("/") ? `${source.path.slice(0, source.path.lastIndexOf("/"))}/` : "";
    for (const file of listed) {
      lists++;
      const path = (folder + file).toLowerCase();
      if (paths.has(path) || paths.has(`${path}.dcm`)) here++;
    }
  }
  return { lists, here };
}

// Whether what the sender typed ("Morgan", "Alexandra Morgan 14.3.1962") can be this patient.
export function fits(typed, { name, birth, id }) {
  const known = wordsOf(`${name} ${id}`);
  const dates = [birth, birth.slice(0, 4), birth.slice(4, 6), birth.slice(6, 8), birth.slice(4, 6).replace(/^0/, ""), birth.slice(6, 8).replace(/^0/, "")];
  return wordsOf(typed).every((word) => {
    if (/^\d+$/.test(word)) return dates.includes(word) || known.includes(word);
    if (word.length < 3 || MONTHS.test(word)) return true;
    return known.some((one) => alike(one, word));
  });
}

const MONTHS = /^(jan|feb|mar|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)/;

// Müller, Muller and Mueller; a first name and its beginning.
function alike(a, b) {
  const [short, long] = [a, b].map((word) => word.replace(/([aou])e/g, "$1"));
  return a.startsWith(b) || b.startsWith(a) || short === long;
}

function wordsOf(text) {
  return plain(text).match(/[\p{L}\p{N}]+/gu) ?? [];
}
