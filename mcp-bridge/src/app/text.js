// Text, as it is shown: nothing that somebody else wrote gets onto the page in another way.

function visible(text, lines) {
  return String(text ?? "").slice(0, lines ? MAX_SHOWN : MAX_TEXT).replace(HIDDEN, (c) => {
    if (lines && (c === "\n" || c === "\t")) return c;
    if (c === "\r") return "\\r";
    const code = c.codePointAt(0);
    return code < 256 ? "\\x" + code.toString(16).padStart(2, "0") : "\\u{" + code.toString(16) + "}";
  });
}

// The only way in which text gets onto the page.
function put(node, text, lines) {
  const shown = visible(text, lines);
  if (node.textContent !== shown) node.textContent = shown;
  return node;
}

function make(tag, classes, text) {
  const node = document.createElement(tag);
  if (classes) node.className = classes;
  if (text !== undefined) put(node, text);
  return node;
}

const number = (value) => (Number.isFinite(value) ? value : 0);
const plural = (n, one, many) => (n === 1 ? "1 " + one : n + " " + many);

function time(ms) {
  if (!Number.isFinite(ms)) return "";
  if (ms < 1000) return ms + " ms";
  if (ms < 60000) return (ms / 1000).toFixed(1) + " s";
  const seconds = Math.round(ms / 1000);
  return Math.floor(seconds / 60) + " m " + String(seconds % 60).padStart(2, "0") + " s";
}

function size(bytes) {
  if (bytes < 1000) return bytes + " B";
  if (bytes < 1e6) return (bytes / 1e3).toFixed(1) + " kB";
  return (bytes / 1e6).toFixed(1) + " MB";
}

function clock(when) {
  const date = new Date(when);
  if (Number.isNaN(date.getTime())) return "";
  const { locale, timeZone } = state.context;
  try {
    return new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", timeZone }).format(date);
  } catch {
    return date.toISOString();
  }
}

function words(code) {
  const text = String(code ?? "").toLowerCase().replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}

const kindOf = (word) => (Object.hasOwn(KIND_OF, word) ? KIND_OF[word] : "open");
const glyphOf = (kind) => KINDS.find((k) => k.name === kind).glyph;

function pill(word) {
  const node = make("span", "pill " + kindOf(word));
  const glyph = make("i", "", glyphOf(kindOf(word)));
  glyph.setAttribute("aria-hidden", "true");
  node.append(glyph, make("span", "", words(word)));
  return node;
}

function why(row) {
  if (row.signal) return "signal " + row.signal;
  if (row.reason) return words(row.reason).toLowerCase();
  return Number.isFinite(row.exit_code) && row.exit_code !== 0 ? "exit " + row.exit_code : "";
}
