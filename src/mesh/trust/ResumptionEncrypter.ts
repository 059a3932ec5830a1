/**
 * The connection encrypter that resumes (Resumption.ts). Whatever it cannot do it leaves to the whole handshake,
 * on the same connection: who is called by then has said nothing yet, and who calls has its status unread.
 */
import { randomBytes } from "node:crypto"
import {
  type ConnectionEncrypter,
  type MessageStream,
  type PeerId,
  type SecureConnectionOptions,
  type SecuredConnection,
  type StreamMuxerFactory,
  serviceCapabilities
} from "@libp2p/interface"
import { peerIdFromString } from "@libp2p/peer-id"
import { byteStream } from "@libp2p/utils"
import { resumptionProtocol, statusBytes } from "../../model/HandshakeWords.ts"
import { PeerKey } from "../../model/Names.ts"
import {
  NoiseError,
  NoiseInitiator,
  type NoiseKeys,
  NoiseResponder
} from "../../model/NoiseNNpsk0.ts"
import { recordSecrets } from "../../model/RecordCipher.ts"
import {
  addressOf,
  type EncrypterComponents,
  type EncrypterOptions,
  holdWhileOpen,
  hostOf,
  type Refusal,
  sendAway,
  turnAway
} from "./AdmissionEncrypter.ts"
import { refusalOf, refusedByUs } from "./AdmissionRefused.ts"
import { BoundedCache } from "./BoundedCache.ts"
import type { VerifiedCertificate } from "./Certificate.ts"
import { Busy } from "./HandshakeGate.ts"
import { isResumed, resumedStatus } from "./HandshakeStatus.ts"
import { ResumedStream } from "./ResumedStream.ts"
import {
  answerBytes,
  decodeClock,
  encodeClock,
  encodeOffered,
  offerBytes,
  prologueOf,
  type Resumable,
  type Resumer,
  type ResumptionOutcome,
  type Resumptions,
  resumptionIdBytes,
  type Standing,
  standsAlike
} from "./Resumption.ts"
import { sessionOf } from "./SessionSecret.ts"

export interface ResumptionOptions
  extends Pick<
    EncrypterOptions,
    "admitted" | "gate" | "mesh" | "now" | "onRefused" | "onSession" | "timeout"
  > {
  readonly self: PeerKey
  readonly resumptions: Resumptions
  /** What this node would say to the one that has this certificate. */
  readonly standing: (certificate: VerifiedCertificate) => Standing
  /** Would it be let in, if it showed this? */
  readonly isWelcome: (certificate: VerifiedCertificate) => boolean
  /** The handshake that takes the place of what cannot be resumed. */
  readonly whole: Pick<ConnectionEncrypter, "secureInbound" | "secureOutbound">
  /** A peer's wall clock, ms. */
  readonly onClock?: ((peer: PeerKey, clock: number) => void) | undefined
  readonly onResumption?:
    | ((direction: Refusal["direction"], outcome: ResumptionOutcome) => void)
    | undefined
}

/** Peers that do not know this protocol are asked again after so many ms: they may have been updated. */
const askedAgain = 3_600_000
const maxUnknowing = 4_096

/**
 * Who asks to resume has so long to say what, ms, and it has one of the few places for such (HandshakeGate.ts). It says
 * so as soon as it hears that it may: a round trip later, with a busy event loop or a packet that is lost and sent again
 * (200 ms behind it) on a bad day. Satellites take 0.7 s. Who is later still makes a whole handshake the next time, for
 * which it has longer, since it does not offer the same again.
 */
const offerTimeout = 1_500

/** What may lie unread behind what is read here: records, and the first words of Noise. */
const maxBufferBytes = 128 * 1024

const readBytes = async (
  stream: MessageStream,
  bytes: number,
  signal: AbortSignal
): Promise<Buffer> => {
  const reader = byteStream(stream, { maxBufferSize: maxBufferBytes })
  try {
    return Buffer.from((await reader.read({ bytes, signal })).subarray())
  } finally {
    reader.unwrap()
  }
}

/** Genuine, and nothing stands against it. */
interface Accepted {
  readonly certificate: VerifiedCertificate
  readonly message: Buffer
  readonly keys: NoiseKeys
}

