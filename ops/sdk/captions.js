// What both sides said, as it is said. Of a sentence that was cut off, only the words that were played stay.

export const CAPTIONS_MAX = 200;

const NAMES = { user: "You", persona: null };

export class Captions {
  #list;
  #items = new Map();
  #personaName;

  constructor(list, personaName) {
    this.#list = list;
    this.#personaName = personaName;
  }

  // A caption with a known id replaces the earlier text, so that partial recognition becomes final.
  show({ role, id, text, final }) {
    if (!(role in NAMES) || typeof text !== "string") return;
    const following = this.#following();
    const item = this.#items.get(`${role}-${id}`) ?? this.#add(role, id);
    // A sentence that was interrupted keeps the words that were played, whatever arrives late.
    if ("interrupted" in item.dataset) return;
    item.querySelector(".said").textContent = text;
    item.toggleAttribute("data-partial", !final);
    this.#follow(following);
  }

  interrupt({ id, played_text: played }) {
    const item = this.#items.get(`persona-${id}`);
    if (!item) return;
    if (!played) {
      this.#items.delete(`persona-${id}`);
      item.remove();
      return;
    }
    item.querySelector(".said").textContent = played;
    item.removeAttribute("data-partial");
    item.dataset.interrupted = "";
    const mark = document.createElement("span");
    mark.className = "cut";
    mark.textContent = "interrupted";
    item.append(" ", mark);
  }

  #add(role, id) {
    const item = document.createElement("li");
    item.dataset.role = role;
    const who = document.createElement("span");
    who.className = "who";
    who.textContent = NAMES[role] ?? this.#personaName();
    const said = document.createElement("span");
    said.className = "said";
    item.append(who, " ", said);
    this.#items.set(`${role}-${id}`, item);
    this.#list.append(item);
    if (this.#items.size > CAPTIONS_MAX) this.#dropOldest();
    return item;
  }

  #dropOldest() {
    const [key, item] = this.#items.entries().next().value;
    this.#items.delete(key);
    item.remove();
  }

  // Whoever has scrolled up to read is not pulled down again.
  #following() {
    return this.#list.scrollHeight - this.#list.scrollTop - this.#list.clientHeight < 48;
  }

  #follow(following) {
    if (following) this.#list.scrollTop = this.#list.scrollHeight;
  }
}
