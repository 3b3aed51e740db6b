/** The review map: what the parts tell each other, and what each command does. */

import { Api } from "./api.js";
import { Attention } from "./attention.js";
import { Deciding } from "./deciding.js";
import { Desk } from "./desk.js";
import { askFilter, askTile, showHelp } from "./dialogs.js";
import { make, plural } from "./dom.js";
import { Frame } from "./frame.js";
import { History, isEmpty, Preferences, Unfinished } from "./keepsakes.js";
import { ImageryWatch } from "./imageryWatch.js";
import { Keyboard } from "./keyboard.js";
import { Keys } from "./keys.js";
import { FeatureLayers } from "./layers.js";
import { Notices } from "./notices.js";
import { Outbox } from "./outbox.js";
import { Panel } from "./panel.js";
import { Saving } from "./saving.js";
import { Shaping } from "./shaping.js";
import { Toolbar } from "./toolbar.js";
import { Undoing } from "./undoing.js";
import { View } from "./view.js";

const ACTIVE_MS = 30_000;
const SETTLE_MS = 350; // a second Enter so soon after a tile came was meant for the one before

const MOSTLY = 0.995; // a tile with fewer pixels than this share of it says so
const ALWAYS = ["help", "unsaved", "goTo", "filter", "back", "undo"]; // what needs no tile in sight

/** @typedef {import("./types.js").Feature} Feature */

/** @param {L.Map} map */
export async function createReview(map) {
  document.documentElement.classList.add("maploop");
  const frame = new Frame();
  await frame.styled();
  return new Review(map, frame);
}

export class Review {
  constructor(map, frame) {
    this.map = map;
    this.frame = frame;
    this.configuration = null;
  }

  /** A configuration from the page (docs/review-map.md). */
  load(configuration) {
    const { token, tileToken, tokenExpiresIn, tile, order, randomShare, filter, audit, ...house } = configuration;
    const [identity, options] = [JSON.stringify(house), JSON.stringify({ order, randomShare, filter, audit })];
    const before = this.known;
    this.known = { identity, options, tile };
    if (!before) {
      this.#build(configuration);
      this.api.accept({ token, tileToken }, tokenExpiresIn);
      this.#start(tile);
      return;
    }
    if (before.identity !== identity) {
      this.outbox.settle().finally(() => window.location.reload()); // another project or person: a fresh frame
      return;
    }
    this.api.accept({ token, tileToken }, tokenExpiresIn);
    this.configuration = configuration;
    const isNewTile = tile !== null && tile !== before.tile && tile !== this.desk.tile?.address;
    if (before.options === options && !isNewTile) return;
    this.#useOptions();
    this.desk.giveBack();
    this.desk.open({ tile });
  }

