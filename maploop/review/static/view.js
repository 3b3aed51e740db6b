/** What part of the ground is seen: imagery, the tile's frame, what lies outside dimmed, and where the map looks. */

import { ImageryLayer, ImageryStore, keysInView } from "./imagery.js";

const MARGIN = 10; // around the tile
const CARD_WIDTH = 268; // the feature's card stands beside the tile where there is room for it
const WIDE = 900;
const JUST_SHOWN_MS = 400;
const CLOSEST = 2.5; // zooms beyond the tile's own when a single feature is looked at

export class View {
  /** @param {L.Map} map @param {string} tilesAddress @param {() => string} token */
  constructor(map, tilesAddress, token) {
    this.map = map;
    this.store = new ImageryStore(tilesAddress, token);
    /** @type {Map<number, InstanceType<typeof ImageryLayer>>} */
    this.layers = new Map();
    this.shown = null;
    this.isClose = false;
    this.frame = null;
    for (const [name, zIndex] of [["outside", "350"], ["frame", "400"]]) {
      map.createPane(`maploop-${name}`).style.zIndex = zIndex;
    }
    map.options.zoomSnap = 0;
    map.options.zoomDelta = 0.5;
    map.options.wheelPxPerZoomLevel = 120;
    for (const name of ["keyboard", "boxZoom", "doubleClickZoom"]) map[name]?.disable();
    map.zoomControl?.remove();
    this.covered = { top: 0, bottom: 0 };
    this.isMoved = false;
    map.getContainer().addEventListener("wheel", () => (this.isMoved = true), { passive: true });
    map.on("dragstart", () => (this.isMoved = true));
    new ResizeObserver(() => {
      this.expectChange(); // what stands above the map may wrap otherwise now
      this.#resized();
    }).observe(map.getContainer());
  }

  /** What stands above and below the map: the tile is shown between them. @param {Element} top @param {Element} bottom */
  keepClearOf(top, bottom) {
    const observer = new ResizeObserver((entries) => {
      for (const { target, borderBoxSize } of entries) this.covered[target === top ? "top" : "bottom"] = borderBoxSize[0].blockSize;
      // The panel is filled as the tile is shown; later on the tile stays where people have come to look for things.
      if (performance.now() - this.shownAt < JUST_SHOWN_MS) this.#resized();
    });
    observer.observe(top);
    observer.observe(bottom);
  }

  /** Look at a tile, whole. @param {import("./types.js").Deck} deck */
  show(deck) {
    this.deck = deck;
    this.shownAt = performance.now();
    const { centre, zoom } = this.#fit(deck);
    const z = Number(deck.tile.address.split("/")[0]);
    this.map.setMinZoom(z - 3);
    this.map.setMaxZoom(z + 5);
    const layer = this.#layer(deck);
    if (this.shown !== layer) {
      this.shown?.remove();
      this.shown = null;
    }
    this.isMoved = false;
    this.map.setView(centre, zoom, { animate: false });
    if (layer && !this.shown) this.shown = layer.addTo(this.map);
    this.#frame(deck.tile.bounds);
  }

  /** Fetch and decode what `show` will need. @param {import("./types.js").Deck} deck */
  warm(deck) {
    const layer = this.#layer(deck);
    if (!layer) return;
    const { centre, zoom } = this.#fit(deck);
    this.store.warm(keysInView(this.map, layer, centre, zoom));
  }

  /** What stands above the map is about to change: keep the tile clear of it. */
  expectChange() {
    this.shownAt = performance.now();
  }

  /** Keys of the images that are shown, or should be. @returns {string[]} */
  shownKeys() {
    return this.shown?.keys() ?? [];
  }

  /** Ask for the images again. */
  reloadImagery() {
    this.store.forgetTroubles();
    // Leaflet's own redraw asks for tiles of a broken zoom where the map's is between two.
    this.shown?.remove();
    this.shown?.addTo(this.map);
  }

  /** Whether any of a feature can be seen. @param {L.LatLngBounds | null} bounds */
  isInSight(bounds) {
    return !bounds?.isValid() || this.map.getBounds().intersects(bounds);
  }

