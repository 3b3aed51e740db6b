/**
 * What the modules hand each other; the wire's shapes are those of docs/review-map.md.
 *
 * @typedef {"accept" | "correct" | "reject" | "add" | "unsure"} Verdict
 * @typedef {"not_there" | "duplicate" | "wrong_class" | "bad_imagery"} Reason
 * @typedef {{type: "Polygon" | "LineString" | "Point" | "MultiPolygon" | "MultiLineString", coordinates: any}} Geometry
 *           EPSG:4326, x before y
 *
 * @typedef {object} Feature
 * @property {number | string} id        a string when a person added it: the id of that decision
 * @property {string} class
 * @property {Geometry} geometry
 * @property {number | null} score
 * @property {Verdict | null} verdict    null: undecided
 * @property {Reason | null} reason
 * @property {string | null} standing    the decision that stands
 * @property {string | null} decidedBy
 * @property {Verdict | null} remembered
 * @property {string | null} model
 * @property {Record<string, string>} properties
 * @property {{class: string, geometry: Geometry} | null} predicted
 *
 * @typedef {object} FeatureClass
 * @property {number} id
 * @property {string} name
 * @property {"polygon" | "line" | "point"} geometryType
 * @property {string} colour
 * @property {number | null} digit
 * @property {string} definition
 *
 * @typedef {object} Progress
 * @property {{finished: number, total: number, mine: number}} tiles
 * @property {{decided: number, total: number}} features
 * @property {{tiles: number, features: number}} hour
 *
 * @typedef {object} Deck
 * @property {{address: string, bounds: number[], status: string, comment: string, drawnBy: string,
 *             finishedBy: string | null, coveredBy?: string[], blind?: boolean}} tile   coveredBy: models that looked at it
 * @property {{id: number, attribution: string, minZoom: number | null, maxZoom: number | null,
 *             share?: number | null} | null} imagery   share: of the tile that has pixels
 * @property {Feature[]} features
 * @property {{seconds: number, wasHeld: boolean}} claim   wasHeld: by the same person, before this window asked
 * @property {{id: number, done: number, total: number} | null} audit
 * @property {Progress} progress
 *
 * @typedef {object} Filter
 * @property {string | null} class
 * @property {number | null} minScore
 * @property {number | null} maxScore
 * @property {"undecided" | Verdict | null} status
 *
 * @typedef {object} Entry               one entry of the outbox: a decision or an act about a tile
 * @property {"decision" | "tile"} type
 * @property {string} id
 * @property {string} tile
 * @property {string} madeAt
 * @property {number | null} audit
 *
 * @typedef {object} Before              how a feature stood before a decision
 * @property {Verdict | null} verdict
 * @property {Reason | null} reason
 * @property {string | null} standing
 * @property {string | null} decidedBy
 * @property {string} class
 * @property {Geometry | null} geometry  null: as predicted
 *
 * @typedef {{decision: string, tile: string, feature: number | string, audit: number | null, before: Before | null}} Done
 *
 * @typedef {(Done & {act: "decision"}) | {act: "complete", tile: string, audit: null}} Act   what undo takes back
 */

export {};
