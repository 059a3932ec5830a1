/** Where a member stands on the rings: by hashes of its peer id, and on the first by its zone before. */
import { createHash } from "node:crypto"
import type { PeerKey } from "../../model/Names.ts"
import { BoundedCache } from "../trust/BoundedCache.ts"

export const ringCount = 4

export interface Place {
  readonly peer: PeerKey
  /** Empty when unknown. */
  readonly zone: string
  /** Six bytes of a hash of the zone: exact as a number. */
  readonly zoneAt: number
  /** Six bytes of a hash of the peer per ring. */
  readonly at: ReadonlyArray<number>
  /** Six bytes of a hash of both: what sets of members are told apart by, to begin with. */
  readonly print: number
}

const sha256 = (text: string): Buffer => createHash("sha256").update(text).digest()

/** Two hashes each, of which a ring is asked at every step; more than a mesh has members. */
const remembered = new BoundedCache<Place>(32_768)

export const placeOf = (peer: PeerKey, zone = ""): Place => {
  const key = zone === "" ? peer : `${peer} ${zone}`
  const held = remembered.peek(key)
  if (held !== undefined) return held
  const hash = sha256(peer)
  const place: Place = {
    ...{ peer, zone, zoneAt: sha256(`zone ${zone}`).readUIntBE(0, 6) },
    at: Array.from({ length: ringCount }, (_, ring) => hash.readUIntBE(ring * 6, 6)),
    print: sha256(`${peer} ${zone}`).readUIntBE(0, 6)
  }
  remembered.set(key, place)
  return place
}

/** On the first ring zones stand together; the others know nothing of them. */
export const comparePlaces = (ring: number, a: Place, b: Place): number =>
  (ring === 0 ? a.zoneAt - b.zoneAt : 0) ||
  a.at[ring]! - b.at[ring]! ||
  (a.peer < b.peer ? -1 : a.peer > b.peer ? 1 : 0)