export class ResumptionEncrypter implements Resumer {
  readonly protocol = resumptionProtocol
  readonly [serviceCapabilities] = ["@libp2p/connection-encryption"]
  readonly [Symbol.toStringTag] = "skein-resumption"
  readonly #components: EncrypterComponents
  readonly #options: ResumptionOptions
  /** When they said so, wall clock. */
  readonly #unknowing = new BoundedCache<number>(maxUnknowing)

  constructor(components: EncrypterComponents, options: ResumptionOptions) {
    this.#components = components
    this.#options = options
  }

  mayResume(peer: PeerId): boolean {
    const key = PeerKey.make(peer.toString())
    const toldAt = this.#unknowing.peek(key)
    if (toldAt !== undefined && Math.abs(this.#options.now() - toldAt) < askedAgain) return false
    const known = this.#options.resumptions.resumable(key)
    return known !== undefined && this.#options.isWelcome(known.certificate)
  }

  async secureAs(
    protocol: string,
    connection: MessageStream,
    options: SecureConnectionOptions & { readonly remotePeer: PeerId }
  ): Promise<SecuredConnection> {
    if (protocol === this.protocol) return await this.secureOutbound(connection, options)
    this.#unknowing.set(options.remotePeer.toString(), this.#options.now())
    return await this.#options.whole.secureOutbound(connection, options)
  }

  async secureOutbound(
    connection: MessageStream,
    options: SecureConnectionOptions = {}
  ): Promise<SecuredConnection> {
    const resumed = await this.#told("outbound", connection, options, (signal, peer) =>
      this.#call(connection, signal, peer)
    )
    if (resumed !== undefined) return resumed
    this.#options.onResumption?.("outbound", "declined")
    return await this.#options.whole.secureOutbound(connection, options)
  }

  async secureInbound(
    connection: MessageStream,
    options: SecureConnectionOptions = {}
  ): Promise<SecuredConnection> {
    const resumed = await this.#told("inbound", connection, options, (signal) =>
      this.#answer(connection, signal)
    )
    if (resumed !== undefined) return resumed
    this.#options.onResumption?.("inbound", "declined")
    return await this.#options.whole.secureInbound(connection, options)
  }

