// The conversation as the log holds it, folded from its events: what was said, and of the persona only what
// was played.

export function foldTranscript(events) {
  const lines = [];
  const bySentence = new Map();
  for (const { type, payload, occurred_at: at } of events) {
    if (type === "utterance.transcribed") {
      lines.push({ role: "user", at, said: payload.text, unsaid: "", typed: payload.source === "text" });
    } else if (type === "text.injected") {
      lines.push({ role: "injected", at, said: payload.text, unsaid: "" });
    } else if (type === "sentence.committed") {
      const line = { role: "persona", at, text: payload.text, said: "", unsaid: payload.text, pending: true };
      bySentence.set(payload.sentence_id, line);
      lines.push(line);
    } else if (type === "sentence.played" || type === "sentence.interrupted") {
      settle(bySentence.get(payload.sentence_id), type === "sentence.played" ? null : payload.played_text);
    }
  }
  return joinTurns(lines);
}

// `played` is null where the whole sentence was played.
function settle(line, played) {
  if (!line?.pending) return;
  line.pending = false;
  line.said = played ?? line.text;
  line.unsaid = line.text.startsWith(line.said) ? line.text.slice(line.said.length).trim() : "";
  line.interrupted = played !== null;
}

function joinTurns(lines) {
  const turns = [];
  for (const line of lines) {
    if (turns.at(-1)?.role !== line.role) turns.push({ role: line.role, at: line.at, lines: [] });
    turns.at(-1).lines.push(line);
  }
  return turns;
}

export function duration(startedAt, endedAt) {
  const seconds = Math.max(0, Math.round((Date.parse(endedAt) - Date.parse(startedAt)) / 1000));
  const [minutes, rest] = [Math.floor(seconds / 60), seconds % 60];
  return minutes ? `${minutes} min ${rest} s` : `${rest} s`;
}
