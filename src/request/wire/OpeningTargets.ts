/**
 * Services, endpoints and callers as calls name them: the same few on every link, again and again.
 * Each end keeps those it has met, so that a name is encoded, decoded and checked once and not per
 * call, and is the same string each time, whose hash the maps it is looked up in know already.
 */
import type { Caller } from "../../model/Caller.ts"
import type { Call } from "../../model/Exchange.ts"
import {
  encodeOpening,
  patchOpening,
  type Speakers,
  type TargetNames,
  targetNames
} from "./FramePayload.ts"

/** Places for targets. Two that fall on one place take it from each other, at the old price. */
const places = 64

interface SentTarget {
  readonly service: string
  readonly endpoint: string | undefined
  /** Undefined: none is said. */
  readonly identity: Caller | undefined
  /** An open frame's beginning; what is not the target's is written anew each time. */
  readonly opening: Buffer
}

/** At the calling end. */
export class SentTargets {
  readonly #met: Array<SentTarget | undefined> = new Array<SentTarget | undefined>(places).fill(
    undefined
  )

  /** As `encodeOpening`. The bytes are good until the next call. */
  opening(call: Call, section: number, identity: Caller | undefined): Buffer {
    const { endpoint, service } = call
    const last = endpoint === undefined ? 0 : endpoint.charCodeAt(endpoint.length - 1)
    const own = identity === undefined ? 0 : identity.name.length * 5
    const place = (service.length * 7 + last + own) % places
    // An empty endpoint has no last character.
    const met = Number.isNaN(place) ? undefined : this.#met[place]
    if (
      met !== undefined &&
      met.service === service &&
      met.endpoint === endpoint &&
      met.identity === identity
    ) {
      patchOpening(met.opening, call, section, identity)
      return met.opening
    }
    const opening = encodeOpening(call, section, identity)
    if (!Number.isNaN(place)) this.#met[place] = { service, endpoint, identity, opening }
    return opening
  }
}

interface ReceivedTarget {
  readonly bytes: Buffer
  readonly serviceLength: number
  readonly endpointLength: number
  readonly names: TargetNames
}

/** At the serving end. */
export class ReceivedTargets {
  readonly #met: Array<ReceivedTarget | undefined> = new Array<ReceivedTarget | undefined>(
    places
  ).fill(undefined)

  readonly #speakers: Speakers

  constructor(speakers: Speakers = "services") {
    this.#speakers = speakers
  }

  /** A property, so that it can be handed on by itself. */
  readonly names: typeof targetNames = (payload, start, serviceEnd, endpointEnd, end) => {
    const length = end - start
    // By both last characters: endpoints of one service differ in theirs, and so do callers.
    const last = end === endpointEnd ? 0 : payload[end - 1]! * 5
    const place = (length * 7 + (payload[endpointEnd - 1] ?? 0) + last) % places
    const met = this.#met[place]
    if (
      met !== undefined &&
      met.bytes.length === length &&
      met.serviceLength === serviceEnd - start &&
      met.endpointLength === endpointEnd - serviceEnd &&
      payload.compare(met.bytes, 0, length, start, end) === 0
    ) {
      return met.names
    }
    const names = targetNames(payload, start, serviceEnd, endpointEnd, end, this.#speakers)
    const bytes = Buffer.from(payload.subarray(start, end))
    const [serviceLength, endpointLength] = [serviceEnd - start, endpointEnd - serviceEnd]
    this.#met[place] = { bytes, serviceLength, endpointLength, names }
    return names
  }
}