  /** Bring a feature into view: nothing moves when it is seen already. @param {L.LatLngBounds | null} bounds */
  reveal(bounds) {
    if (!bounds?.isValid()) return;
    const padding = this.#padding();
    if (!this.isClose) bounds = this.#within(bounds); // what lies on the neighbour's ground moves nothing
    if (this.isClose) {
      const zoom = Math.min(this.map.getBoundsZoom(bounds.pad(0.6), false, padding.both), this.#tileZoom() + CLOSEST);
      this.map.setView(this.#centreFor(bounds.getCenter(), zoom), zoom, { animate: false });
      return;
    }
    const size = this.map.getSize();
    const low = this.map.latLngToContainerPoint(bounds.getNorthWest());
    const high = this.map.latLngToContainerPoint(bounds.getSouthEast());
    const isSeen =
      low.x >= 0 && low.y >= padding.top - MARGIN && high.x <= size.x - padding.right + MARGIN && high.y <= size.y - padding.bottom + MARGIN;
    const isLarger = high.x - low.x > size.x || high.y - low.y > size.y;
    if (!isSeen && !(isLarger && this.map.getBounds().intersects(bounds))) {
      this.map.setView(this.#centreFor(bounds.getCenter(), this.map.getZoom()), this.map.getZoom(), { animate: false });
    }
  }

  /** Look at each feature closely, or at the whole tile; answers which. @param {L.LatLngBounds | null} bounds */
  toggleClose(bounds) {
    this.isClose = !this.isClose;
    if (this.isClose) this.reveal(bounds);
    else this.whole();
    return this.isClose;
  }

  /** The whole tile again. */
  whole() {
    const { centre, zoom } = this.#fit(this.deck);
    this.isMoved = false;
    this.map.setView(centre, zoom, { animate: false });
  }

  /** Take the tile out of sight. */
  clear() {
    this.deck = null;
    for (const layer of [this.shown, ...(this.frame ?? [])]) layer?.remove();
    this.shown = null;
  }

  #resized() {
    this.map.invalidateSize({ animate: false, pan: false });
    if (!this.deck || this.isMoved || this.isClose) return;
    const { centre, zoom } = this.#fit(this.deck);
    if (zoom !== this.map.getZoom() || !centre.equals(this.map.getCenter(), 1e-7)) this.whole();
  }

  #layer({ imagery, tile }) {
    if (!imagery) return null;
    if (!this.layers.has(imagery.id)) {
      const isFine = window.devicePixelRatio > 1.4; // the same 512 pixels on half as many points: as sharp as the screen
      const zoomOffset = isFine ? 0 : -1;
      const own = Number(tile.address.split("/")[0]);
      const options = {
        tileSize: isFine ? 256 : 512,
        zoomOffset,
        maxNativeZoom: Math.max(imagery.maxZoom ?? own, own) - zoomOffset,
        minNativeZoom: Math.min(imagery.minZoom ?? 0, own) - zoomOffset,
        maxZoom: 30,
      };
      this.layers.set(imagery.id, new ImageryLayer(this.store, imagery.id, options));
    }
    return this.layers.get(imagery.id);
  }

  #padding() {
    const right = MARGIN + (this.map.getSize().x >= WIDE ? CARD_WIDTH : 0);
    const [top, bottom] = [this.covered.top + MARGIN, this.covered.bottom + MARGIN];
    return { top, bottom, right, both: L.point(MARGIN + right, top + bottom) };
  }

  #within(bounds) {
    const [west, south, east, north] = this.deck.tile.bounds;
    const clip = (value, low, high) => Math.min(Math.max(value, low), high);
    return L.latLngBounds(
      [clip(bounds.getSouth(), south, north), clip(bounds.getWest(), west, east)],
      [clip(bounds.getNorth(), south, north), clip(bounds.getEast(), west, east)],
    );
  }

  #fit({ tile }) {
    const [west, south, east, north] = tile.bounds;
    const bounds = L.latLngBounds([south, west], [north, east]);
    const zoom = Math.floor(this.map.getBoundsZoom(bounds, false, this.#padding().both) * 20) / 20;
    return { centre: this.#centreFor(bounds.getCenter(), zoom), zoom };
  }

  #tileZoom() {
    return this.#fit(this.deck).zoom;
  }

  /** The map's centre that puts a place in the middle of what the panel leaves free. */
  #centreFor(place, zoom) {
    const { top, bottom, right } = this.#padding();
    const shift = L.point(right - MARGIN, bottom - top).divideBy(2);
    return this.map.unproject(this.map.project(place, zoom).add(shift), zoom);
  }

  #frame([west, south, east, north]) {
    const ring = [[south, west], [north, west], [north, east], [south, east]];
    const [width, height] = [(east - west) * 40, (north - south) * 40];
    const far = [[south - height, west - width], [north + height, west - width], [north + height, east + width], [south - height, east + width]];
    const still = { interactive: false, noClip: true, smoothFactor: 0 };
    this.frame ??= [
      L.polygon([far, ring], { ...still, pane: "maploop-outside", stroke: false, fillColor: "#000", fillOpacity: 0.45 }),
      L.polygon(ring, { ...still, pane: "maploop-frame", fill: false, color: "#000", weight: 4, opacity: 0.5 }),
      L.polygon(ring, { ...still, pane: "maploop-frame", fill: false, color: "#fff", weight: 1.5, opacity: 0.95 }),
    ];
    for (const [index, layer] of this.frame.entries()) layer.setLatLngs(index === 0 ? [far, ring] : ring).addTo(this.map);
  }
}