  /** Undefined: the peer goes on by a whole handshake. */
  async #call(
    connection: MessageStream,
    signal: AbortSignal,
    peer: PeerKey | undefined
  ): Promise<SecuredConnection | undefined> {
    const { resumptions } = this.#options
    const known = peer && resumptions.resumable(peer)
    const noise = known && this.#offer(connection, known)
    // It was there when this protocol was proposed, and has served since: what is not known is declined.
    if (noise === undefined) connection.send(randomBytes(offerBytes))
    const status = await readBytes(connection, statusBytes, signal)
    if (known === undefined || noise === undefined || !isResumed(status)) {
      // It is the first word of the other handshake.
      connection.unshift(status)
      return undefined
    }
    const { certificate } = known
    const { keys, payload } = readAnswer(noise, await readBytes(connection, answerBytes, signal))
    this.#options.onClock?.(certificate.peer, decodeClock(payload))
    const { answered, dialled } = recordSecrets(keys.send, keys.receive)
    const stream = new ResumedStream(connection, { send: dialled, receive: answered })
    stream.greet()
    return this.#admit("outbound", stream, certificate, sessionOf(keys.send, keys.receive))
  }

  #offer(connection: MessageStream, { certificate, id, secret }: Resumable): NoiseInitiator {
    const { mesh, now, resumptions, self, standing } = this.#options
    resumptions.offered(id)
    const prologue = prologueOf(id, { mesh, dialler: self, listener: certificate.peer })
    const noise = new NoiseInitiator({ secret, prologue })
    const offered = encodeOffered(standing(certificate), now())
    connection.send(Buffer.concat([Buffer.from(id, "hex"), noise.write(offered)]))
    return noise
  }

  async #answer(
    connection: MessageStream,
    signal: AbortSignal
  ): Promise<SecuredConnection | undefined> {
    const accepted = this.#accept(await this.#readOffer(connection, signal))
    if (accepted === undefined) return undefined
    const { certificate, keys, message } = accepted
    connection.send(Buffer.concat([resumedStatus, message]))
    const { answered, dialled } = recordSecrets(keys.receive, keys.send)
    const stream = new ResumedStream(connection, { send: answered, receive: dialled })
    await stream.greeted(signal)
    const secured = this.#admit("inbound", stream, certificate, sessionOf(keys.receive, keys.send))
    this.#options.gate?.resumedFrom(hostOf(connection))
    return secured
  }

  async #readOffer(connection: MessageStream, signal: AbortSignal): Promise<Buffer> {
    const { gate } = this.#options
    let heard: (() => void) | undefined
    try {
      heard = gate?.awaitOffer(hostOf(connection))
    } catch (cause) {
      // For the dialler it is the first word of the other handshake.
      if (cause instanceof Busy) await sendAway(connection, cause, signal)
      throw cause
    }
    try {
      const soon = AbortSignal.any([signal, AbortSignal.timeout(offerTimeout)])
      return await readBytes(connection, offerBytes, soon)
    } finally {
      heard?.()
    }
  }

  /** Undefined: what was offered is not known, not genuine, or is not to be taken. */
  #accept(offer: Buffer): Accepted | undefined {
    const { admitted, gate, isWelcome, mesh, now, resumptions, self, standing } = this.#options
    const id = offer.toString("hex", 0, resumptionIdBytes)
    const known = resumptions.redeemable(id)
    if (known === undefined) return undefined
    const { certificate, secret } = known
    const prologue = prologueOf(id, { mesh, dialler: certificate.peer, listener: self })
    const noise = new NoiseResponder({ secret, prologue })
    try {
      const offered = noise.read(offer.subarray(resumptionIdBytes))
      // It is genuine, and so it has served, whatever comes of it: who says it again is somebody else.
      resumptions.spend(id)
      const stands =
        standsAlike(offered, standing(certificate)) &&
        isWelcome(certificate) &&
        admitted.hasRoomFor(certificate.peer) &&
        gate?.takesResumed(certificate.peer) !== false
      if (!stands) return undefined
      this.#options.onClock?.(certificate.peer, decodeClock(offered))
      return { certificate, ...noise.write(encodeClock(now())) }
    } catch (cause) {
      if (cause instanceof NoiseError) return undefined
      throw cause
    }
  }

  #admit(
    direction: Refusal["direction"],
    stream: ResumedStream,
    certificate: VerifiedCertificate,
    keys: ReturnType<typeof sessionOf>
  ): SecuredConnection {
    const { admitted, isWelcome, onResumption, onSession } = this.#options
    // There was a way to go since: it may be out by now.
    if (!isWelcome(certificate)) {
      throw refusedByUs("protocol", `${certificate.name} is not to be let in without another look`)
    }
    if (!admitted.hasRoomFor(certificate.peer)) {
      throw refusedByUs("full", admitted.fullFor(certificate.peer))
    }
    holdWhileOpen(admitted, certificate, stream)
    onSession?.(certificate, keys)
    onResumption?.(direction, "resumed")
    return {
      connection: stream,
      remotePeer: peerIdFromString(certificate.peer),
      streamMuxer: this.#muxer()
    }
  }

  /** Of the two none has been started anew since they agreed on one. */
  #muxer(): StreamMuxerFactory {
    for (const muxer of this.#components.upgrader.getStreamMuxers().values()) return muxer
    throw new Error("this host has no muxer")
  }

  /** What fails here is told as every refused connection is. */
  async #told(
    direction: Refusal["direction"],
    connection: MessageStream,
    { remotePeer, signal: given }: SecureConnectionOptions,
    handshake: (
      signal: AbortSignal,
      peer: PeerKey | undefined
    ) => Promise<SecuredConnection | undefined>
  ): Promise<SecuredConnection | undefined> {
    const { gate, onRefused, timeout } = this.#options
    const deadline = AbortSignal.timeout(timeout)
    const signal = given === undefined ? deadline : AbortSignal.any([given, deadline])
    const peer = remotePeer && PeerKey.make(remotePeer.toString())
    try {
      return await handshake(signal, peer)
    } catch (cause) {
      const refused = refusalOf(cause)
      const { by, code, message, retryAfter } = refused
      // Who is sent away for the moment has done nothing.
      if (direction === "inbound" && code !== "busy") {
        turnAway(connection, gate?.cameToNothing(hostOf(connection)))
      }
      onRefused({
        ...{ direction, address: addressOf(connection), peer, code, by, retryAfter, message }
      })
      throw refused
    }
  }
}

const readAnswer = (noise: NoiseInitiator, message: Buffer) => {
  try {
    return noise.read(message)
  } catch (cause) {
    if (!(cause instanceof NoiseError)) throw cause
    throw refusedByUs("wrong_peer", "what answers there does not know what it says it resumes")
  }
}
