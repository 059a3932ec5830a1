/**
 * An admitted connection: records (RecordCipher.ts) over the transport. For libp2p it is the
 * secured stream on which it puts its muxer; beside that it carries lanes, on which links skip
 * muxer, lists and events.
 *
 * The listener may write once the dialler has been heard: until then the dialler may still be
 * waiting for the last message of the handshake, and everything behind it would be taken for Noise.
 */
import type { AbortOptions, MessageStream } from "@libp2p/interface"
import { AbstractMessageStream } from "@libp2p/utils"
import {
  maxRecordBytes,
  RecordError,
  RecordOpener,
  RecordSealer
} from "../../request/wire/RecordCipher.ts"
import { listen } from "./HandshakePipe.ts"
import { Lane, type LaneCarrier, type LaneKind, laneKinds } from "./Lane.ts"
import { takeOver } from "./RawStream.ts"

type Sent = ReturnType<AbstractMessageStream["sendData"]>
type Outgoing = Parameters<AbstractMessageStream["sendData"]>[0]

const streamKind = 0
const helloKind = 5

/** Lanes that one side may have opened at a time: up to four links, and as many being closed. */
export const maxLanes = 8

const nothing = new Uint8Array(0)

export interface SealedOptions {
  readonly under: MessageStream
  readonly side: "dialler" | "listener"
  readonly sendSecret: Buffer
  readonly receiveSecret: Buffer
}

interface Early {
  readonly kind: number
  readonly lane: number
  readonly bytes: Uint8Array
}

export class SealedConnection extends AbstractMessageStream implements LaneCarrier {
  readonly #under: MessageStream
  readonly #write: (bytes: Uint8Array) => boolean
  readonly #sealer: RecordSealer
  readonly #opener: RecordOpener
  readonly #lanes = new Map<number, Lane>()
  readonly #held = new Set<Lane | "stream">()
  /** The parity of the lanes we open: odd for the dialler, even for the listener. */
  readonly #parity: 0 | 1
  #lastOpened: number
  #lastAccepted = 0
  /** What waits for the dialler's first word; undefined afterwards. */
  #early: Array<Early> | undefined
  /** The peer opens a lane for a protocol. False: nobody speaks it. */
  onLane: ((protocol: string, lane: Lane) => boolean) | undefined = undefined