  #build(configuration) {
    this.configuration = configuration;
    const { project, annotator, classes, addresses } = configuration;
    const owner = `${project}/${annotator}`;
    this.classes = new Map(classes.map((each) => [each.name, each]));
    this.progress = null;
    this.asked = new Set(); // what was asked about before the tile may be finished
    this.deciding = new Deciding(this);
    this.undoing = new Undoing(this);
    this.saving = new Saving(this);
    this.api = new Api(addresses, () => this.frame.askPage());
    this.outbox = new Outbox(this.api, owner, {
      changed: () => this.saving.changed(),
      stored: (items, answer) => this.saving.stored(items, answer),
      refused: (items) => this.saving.refused(items),
    });
    this.view = new View(this.map, addresses.tiles, () => this.api.tileToken);
    this.imagery = new ImageryWatch(this.view, { changed: () => this.#showImagery(), renewToken: () => this.api.freshen() });
    this.layers = new FeatureLayers(this.map, this.classes, (id) => this.#pick(id));
    this.panel = new Panel((name, detail) => this.run(name, detail));
    this.panel.card.setClasses(classes);
    this.toolbar = new Toolbar((name) => this.run(name), (isHidden) => this.#hide(isHidden));
    this.notices = new Notices();
    document.body.append(make("div", { class: "maploop-bottom" }, this.notices.element, this.toolbar.element));
    this.view.keepClearOf(this.panel.element, this.toolbar.element);
    this.shaping = new Shaping(this.map, this.layers, this.classes, {
      changed: () => this.update(),
      kept: (work, geometry) => this.deciding.shaped(work, geometry),
      say: (text) => this.notices.say(text, "warning"),
    }, new Unfinished(owner));
    this.preferences = new Preferences(owner);
    this.history = new History(owner);
    this.desk = new Desk(this.api, this.outbox, this.view, owner, {
      show: (tile, how) => this.#show(tile, how),
      cover: (content) => this.notices.cover(content),
      progress: (progress) => this.progressed(progress),
      say: (text) => this.notices.say(text, "warning"),
      isUnfinished: (tile) => this.shaping.unfinished.of(tile) !== null,
      ahead: (address) => this.frame.publish({ ahead: address }),
      visit: (page) => this.frame.visit(page),
      clearFilter: () => this.#choose({ filter: { class: null, minScore: null, maxScore: null, status: null } }),
    });
    this.attention = new Attention(() => this.#worked());
    this.lastActive = Date.now();
    // The focus stays with the map, so that the next Enter is not the button's that was clicked before.
    document.addEventListener("pointerdown", (event) => event.target.closest?.("button") && !event.target.closest("dialog") && event.preventDefault());
    this.keyboard = new Keyboard(this);
    this.keys = new Keys((key, event) => this.keyboard.pressed(key, event), (key) => ["h", "blur"].includes(key) && this.#hide(false));
    this.frame.guard(() => this.outbox.unsaved > 0, () => this.desk.giveBack({ all: true }));
    this.#useOptions();
  }

  async #start(tile) {
    this.saving.changed();
    this.notices.cover({ kind: "loading", title: "Opening a tile", text: "" });
    await this.outbox.start();
    await this.desk.open({ tile });
    this.frame.focus();
  }

  #useOptions() {
    const { randomShare, audit } = this.configuration;
    this.settings = this.preferences.for(this.configuration);
    this.desk.use({ ...this.settings, randomShare, audit });
  }

  get tile() {
    return this.desk.tile;
  }

  // Commands

  /** Do a command by name. @param {string} name @param {any} [detail] */
  run(name, detail) {
    const isCovered = !this.tile || this.notices.isCovering || this.undoing.isUnderWay;
    if (name === "done" && this.notices.proceed()) return;
    if (isCovered && !ALWAYS.includes(name)) return; // nobody decides about what cannot be seen
    this.#commands[name]?.(detail);
  }

  #commands = {
    accept: () => this.deciding.decide("accept"),
    reject: () => this.deciding.reject(),
    rejectWithReason: () => this.deciding.rejectWithReason(),
    unsure: () => this.deciding.decide("unsure"),
    class: (name) => this.deciding.setClass(name),
    edit: () => this.deciding.shape("edit"),
    move: () => this.deciding.shape("move"),
    redraw: () => this.deciding.shape("redraw"),
    add: () => this.shaping.begin("add", null),
    keep: () => this.shaping.keep(),
    drop: () => this.shaping.drop(),
    takeBack: () => this.shaping.takeBack(),
    undo: () => this.undoing.undo(),
    next: () => this.select(this.tile.neighbour(1)),
    previous: () => this.select(this.tile.neighbour(-1)),
    nextUndecided: () => this.select(this.tile.nextUndecided(1) ?? this.tile.neighbour(1)),
    previousUndecided: () => this.select(this.tile.nextUndecided(-1) ?? this.tile.neighbour(-1)),
    hide: () => this.#hide(true),
    close: () => this.toolbar.press("close", this.view.toggleClose(this.layers.boundsOf(this.tile.currentId))),
    stepping: () => this.#choose({ stepping: this.settings.stepping === "place" ? "uncertainty" : "place" }),
    done: () => this.#finish(),
    back: () => this.back(),
    skip: () => this.desk.skip(),
    goTo: () => askTile(this.tile?.address ?? "", (address) => this.desk.open({ tile: address })),
    filter: () => askFilter([...this.classes.values()], this.settings, (chosen) => this.#choose(chosen)),
    unsaved: () => this.saving.showUnsaved("What is not saved yet"),
    help: () => showHelp(),
  };

  back() {
    if (this.configuration.audit !== null) this.notices.say("A finished tile of a spot check stays as it was decided.");
    else this.desk.goBack();
  }

  #finish() {
    const { tile } = this;
    if (!tile.touched.size && performance.now() - this.shownAt < SETTLE_MS) return;
    const left = tile.undecided;
    if (left.length) {
      const outside = left.filter((feature) => !tile.isOfInterest(feature)).length;
      this.select(tile.nextUndecided());
      this.notices.say(`${left.length} still undecided${outside ? `, ${outside} of them outside the filter` : ""}: the tile is not done yet.`, "warning");
      return;
    }
    if (!tile.isFinished && this.#asksFirst(tile)) return;
    if (!tile.isFinished && tile.audit === null) this.history.pushFinished(tile.address);
    if (!tile.isFinished && this.progress && tile.audit === null) {
      this.progress.tiles.mine += 1;
      this.progress.tiles.finished += 1;
      this.progress.hour.tiles += 1;
    }
    this.desk.finish(Math.round((this.attention.seconds - this.tileSince) * 10) / 10);
  }

  /** What speaks against finishing the tile is asked about once. @returns {boolean} whether it was asked just now */
  #asksFirst(tile) {
    const { kind, text } = this.imagery.state;
    const doubts = { imagery: kind === "missing" ? `The imagery of this tile is not there: ${text}` : "", model: tile.isUnseenByModels && tile.audit === null ? "No model has looked at this tile." : "" };
    const unasked = Object.keys(doubts).filter((each) => doubts[each] && !this.asked.has(each));
    for (const each of unasked) this.asked.add(each);
    if (!unasked.length) return false;
    this.notices.say(`${unasked.map((each) => doubts[each]).join(" ")} Is it sure that nothing is missing here? Enter again finishes the tile.`, "warning");
    return true;
  }

  // Showing

  #showImagery() {
    const { kind, text } = this.imagery.state;
    this.frame.publish({ imagery: kind });
    this.view.expectChange();
    const share = this.tile?.deck.imagery?.share ?? 1;
    if (kind === "missing") {
      const actions = this.tile?.deck.imagery ? [{ label: "Try again", act: () => this.imagery.retry() }] : [];
      this.panel.showBanner({ kind: "imagery", text: `No imagery here: ${text}`, actions }, "imagery");
    } else if (share < MOSTLY) {
      this.panel.showBanner({ kind: "imagery", text: `${Math.round((1 - share) * 100)} % of this tile has no pixels: leave that ground alone.` }, "imagery");
    } else {
      this.panel.showBanner(null, "imagery");
    }
  }

  #show(tile, { isBack = false, isRefresh = false, message = "" }) {
    if (message) this.notices.say(message);
    if (tile === this.shown) return;
    this.shaping.leave();
    this.deciding.pendingReject = null;
    if (!isRefresh) this.notices.dismissQuestion();
    this.shown = tile;
    this.#hide(false);
    if (!tile) {
      this.layers.clear();
      this.view.clear();
    } else {
      if (!isRefresh) {
        this.view.show(tile.deck);
        this.tileSince = this.attention.seconds;
        this.shownAt = performance.now();
        this.asked = new Set();
      }
      this.layers.draw(tile.all, (feature) => tile.isOfInterest(feature));
      tile.currentId ??= isBack ? (this.history.lastFeatureOn(tile) ?? tile.nextOpen()) : tile.nextOpen();
      if (!tile.current) tile.currentId = null;
      this.frame.follow(tile.address, this.configuration.audit);
    }
    this.panel.showTile(tile, !isEmpty(this.settings.filter));
    this.imagery.watch(tile?.deck ?? null);
    if (!isRefresh) this.#bannerOf(tile); // a refusal that brought the refresh stays to be read
    this.select(tile?.currentId ?? null);
    const isUnfinished = this.shaping.show(tile);
    if (this.shaping.work?.feature) this.select(this.shaping.work.feature.id);
    if (isUnfinished && !isRefresh) this.notices.say("Here is the outline that you had not finished: Enter keeps it, Escape drops it.");
    else if (isBack) this.notices.say("The tile before. Backspace undoes what you did last; Enter finishes it.");
  }

