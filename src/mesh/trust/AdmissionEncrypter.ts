/**
 * Noise and then a conversation about who we are, as one libp2p connection encrypter. libp2p
 * builds muxer, identify and gossip only on what an encrypter returned, so whoever is refused
 * here has spoken to nothing else. Members and joiners differ only in the conversation. What comes
 * of it beside the connection is a session, from which the request threads of both make their links.
 */
import { randomBytes } from "node:crypto"
import { type NoiseInit, noise } from "@chainsafe/libp2p-noise"
import {
  type ConnectionEncrypter,
  type MessageStream,
  type PeerId,
  type SecureConnectionOptions,
  type SecuredConnection,
  serviceCapabilities
} from "@libp2p/interface"
import { encrypterProtocol } from "../../model/HandshakeWords.ts"
import { type MeshId, PeerKey } from "../../model/Names.ts"
import type { Away } from "../../model/Relay.ts"
import { type AdmissionRefused, busyFor, refusalOf, refusedByUs } from "./AdmissionRefused.ts"
import type { AdmittedPeers } from "./AdmittedPeers.ts"
import type { VerifiedCertificate } from "./Certificate.ts"
import { HandshakeChannel } from "./HandshakeChannel.ts"
import { Busy, type HandshakeGate, type Leave, type Outcome } from "./HandshakeGate.ts"
import { readStatus, sendStatus } from "./HandshakeStatus.ts"
import { noiseCrypto, signsOnce } from "./NoiseCrypto.ts"
import { readLengthsQuietly } from "./NoiseLengths.ts"
import type { Resumer } from "./Resumption.ts"
import { contributionBytes, type SessionSecret, sessionOf } from "./SessionSecret.ts"

/** What a custom Noise needs from libp2p. */
export type EncrypterComponents = Parameters<ReturnType<typeof noise>>[0]

/** Both parts of the talk end with the peer's certificate, or throw `AdmissionRefused`. */
export interface Conversation {
  /** We called: we show ourselves first. */
  introduce(channel: HandshakeChannel, peer: PeerKey): Promise<VerifiedCertificate>
  /** We were called. */
  answer(channel: HandshakeChannel, peer: PeerKey): Promise<VerifiedCertificate>
}

/** Somebody asked who is here and has its answer: no connection, and nothing wrong either. */
export class Knocked extends Error {
  override readonly name = "Knocked"
}

/** One refused connection, for logs and counters. Outsiders cause these: rate-limit what you log. */
export interface Refusal {
  readonly direction: "inbound" | "outbound"
  /** Multiaddr, when the transport tells. */
  readonly address: string | undefined
  /** Undefined when Noise itself failed. */
  readonly peer: PeerKey | undefined
  readonly code: AdmissionRefused["code"]
  readonly by: AdmissionRefused["by"]
  /** The peer's wall clock, when it told (ms). */
  readonly clock?: number | undefined
  /** Of `revoked`: the signed settings that say so, when the peer has sent them. */
  readonly records?: ReadonlyArray<Uint8Array> | undefined
  /** Of `busy`: to be tried again in so many ms, at the earliest. */
  readonly retryAfter?: number | undefined
  readonly message: string
}

export interface EncrypterOptions {
  readonly mesh: MeshId
  readonly conversation: Conversation
  readonly admitted: AdmittedPeers
  /** Bounds the handshakes of callers. Undefined: for a host that takes no calls. */
  readonly gate: HandshakeGate | undefined
  /** What links with the peer are made from, from now on. */
  readonly onSession?: ((certificate: VerifiedCertificate, keys: SessionSecret) => void) | undefined
  /** A whole handshake has let the peer in. */
  readonly onHandshake?: ((direction: Refusal["direction"]) => void) | undefined
  /** Wall clock, ms. */
  readonly now: () => number
  /** Noise and conversation together, ms. */
  readonly timeout: number
  readonly onRefused: (refusal: Refusal) => void
  /** Further settings of Noise, e.g. faster crypto. */
  readonly noise: Omit<NoiseInit, "prologueBytes">
}

/** Both contribute to the session, so neither chooses it. The dialler comes first, as everywhere. */
const agree = async (
  direction: Refusal["direction"],
  channel: HandshakeChannel
): Promise<SessionSecret> => {
  const own = randomBytes(contributionBytes)
  if (direction === "outbound") {
    await channel.send({ type: "keys", secret: own })
    return sessionOf(own, await theirSecret(channel))
  }
  const theirs = await theirSecret(channel)
  await channel.send({ type: "keys", secret: own })
  return sessionOf(theirs, own)
}

