/**
 * Services and endpoints as calls name them: the same few on every link, again and again. Each end
 * keeps those it has met, so that a name is encoded, decoded and checked once and not per call, and
 * is the same string each time, whose hash the maps it is looked up in know already.
 */
import type { Call } from "../../model/Exchange.ts"
import { encodeOpening, patchOpening, type TargetNames, targetNames } from "./FramePayload.ts"

/** Places for targets. Two that fall on one place take it from each other, at the old price. */
const places = 64

interface SentTarget {
  readonly service: string
  readonly endpoint: string | undefined
  /** An open frame's beginning; what is not the target's is written anew each time. */
  readonly opening: Buffer
}

/** At the calling end. */
export class SentTargets {
  readonly #met: Array<SentTarget | undefined> = new Array<SentTarget | undefined>(places).fill(
    undefined
  )

  /** As `encodeOpening`. The bytes are good until the next call. */
  opening(call: Call, section: number): Buffer {
    const { endpoint, service } = call
    const last = endpoint === undefined ? 0 : endpoint.charCodeAt(endpoint.length - 1)
    const place = (service.length * 7 + last) % places
    // An empty endpoint has no last character.
    const met = Number.isNaN(place) ? undefined : this.#met[place]
    if (met !== undefined && met.service === service && met.endpoint === endpoint) {
      patchOpening(met.opening, call, section)
      return met.opening
    }
    const opening = encodeOpening(call, section)
    if (!Number.isNaN(place)) this.#met[place] = { service, endpoint, opening }
    return opening
  }
}

interface ReceivedTarget {
  readonly bytes: Buffer
  readonly serviceLength: number
  readonly names: TargetNames
}

/** At the serving end. */
export class ReceivedTargets {
  readonly #met: Array<ReceivedTarget | undefined> = new Array<ReceivedTarget | undefined>(
    places
  ).fill(undefined)

  /** A property, so that it can be handed on by itself. */
  readonly names: typeof targetNames = (payload, start, serviceEnd, end) => {
    const length = end - start
    const place = (length * 7 + (payload[end - 1] ?? 0)) % places
    const met = this.#met[place]
    if (
      met !== undefined &&
      met.bytes.length === length &&
      met.serviceLength === serviceEnd - start &&
      payload.compare(met.bytes, 0, length, start, end) === 0
    ) {
      return met.names
    }
    const names = targetNames(payload, start, serviceEnd, end)
    const bytes = Buffer.from(payload.subarray(start, end))
    this.#met[place] = { bytes, serviceLength: serviceEnd - start, names }
    return names
  }
}
