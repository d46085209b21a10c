// What a file is, by its first bytes; its name only tells apart what looks alike.

import { looksLikeDicom } from "./dicom.js";

const SIGNATURES = [
  ["25504446", "pdf"], ["ffd8ff", "photo"], ["89504e47", "photo"], ["47494638", "photo"], ["49492a00", "photo"], ["4d4d002a", "photo"],
  ["7b5c727466", "text"], ["000001ba", "video"], ["000001b3", "video"], ["1a45dfa3", "video"], ["3026b275", "video"],
  ["4d5a", "program"], ["7f454c46", "program"], ["cafebabe", "program"], ["cffaedfe", "program"], ["4c000000011402", "program"],
  ["504b0304", "zip"], ["1f8b", "archive"], ["425a68", "archive"], ["fd377a585a", "archive"], ["377abcaf", "archive"], ["52617221", "archive"],
];
const HELPERS = new Set(["inf", "ini", "dll", "exe", "bat", "cmd", "com", "msi", "cab", "jar", "class", "js", "css", "htm", "html", "ico", "lnk", "sys",
  "ocx", "vbs", "app", "so", "dylib", "dat", "cfg", "conf", "config", "properties", "log", "manifest", "chm", "hlp", "ttf", "wav", "db", "xsl", "xslt", "dtd", "lut", "url", "plist"]);
const WORTH = new Set(["pdf", "photo", "video", "text", "cda", "office", "zip", "archive", "disc"]);

// dicom, zip, archive, disc; pdf, photo, video, cda, office, text; program, helper, empty, unknown.
export function kindOf(bytes, path, size) {
  if (size === 0) return "empty";
  if (looksLikeDicom(bytes)) return "dicom";
  const hex = [...bytes.subarray(0, 12)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const extension = path.slice(path.lastIndexOf(".") + 1).toLowerCase();
  const signed = SIGNATURES.find(([start]) => hex.startsWith(start))?.[1];
  if (signed === "zip") return /^(docx|xlsx|pptx|odt)$/.test(extension) ? "office" : extension === "jar" ? "program" : "zip";
  if (signed) return signed;
  const box = String.fromCharCode(...bytes.subarray(4, 12)), riff = String.fromCharCode(...bytes.subarray(0, 12));
  if (/^ftyp(heic|heix|mif1|avif|msf1)/.test(box)) return "photo";
  if (/^(ftyp|moov|mdat)/.test(box)) return "video";
  if (/^RIFF....WEBP/s.test(riff)) return "photo";
  if (/^RIFF....AVI /s.test(riff)) return "video";
  const text = new TextDecoder().decode(bytes.subarray(0, 4096));
  if (/<(\w+:)?ClinicalDocument[\s>]/.test(text)) return "cda";
  if (HELPERS.has(extension) || /(^|\/)(autorun|thumbs\.db|desktop\.ini|\.ds_store|readme|license)/i.test(path)) return "helper";
  if (extension === "iso" || extension === "img") return "disc";
  if (extension === "txt" && !text.includes("\0")) return "text";
  return "unknown";
}

// Of what is no image and no archive: which goes along, which is left out. What lies in a folder with
// programs belongs to a disc's viewer, as does everything but reports on a disc that starts programs.
export function sortRest(files, withImages) {
  const programs = new Set();
  for (const { kind, source } of files) if (kind === "program") programs.add(folderOf(source.path));
  const beside = (path) => {
    for (let folder = folderOf(path); ; folder = folderOf(folder)) {
      if (programs.has(folder)) return true;
      if (folder === "" || !folder.includes("/")) return programs.has(folder);
    }
  };
  return files.map((file) => {
    return { ...file, goes: file.kind === "dicom-other" || (WORTH.has(file.kind) && !(withImages && ofViewer(file, beside))) };
  });
}

// A report may lie at the top of a disc, beside what starts its viewer.
function ofViewer({ kind, source }, beside) {
  if (kind === "text") return true;
  const report = kind === "pdf" || kind === "cda";
  return beside(source.path) && !(report && source.path.split("/").length <= 2);
}

function folderOf(path) {
  return path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";
}