const theirSecret = async (channel: HandshakeChannel): Promise<Uint8Array> => {
  const { secret } = await channel.receive("keys")
  if (secret.length === contributionBytes) return secret
  throw refusedByUs("protocol", `the peer's secret has ${secret.length} bytes`)
}

type Noise = ReturnType<ReturnType<typeof noise>>
type Secured = Awaited<ReturnType<Noise["secureInbound"]>>
type Extensions = Secured extends SecuredConnection<infer E> ? E : never

export const addressOf = (connection: MessageStream): string | undefined =>
  "remoteAddr" in connection ? String(connection.remoteAddr) : undefined

/** The host that calls, without its port. */
export const hostOf = (connection: MessageStream): string =>
  addressOf(connection)?.split("/")[2] ?? ""

/** What no member sends, or what may befall anybody. */
const outcomeOf = ({ by, code }: AdmissionRefused): Outcome =>
  by === "us" && wrongCodes.has(code) ? "wrong" : "nothing"

const wrongCodes: ReadonlySet<AdmissionRefused["code"]> = new Set([
  "bad_signature",
  "foreign_mesh",
  "malformed",
  "protocol",
  "wrong_peer"
])

/** A connection whose socket is another thread's: that turns away the next ones from there. */
interface TurnsAway {
  readonly turnAway: (away: Away) => void
}

const turnsAway = (connection: object): connection is TurnsAway =>
  "turnAway" in connection && typeof connection.turnAway === "function"

export const turnAway = (connection: MessageStream, away: Away | undefined): void => {
  if (away !== undefined && turnsAway(connection)) connection.turnAway(away)
}

/** Tells the caller when to come back, and hangs up. */
export const sendAway = async (
  connection: MessageStream,
  busy: Busy,
  signal: AbortSignal
): Promise<void> => {
  turnAway(connection, busy.away)
  sendStatus(connection, busy.retryAfter)
  // In order, so that it arrives: libp2p would reset at once.
  await connection.close({ signal })
}

/** A connection counts as the peer's until it is closed. */
export const holdWhileOpen = (
  admitted: AdmittedPeers,
  certificate: VerifiedCertificate,
  connection: MessageStream
): void => {
  if (connection.status !== "open") throw refusedByUs("closed", "the peer is gone again")
  connection.addEventListener("close", admitted.hold(certificate), { once: true })
}

const calledPeer = ({ remotePeer }: SecureConnectionOptions): PeerKey | undefined =>
  remotePeer && PeerKey.make(remotePeer.toString())

export class AdmissionEncrypter implements ConnectionEncrypter<Extensions> {
  readonly protocol = encrypterProtocol
  readonly [serviceCapabilities] = ["@libp2p/connection-encryption"]
  readonly [Symbol.toStringTag] = "skein-admission"
  /** Spares members that were connected a short while ago all of this. Undefined: nobody is spared it. */
  resumer: Resumer | undefined = undefined
  readonly #noise: Noise
  readonly #options: EncrypterOptions

