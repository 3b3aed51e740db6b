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
      image.src = `${this.address}/${key}?token=${encodeURIComponent(this.token())}`;
      found = { image, isReady: false, ready: null };
      found.ready = image.decode().then(
        () => (found.isReady = true),
        () => {
          this.images.delete(key); // asked for again the next time
          return false;
        },
      );
    }
    this.images.set(key, found);
    this.#forgetOldest();
    return found;
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
