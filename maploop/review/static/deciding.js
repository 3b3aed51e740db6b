/** What a verdict, a class or a shape does to the current feature, and what of it leaves for the server. */

const OVERRULE_MS = 5000;

/** @typedef {import("./types.js").Feature} Feature */

export class Deciding {
  /** @param {import("./review.js").Review} review */
  constructor(review) {
    this.review = review;
    /** @type {Feature | null} waits for its reason */
    this.pendingReject = null;
    this.overruling = null;
  }

  /** The current feature, when it may be decided: what somebody else decided takes a second press. */
  #subject() {
    const feature = this.review.tile.current;
    if (!feature) {
      this.review.notices.say(this.review.tile.undecided.length ? "No feature is chosen: Tab goes to the next undecided." : "Everything is decided: N draws what is missing, Enter finishes the tile.");
      return null;
    }
    if (!this.#isSeen(feature)) return null;
    const other = this.lockedBy(feature);
    if (!other) return feature;
    const isSecond = this.overruling?.id === feature.id && Date.now() - this.overruling.at < OVERRULE_MS;
    this.overruling = { id: feature.id, at: Date.now() };
    if (!isSecond) this.review.notices.say(`${other} decided this: press again to overrule.`, "warning");
    return isSecond ? feature : null;
  }

  /** Nobody decides what is hidden, or lies beyond the window: it is shown instead. */
  #isSeen({ id }) {
    if (this.review.isHidden) {
      this.review.notices.say("The outlines are hidden: let go of H first.");
      return false;
    }
    const bounds = this.review.layers.boundsOf(id);
    if (this.review.view.isInSight(bounds)) return true;
    this.review.view.reveal(bounds);
    this.review.notices.say("It was out of sight; here it is. Press again.");
    return false;
  }

  lockedBy({ decidedBy, verdict }) {
    return verdict && decidedBy && decidedBy !== this.review.configuration.annotator ? decidedBy : null;
  }

  decide(verdict, { geometry = null, className, reason = null, feature = this.#subject() } = {}) {
    if (!feature) return null;
    if (verdict === "accept" && !feature.predicted) {
      this.review.notices.say("A person drew this, so there is nothing to accept: it counts already. X takes it away.");
      return null;
    }
    const { tile } = this.review;
    const look = { class: feature.class, geometry: feature.geometry };
    const wasOpen = feature.verdict === null;
    const { entry, done } = tile.decide(feature, verdict, { class: className, geometry, reason, seconds: this.review.seconds() });
    this.review.history.push(done);
    this.review.outbox.put(entry);
    this.review.reopened(tile);
    this.review.countDecision(wasOpen ? 1 : 0);
    if (look.class !== feature.class || look.geometry !== feature.geometry) this.review.layers.put(feature);
    else this.review.layers.restyle(feature, tile.isOfInterest(feature));
    this.review.advance();
    return done;
  }

  reject() {
    const feature = this.review.tile.current;
    const { tile } = this.review;
    if (!this.decide("reject")) return;
    this.review.notices.askReason(`Rejected ${feature.class}. Why? Shift +`, (reason) => {
      if (this.review.tile !== tile || feature.verdict !== "reject") return;
      const current = tile.currentId;
      this.decide("reject", { reason, feature });
      this.review.select(current);
    });
  }

  rejectWithReason() {
    const feature = this.#subject();
    if (!feature) return;
    this.pendingReject = feature;
    this.review.notices.askReason(`Reject ${feature.class}, because`, (reason) => {
      const isStill = this.pendingReject === feature && this.review.tile?.current === feature;
      this.pendingReject = null;
      if (isStill) this.decide("reject", { reason, feature });
    });
  }

  setClass(name) {
    if (this.review.shaping.isOn) {
      this.review.shaping.setClass(name);
      return;
    }
    const feature = this.#subject();
    if (!feature) return;
    const [was, will] = [feature.class, name].map((each) => this.review.classes.get(each));
    if (was.geometryType !== will.geometryType) {
      this.review.notices.say(`${was.name} is a ${was.geometryType}, ${will.name} a ${will.geometryType}: reject it and draw anew.`, "warning");
    } else if (feature.predicted?.class === name && feature.geometry === feature.predicted.geometry) {
      this.decide("accept", { feature });
    } else {
      const isAsPredicted = feature.predicted && JSON.stringify(feature.geometry) === JSON.stringify(feature.predicted.geometry);
      if (isAsPredicted && feature.predicted.class === name) this.decide("accept", { feature });
      else this.decide("correct", { feature, className: name });
    }
  }

  shape(kind) {
    const feature = this.#subject();
    this.review.notices.dismissQuestion();
    if (feature) this.review.shaping.begin(kind, feature);
  }

  shaped({ kind, feature, className }, geometry) {
    if (kind === "add") {
      const { tile } = this.review;
      const { entry, done } = tile.add(className, geometry, this.review.seconds());
      this.review.history.push(done);
      this.review.outbox.put(entry);
      this.review.reopened(tile);
      this.review.countDecision(0);
      this.review.layers.put(tile.features.get(done.feature));
      this.review.update();
    } else if (geometry === null && className === feature.class) {
      this.review.notices.say("Nothing was changed: A accepts it as it is.");
    } else {
      this.decide("correct", { feature, className, geometry });
    }
  }
}