  constructor(components: EncrypterComponents, options: EncrypterOptions) {
    if (process.env["DUMP_SESSION_KEYS"] !== undefined) {
      throw new Error(
        "the environment variable DUMP_SESSION_KEYS is set: session keys would be written to the log, and traffic between nodes could be read; unset it"
      )
    }
    // Mixed into Noise's keys: peers of another mesh fail before either side has shown itself.
    const prologueBytes = Buffer.from(`skein ${options.mesh}`)
    const { logger, metrics, peerId, privateKey } = components
    this.#noise = noise({ crypto: noiseCrypto, ...options.noise, prologueBytes })({
      ...{ logger, peerId, privateKey: signsOnce(privateKey) },
      ...(metrics && { metrics }),
      // It is made after the encrypters that it uses.
      get upgrader() {
        return components.upgrader
      }
    })
    this.#options = options
  }

  secureInbound(connection: MessageStream, options?: SecureConnectionOptions): Promise<Secured> {
    return this.#secure("inbound", connection, options)
  }

  secureOutbound(connection: MessageStream, options?: SecureConnectionOptions): Promise<Secured> {
    return this.#secure("outbound", connection, options)
  }

  /**
   * Is it this peer that answers at the other end? Noise proves it, and the mesh with it. Then we
   * hang up: no certificate is shown or judged, and nothing is kept on either side.
   */
  async knock(connection: MessageStream, remotePeer: PeerId, signal: AbortSignal): Promise<void> {
    await this.#untilWelcome(connection, signal)
    const secured = await this.#noise.secureOutbound(connection, {
      remotePeer,
      signal,
      skipStreamMuxerNegotiation: true
    })
    const channel = new HandshakeChannel(secured.connection, signal, this.#options.now)
    await channel.send({ type: "knock" })
    await secured.connection.close({ signal })
  }

  async #secure(
    direction: "inbound" | "outbound",
    connection: MessageStream,
    options: SecureConnectionOptions = {}
  ): Promise<Secured> {
    const { conversation, admitted, now, timeout, onRefused } = this.#options
    const deadline = AbortSignal.timeout(timeout)
    const signal =
      options.signal === undefined ? deadline : AbortSignal.any([options.signal, deadline])
    let secured: Secured | undefined
    let channel: HandshakeChannel | undefined
    let peer: PeerKey | undefined
    let leave: Leave | undefined
    try {
      if (direction === "inbound") leave = await this.#enter(connection, signal)
      else await this.#untilWelcome(connection, signal)
      secured = await (direction === "inbound"
        ? this.#noise.secureInbound(connection, { ...options, signal })
        : this.#noise.secureOutbound(connection, { ...options, signal }))
      readLengthsQuietly(secured.connection)
      peer = PeerKey.make(secured.remotePeer.toString())
      channel = new HandshakeChannel(secured.connection, signal, now)
      if (!admitted.hasRoomFor(peer)) {
        throw refusedByUs("full", admitted.fullFor(peer))
      }
      const certificate = await (direction === "inbound"
        ? conversation.answer(channel, peer)
        : conversation.introduce(channel, peer))
      if (direction === "inbound" && secured.streamMuxer === undefined) {
        // Nodes name theirs in the handshake. libp2p would let it propose others, for seconds and without end.
        throw refusedByUs("protocol", "the peer's handshake names no muxer that this node has")
      }
      const keys = await agree(direction, channel)
      channel.release()
      holdWhileOpen(admitted, certificate, secured.connection)
      this.#options.onSession?.(certificate, keys)
      this.#options.onHandshake?.(direction)
      leave?.("let in")
      return secured
    } catch (cause) {
      if (cause instanceof Knocked) {
        leave?.("nothing")
        throw cause
      }
      const refused = refusalOf(cause)
      turnAway(connection, leave?.(outcomeOf(refused)))
      if (secured !== undefined && channel !== undefined && refused.by === "us") {
        await this.#sayGoodbye(channel, secured.connection, refused, signal)
      }
      onRefused({
        direction,
        address: addressOf(connection),
        // Whoever is busy has not shown itself: it is the one that was called.
        peer: peer ?? (refused.code === "busy" ? calledPeer(options) : undefined),
        code: refused.code,
        by: refused.by,
        clock: refused.clock,
        records: refused.by === "peer" ? refused.records : undefined,
        retryAfter: refused.retryAfter,
        message: refused.message
      })
      throw refused
    }
  }

  /** When it is the caller's turn it is told so; when that is too far, when to come back. */
  async #enter(connection: MessageStream, signal: AbortSignal): Promise<Leave | undefined> {
    const { gate } = this.#options
    const here = new AbortController()
    const onClose = () => here.abort(refusedByUs("closed", "the caller did not wait for its turn"))
    connection.addEventListener("close", onClose, { once: true })
    let leave: Leave | undefined
    try {
      leave = await gate?.enter(hostOf(connection), AbortSignal.any([signal, here.signal]))
    } catch (cause) {
      if (cause instanceof Busy) await sendAway(connection, cause, signal)
      throw cause
    } finally {
      connection.removeEventListener("close", onClose)
    }
    try {
      sendStatus(connection, undefined)
    } catch (cause) {
      leave?.("nothing")
      throw cause
    }
    return leave
  }

  async #untilWelcome(connection: MessageStream, signal: AbortSignal): Promise<void> {
    const retryAfter = await readStatus(connection, signal)
    if (retryAfter !== undefined) throw busyFor("peer", retryAfter)
  }

  /** Tells the reason and closes in order, so that it arrives; libp2p would reset at once. */
  async #sayGoodbye(
    channel: HandshakeChannel,
    connection: MessageStream,
    refused: AdmissionRefused,
    signal: AbortSignal
  ): Promise<void> {
    if (signal.aborted || connection.status !== "open") return
    try {
      const clock = Math.floor(this.#options.now())
      const { code, records } = refused
      await channel.send({ type: "refuse", code, clock, ...(records && { records }) })
      await connection.close({ signal })
    } catch {
      // The peer is gone or does not read: libp2p resets the connection, and the reason that
      // counts is the refusal being reported.
    }
  }
}