  /** Somebody decides on a finished tile, or takes something back there: it is open until it is finished again. */
  reopened(tile) {
    if (tile.audit !== null || !tile.reopen()) return false;
    this.panel.showTile(tile, !isEmpty(this.settings.filter));
    if (this.progress) {
      this.progress.tiles.finished -= 1;
      if (tile.deck.tile.finishedBy === this.configuration.annotator) this.progress.tiles.mine -= 1;
      this.panel.showProgress(this.progress);
    }
    return true;
  }

  #bannerOf(tile) {
    const { status, comment } = tile?.deck.tile ?? {};
    this.panel.showBanner(comment ? { kind: "comment", text: status === "returned" ? `Returned to you: ${comment}` : comment } : null);
  }

  #pick(id) {
    if (!this.shaping.isOn) this.select(id);
  }

  advance() {
    this.select(this.tile.nextOpen());
  }

  select(id) {
    const { tile } = this;
    if (tile) {
      if (tile.currentId !== id || this.since === undefined) this.since = this.attention.seconds;
      tile.currentId = id;
      this.layers.mark(tile.current);
      if (tile.current) this.view.reveal(this.layers.boundsOf(id));
    }
    this.update();
  }

  /** Everything the panel says of the current feature; only what differs is written. */
  update() {
    const { tile, shaping } = this;
    const feature = tile?.current ?? null;
    const className = shaping.work?.className ?? feature?.class ?? null;
    this.toolbar.setMode(shaping.hint);
    this.toolbar.update({ hasFeature: Boolean(feature), hasTile: Boolean(tile), isReady: Boolean(tile) && !tile.undecided.length });
    this.panel.card.show(feature, { note: this.#note(tile, feature), className, lockedBy: feature && this.deciding.lockedBy(feature) });
    this.panel.showCount(tile);
    this.frame.publish({ tile: tile?.address ?? "", index: tile?.index ?? 0, total: tile?.features.size ?? 0, decided: tile?.decided ?? 0 });
  }

  #note(tile, feature) {
    if (!tile || feature) return "";
    if (tile.undecided.length) return `Nothing more that fits the filter; ${plural(tile.undecided.length, "feature")} undecided. Enter goes to the next.`;
    if (tile.isUnseenByModels) return "No model has looked at this tile. N draws what is there; Enter says that nothing is.";
    return tile.features.size
      ? "Everything is decided. Is anything missing? N draws it; Enter says that nothing is."
      : "Nothing was predicted here. N draws what is missing; Enter says that nothing is.";
  }

  #hide(isHidden) {
    this.isHidden = isHidden;
    this.map.getContainer().classList.toggle("is-bare", isHidden);
    this.toolbar.press("hide", isHidden);
  }

  #choose(chosen) {
    const before = this.settings;
    this.preferences.choose(chosen);
    this.settings = { ...before, ...chosen };
    const { randomShare, audit } = this.configuration;
    this.desk.use({ ...this.settings, randomShare, audit });
    const { tile } = this;
    if (tile) {
      tile.filter = this.settings.filter;
      tile.arrange(this.settings.stepping);
      for (const feature of tile.all) this.layers.restyle(feature, tile.isOfInterest(feature));
      this.panel.showTile(tile, !isEmpty(this.settings.filter));
      if (!tile.current || !tile.isOfInterest(tile.current)) tile.currentId = null;
      this.select(tile.currentId ?? tile.nextOpen());
    }
    if (chosen.stepping && before.stepping !== chosen.stepping) {
      this.notices.say(chosen.stepping === "place" ? "Stepping to the nearest." : "Stepping by uncertainty.");
    }
    if (chosen.filter || chosen.order) this.desk.reconsider();
  }

  // Saving

  seconds() {
    const seconds = this.attention.seconds - (this.since ?? this.attention.seconds);
    this.since = this.attention.seconds;
    return seconds;
  }

  countDecision(decided) {
    if (!this.progress) return;
    this.progress.hour.features += 1;
    this.progress.features.decided += decided;
    this.panel.showProgress(this.progress);
  }

  progressed(progress) {
    this.progress = progress;
    this.panel.showProgress(progress);
  }

  /** Somebody is at work: the claims are kept, at most every half minute, and only then. */
  #worked() {
    if (!this.tile || Date.now() - this.lastActive < ACTIVE_MS) return;
    this.lastActive = Date.now();
    if (Date.now() - this.outbox.storedAt > ACTIVE_MS) this.outbox.active(this.tile.address, this.tile.audit);
    this.desk.keepWaiting();
  }
}