  constructor({ under, side, sendSecret, receiveSecret }: SealedOptions) {
    super({
      log: under.log,
      direction: under.direction,
      inactivityTimeout: under.inactivityTimeout,
      maxReadBufferLength: under.maxReadBufferLength
    })
    this.#under = under
    this.#parity = side === "dialler" ? 1 : 0
    this.#lastOpened = side === "dialler" ? -1 : 0
    this.#early = side === "dialler" ? undefined : []
    this.#sealer = new RecordSealer(sendSecret)
    this.#opener = new RecordOpener(receiveSecret, (kind, lane, plain) =>
      this.#onRecord(kind, lane, plain)
    )
    this.#write = takeOver(under, {
      onBytes: (bytes) => this.#onBytes(bytes),
      onRoom: () => this.#onDrain()
    })
    listen(under, {
      remoteCloseWrite: () => this.onRemoteCloseWrite(),
      close: ({ error, local }) => {
        this.#shutLanes(error)
        if (error === undefined) this.onTransportClosed()
        else if (local === true) this.abort(error)
        else this.onRemoteReset()
      }
    })
    if (side === "dialler") this.#record(helloKind, 0, nothing)
  }

  /** A new lane. Undefined: as many as may be are open. */
  openLane(protocol: string): Lane | undefined {
    if (this.status !== "open" || this.#count(this.#parity) >= maxLanes) return undefined
    this.#lastOpened += 2
    const lane = new Lane(this.#lastOpened, this)
    this.#lanes.set(lane.id, lane)
    this.#record(laneKinds.open, lane.id, Buffer.from(protocol, "latin1"))
    return lane
  }

  // libp2p's stream

  sendData(data: Outgoing): Sent {
    let room = true
    for (let at = 0; at < data.byteLength; at += maxRecordBytes) {
      const bytes = data.subarray(at, Math.min(data.byteLength, at + maxRecordBytes))
      room = this.#record(streamKind, 0, bytes)
    }
    return { sentBytes: data.byteLength, canSendMore: room }
  }

  sendReset(error: Error): void {
    this.#under.abort(error)
  }

  sendPause(): void {
    this.#hold("stream", true)
  }

  sendResume(): void {
    this.#hold("stream", false)
  }

  close(options?: AbortOptions): Promise<void> {
    return this.#under.close(options)
  }

  // LaneCarrier

  sendOn({ id }: Lane, kind: LaneKind, bytes: Uint8Array): boolean {
    if (this.#under.status !== "open") return true // `close` follows, and tells the lane
    let room = true
    for (let at = 0; at < bytes.length || at === 0; at += maxRecordBytes) {
      const whole = at === 0 && bytes.length <= maxRecordBytes
      room = this.#record(kind, id, whole ? bytes : bytes.subarray(at, at + maxRecordBytes))
    }
    return room
  }

  hold(lane: Lane, held: boolean): void {
    this.#hold(lane, held)
  }

  forget(lane: Lane): void {
    this.#lanes.delete(lane.id)
    this.#hold(lane, false)
  }

  #record(kind: number, lane: number, bytes: Uint8Array): boolean {
    if (this.#early !== undefined) {
      this.#early.push({ kind, lane, bytes: Uint8Array.from(bytes) })
      return false
    }
    return this.#write(this.#sealer.seal(kind, lane, bytes))
  }

  #onBytes(bytes: Uint8Array): void {
    try {
      this.#opener.push(bytes)
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #onRecord(kind: number, id: number, plain: Buffer): void {
    const early = this.#early
    if (early !== undefined) {
      this.#early = undefined
      for (const { kind, lane, bytes } of early) this.#record(kind, lane, bytes)
      if (early.length > 0) queueMicrotask(() => this.#onDrain())
    }
    switch (kind) {
      case streamKind:
        this.onData(plain)
        return
      case laneKinds.data:
        // Of a lane that has just been given up here: the peer does not know yet.
        this.#lanes.get(id)?.received(plain)
        return
      case laneKinds.open:
        this.#accept(id, plain.toString("latin1"))
        return
      case laneKinds.close:
        this.#lanes.get(id)?.peerClosed()
        return
      case laneKinds.reset:
        this.#lanes.get(id)?.shut(new Error("the peer broke it off"))
        return
      case helloKind:
        return
      default:
        throw new RecordError(`a record of unknown kind ${kind} from the peer`)
    }
  }

  #accept(id: number, protocol: string): void {
    const theirs = 1 - this.#parity
    if (id % 2 !== theirs || id <= this.#lastAccepted) {
      throw new RecordError(`the peer opened lane ${id} after ${this.#lastAccepted}`)
    }
    this.#lastAccepted = id
    const lane = new Lane(id, this)
    if (this.#count(theirs) >= maxLanes) {
      lane.abort(new Error(`${maxLanes} lanes are open, the limit`))
      return
    }
    this.#lanes.set(id, lane)
    if (this.onLane?.(protocol, lane) !== true) {
      lane.abort(new Error(`nobody here speaks ${protocol}`))
    }
  }

  #onDrain(): void {
    this.safeDispatchEvent("drain")
    for (const lane of [...this.#lanes.values()]) lane.drained()
  }

  /** Whoever does not read stops the connection: the others on it are only delayed. */
  #hold(who: Lane | "stream", held: boolean): void {
    const before = this.#held.size
    if (held) this.#held.add(who)
    else this.#held.delete(who)
    const now = this.#held.size
    if (before === now || this.#under.status !== "open") return
    if (now === 0) this.#under.resume()
    else if (before === 0) this.#under.pause()
  }

  #shutLanes(error: Error | undefined): void {
    this.#opener.stop()
    const cause = error ?? new Error("the connection was closed")
    for (const lane of [...this.#lanes.values()]) lane.shut(cause)
  }

  #count(parity: number): number {
    let count = 0
    for (const id of this.#lanes.keys()) if (id % 2 === parity) count++
    return count
  }
}
