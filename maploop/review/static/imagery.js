/** The pixels under the features: tiles that are fetched and decoded before they are needed, and shown without a wait. */

const TILE = 512; // the route's tiles
const KEPT = 96; // decoded images; about 1 MB each
const AT_ONCE = 3; // so that decisions always find a free connection

export class ImageryStore {
  /** @param {string} address  of the tiles route @param {() => string} token */
  constructor(address, token) {
    this.address = address;
    this.token = token;
    /** @type {Map<string, {image: HTMLImageElement, ready: Promise<boolean>, isReady: boolean}>} */
    this.images = new Map();
    /** Why images did not come, by key. @type {Map<string, {status: number, text: string}>} */
    this.troubles = new Map();
    /** @type {(key: string) => void} an image has come, or it is known why not */
    this.changed = () => {};
    /** @type {(key: string) => boolean} whether somebody wants to know why an image does not come */
    this.isAskedFor = () => false;
    this.queue = [];
    this.running = 0;
  }

  /** The image of a tile, fetched when it is not there yet. @param {string} key  imagery/z/x/y */
  get(key) {
    let found = this.images.get(key);
    if (found) {
      this.images.delete(key); // the latest used goes last
    } else {
      const image = new Image(TILE, TILE);
      image.alt = "";
      image.decoding = "sync";
      image.src = this.#addressOf(key);
      found = { image, isReady: false, ready: null };
      found.ready = image.decode().then(
        () => {
          found.isReady = true;
          this.troubles.delete(key);
          this.changed(key);
          return true;
        },
        () => {
          this.images.delete(key); // asked for again the next time
          this.#findOutWhy(key);
          return false;
        },
      );
    }
    this.images.set(key, found);
    this.#forgetOldest();
    return found;
  }

  /** How an image stands, without asking for it. @param {string} key @returns {{isReady: boolean, trouble: object | null}} */
  look(key) {
    return { isReady: this.images.get(key)?.isReady ?? false, trouble: this.troubles.get(key) ?? null };
  }

  /** Forget what did not come, so that it is asked for again. */
  forgetTroubles() {
    this.troubles.clear();
  }

  /** The server did not take our token. */
  get isRefusedToken() {
    return [...this.troubles.values()].some((each) => each.status === 401);
  }

  #addressOf(key) {
    return `${this.address}/${key}?token=${encodeURIComponent(this.token())}`;
  }

  /** An `<img>` does not say why it failed: the same address by `fetch` does, in words. */
  async #findOutWhy(key) {
    this.troubles.set(key, { status: 0, text: "It does not come." });
    if (!this.isAskedFor(key)) return; // beside the tile, where there may be nothing
    let trouble = { status: 0, text: "The server does not answer." };
    try {
      const answer = await fetch(this.#addressOf(key), { cache: "no-store", priority: "low" });
      const content = answer.ok ? null : await answer.json().catch(() => null);
      const text = answer.ok ? "It came damaged." : (content?.error ?? `The server answered ${answer.status} instead of imagery.`);
      trouble = { status: answer.status, text };
    } catch {
      // As it stands: nothing was answered.
    }
    if (this.images.get(key)?.isReady) return; // it has come meanwhile
    this.troubles.set(key, trouble);
    this.changed(key);
  }

  /** Fetch and decode tiles in the background, in this order, instead of what was asked for before. @param {string[]} keys */
  warm(keys) {
    this.queue = keys.filter((key) => !this.images.get(key)?.isReady);
    this.#work();
  }

  #work() {
    while (this.running < AT_ONCE && this.queue.length) {
      this.running += 1;
      this.get(this.queue.shift()).ready.finally(() => {
        this.running -= 1;
        this.#work();
      });
    }
  }

  #forgetOldest() {
    for (const [key, { image }] of this.images) {
      if (this.images.size <= KEPT) return;
      if (!image.isConnected) this.images.delete(key);
    }
  }
}

/** A Leaflet layer of one imagery's tiles, out of the store. */
export const ImageryLayer = L.GridLayer.extend({
  options: { tileSize: TILE, zoomOffset: -1, pane: "tilePane", keepBuffer: 1, updateWhenIdle: false, noWrap: true },

  initialize(store, imagery, options) {
    this.store = store;
    this.imagery = imagery;
    L.setOptions(this, options);
  },

  /** Keys of the images in use. */
  keys() {
    const coords = Object.values(this._tiles ?? {}).filter((tile) => tile.current).map((tile) => tile.coords);
    return coords.map((each) => tileKey(this.imagery, { ...each, z: each.z + this.options.zoomOffset }));
  },

  createTile(coords, done) {
    const key = tileKey(this.imagery, { ...coords, z: coords.z + this.options.zoomOffset });
    const { image, ready, isReady } = this.store.get(key);
    // An image can be in one place only: one that is still shown elsewhere is shown twice by its copy.
    const element = image.isConnected ? image.cloneNode() : image;
    element.className = "";
    if (isReady) queueMicrotask(() => done(null, element));
    else ready.then((isThere) => done(isThere ? null : new Error(`no tile ${key}`), element));
    return element;
  },
});

/** @param {number} imagery @param {{x: number, y: number, z: number}} tile */
export function tileKey(imagery, { x, y, z }) {
  return `${imagery}/${z}/${x}/${y}`;
}

/**
 * Keys of the tiles that a view shows, from its middle outwards.
 * @param {L.Map} map @param {InstanceType<typeof ImageryLayer>} layer @param {L.LatLng} centre @param {number} zoom
 */
export function keysInView(map, layer, centre, zoom) {
  const z = layer._clampZoom(Math.round(zoom));
  const scale = map.getZoomScale(zoom, z);
  const size = layer.getTileSize();
  const half = map.getSize().divideBy(2 * scale);
  const middle = map.project(centre, z);
  const [low, high] = [middle.subtract(half).unscaleBy(size).floor(), middle.add(half).unscaleBy(size).floor()];
  const focus = middle.unscaleBy(size).floor();
  const found = [];
  for (let x = low.x; x <= high.x; x += 1) {
    for (let y = low.y; y <= high.y; y += 1) {
      found.push({ x, y, z: z + layer.options.zoomOffset, far: Math.abs(x - focus.x) + Math.abs(y - focus.y) });
    }
  }
  found.sort((one, other) => one.far - other.far);
  return found.map((tile) => tileKey(layer.imagery, tile));
}
