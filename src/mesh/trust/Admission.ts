/**
 * How members of a mesh recognise each other, whoever calls: each shows its certificate, each
 * judges the other's, and one whose certificate ran out while it was away gets a new one on the
 * spot, as does one whose path to the root the other's signature shortens.
 */
import type { NoiseInit } from "@chainsafe/libp2p-noise"
import { Either } from "effect"
import type { NodeName, PeerKey } from "../../model/Names.ts"
import {
  AdmissionEncrypter,
  type Conversation,
  type EncrypterComponents,
  Knocked,
  type Refusal
} from "./AdmissionEncrypter.ts"
import {
  type Admittance,
  type JudgeContext,
  judgeJoiner,
  judgeMember,
  refuseRevoked
} from "./AdmissionJudge.ts"
import { type AdmissionRefused, refusedByUs } from "./AdmissionRefused.ts"
import type { AdmittedPeers } from "./AdmittedPeers.ts"
import { type ChainCache, defaultSkew, judgeTime, type VerifiedCertificate } from "./Certificate.ts"
import { describeSpan } from "./CertificateError.ts"
import type { HandshakeChannel } from "./HandshakeChannel.ts"
import type { HandshakeGate } from "./HandshakeGate.ts"
import type { VerifiedClaim } from "./InviteClaim.ts"
import { hearOfRoots, type IdentityCell, type NodeIdentity } from "./NodeIdentity.ts"
import { acceptIssued } from "./Renewal.ts"
import type { ResumptionOutcome, Resumptions, Standing } from "./Resumption.ts"
import { ResumptionEncrypter } from "./ResumptionEncrypter.ts"
import { Revocations, type RevocationsCell } from "./Revocations.ts"
import { hearRoots, tellRoots } from "./RootTalk.ts"
import type { SessionSecret } from "./SessionSecret.ts"
import { differ, hearTrust, type TrustTalk, tellTrust } from "./TrustTalk.ts"

/** Noise and the exchange of certificates together (ms). */
export const defaultHandshakeTimeout = 5_000

export interface AdmissionOptions {
  /** Read at every handshake; replaced when a peer renews our certificate. */
  readonly identity: IdentityCell
  /** Filled with the certificates of connected peers. */
  readonly admitted: AdmittedPeers
  /** What a handshake leaves behind: the request threads of both make their links from it. */
  readonly onSession?: (certificate: VerifiedCertificate, keys: SessionSecret) => void
  /** A whole handshake has let a peer in; one that was resumed made none. */
  readonly onHandshake?: (direction: Refusal["direction"]) => void
  /** Wall clock, ms. */
  readonly now: () => number
  /** Default `defaultHandshakeTimeout`. */
  readonly timeout?: number
  /** Default `defaultSkew`. */
  readonly skew?: number
  /** Shared with whoever opens envelopes, so that each chain is checked once. */
  readonly cache?: ChainCache
  /** Read at every handshake. Default: nobody is thrown out. */
  readonly revocations?: RevocationsCell | undefined
  /** What is said about trust when two nodes meet. Undefined: nothing is known of it yet, or ever. */
  readonly trust?: (() => TrustTalk | undefined) | undefined
  /** Done when what is on disk of them was read: nobody is judged before. */
  readonly heard?: Promise<void> | undefined
  /** What a peer told of the mesh's roots was news, and is in the identity now: to be carried out. */
  readonly onRoots?: (() => void) | undefined
  /** Default: none is. Asked only when a new node joins. */
  readonly isNameTaken?: (name: NodeName, peer: PeerKey) => boolean
  /** For how long nothing is wanted of a peer, ms; undefined: it may come. Default: everybody may. */
  readonly cutOffFor?: ((peer: PeerKey) => number | undefined) | undefined
  /** This node signed a certificate for a peer: its first, a renewal, or one nearer to the root. */
  readonly onSigned?: (
    certificate: VerifiedCertificate,
    /** What it joined with; undefined: it was a member before. */
    claim: VerifiedClaim | undefined
  ) => void
  readonly mayUse?: JudgeContext["mayUse"]
  /** Every refused connection, in both directions. */
  readonly onRefused?: (refusal: Refusal) => void
  /** A peer's wall clock (ms), before it is known whether the peer is let in. */
  readonly onClock?: (peer: PeerKey, clock: number) => void
  /** The identity was renewed during a handshake and is to be saved. */
  readonly onRenewed?: (identity: NodeIdentity) => void
  /** Bounds the handshakes of callers. Default: nothing does. */
  readonly gate?: HandshakeGate | undefined
  /** By which connections are resumed. Default: each is made by a whole handshake. */
  readonly resumptions?: Resumptions | undefined
  /** Somebody has asked to resume one, or was asked to. */
  readonly onResumption?: (direction: Refusal["direction"], outcome: ResumptionOutcome) => void
  readonly noise?: Omit<NoiseInit, "prologueBytes">
}

class MemberConversation implements Conversation {
  readonly #options: AdmissionOptions

  constructor(options: AdmissionOptions) {
    this.#options = options
  }

  async introduce(channel: HandshakeChannel, peer: PeerKey): Promise<VerifiedCertificate> {
    this.#expectDecency(peer)
    await this.#options.heard
    const { chain, roots } = this.#options.identity.current
    const trust = this.#options.trust?.()?.digest()
    await channel.send({
      ...{ type: "member", chain, clock: this.#clock(), roots: roots.digest() },
      ...(trust && { trust })
    })
    const answer = await channel.receive("welcome", "roots")
    if (answer.type === "roots") {
      const told = await hearRoots(channel, answer)
      await tellRoots(channel, roots.log)
      this.#hearOfRoots(told)
    }
    const welcome = answer.type === "welcome" ? answer : await channel.receive("welcome")
    this.#hearClock(peer, welcome.clock)
    // Who is no member in good standing signs nothing for us.
    const { certificate, issued } = this.#admit(judgeMember(welcome.chain, peer, this.#context()))
    this.#take(welcome.issued)
    await channel.send({ type: "accept", issued })
    const talk = this.#options.trust?.()
    if (talk !== undefined && differ(trust, welcome.trust)) {
      await tellTrust(channel, talk.records())
      await hearTrust(channel, talk)
    }
    return this.#stillIn(certificate)
  }

  async answer(channel: HandshakeChannel, peer: PeerKey): Promise<VerifiedCertificate> {
    const hello = await channel.receive("member", "joiner", "knock")
    if (hello.type === "knock") throw this.#knocked(peer)
    this.#expectDecency(peer)
    if (hello.type === "member") this.#hearClock(peer, hello.clock)
    await this.#options.heard
    const { roots } = this.#options.identity.current
    if (differ(roots.digest(), hello.roots)) {
      await tellRoots(channel, roots.log)
      this.#hearOfRoots(await hearRoots(channel))
    }
    const { certificate, claim, issued }: Admittance = this.#admit(
      hello.type === "member"
        ? judgeMember(hello.chain, peer, this.#context())
        : judgeJoiner(hello.claim, hello.name, peer, this.#context())
    )
    // Before anything is waited for: the next who comes with the same token is judged after this.
    if (issued !== undefined) this.#options.onSigned?.(certificate, claim)
    const { chain } = this.#options.identity.current
    const trust = this.#options.trust?.()?.digest()
    await channel.send({
      ...{ type: "welcome", chain, issued, clock: this.#clock() },
      ...(trust && { trust })
    })
    const accept = await channel.receive("accept")
    this.#take(accept.issued)
    const talk = this.#options.trust?.()
    if (talk !== undefined && hello.type === "member" && differ(trust, hello.trust)) {
      await hearTrust(channel, talk)
      await tellTrust(channel, talk.records())
    }
    return this.#stillIn(certificate)
  }

  /** What both find out about each other in a handshake, for who resumes. */
  standing({ fingerprint }: VerifiedCertificate): Standing {
    const { certificate, roots } = this.#options.identity.current
    return {
      own: certificate.fingerprint,
      theirs: fingerprint,
      trust: this.#options.trust?.()?.digest(),
      roots: roots.digest()
    }
  }

  /** It was let in a while ago: would it be, with the same certificate? */
  isStillWelcome(certificate: VerifiedCertificate): boolean {
    const { identity, now, revocations, skew = defaultSkew } = this.#context()
    return (
      this.#options.cutOffFor?.(certificate.peer) === undefined &&
      revocations.outBy(certificate) === undefined &&
      identity.roots.whyWithdrawn(certificate.root) === undefined &&
      Either.isRight(judgeTime("the certificate", certificate, now, skew))
    )
  }

  #hearOfRoots(told: ReadonlyArray<Uint8Array>): void {
    if (hearOfRoots(this.#options.identity, told)) this.#options.onRoots?.()
  }

  /** Who was thrown out is shown by whom: it need not take our word for it. */
  #admit<A>(judged: Either.Either<A, AdmissionRefused>): A {
    return Either.getOrThrowWith(judged, (refused) =>
      refused.code === "revoked" && refused.outcast !== undefined
        ? refusedByUs("revoked", refused.message, this.#options.trust?.()?.about(refused.outcast))
        : refused
    )
  }

  /** After what was heard about trust since it was judged. */
  #stillIn(certificate: VerifiedCertificate): VerifiedCertificate {
    this.#admit(refuseRevoked(this.#context().revocations.outBy(certificate)))
    return certificate
  }

  /** Peers that we asked to try our addresses knock at them; others have no business here. */
  #knocked(peer: PeerKey): Error {
    return this.#options.admitted.get(peer) === undefined
      ? refusedByUs("protocol", `peer ${peer} knocked, and is not connected otherwise`)
      : new Knocked("a connected peer wanted to know who answers here")
  }

  #expectDecency(peer: PeerKey): void {
    const left = this.#options.cutOffFor?.(peer)
    if (left === undefined) return
    throw refusedByUs("cut_off", `nothing is wanted of it for another ${describeSpan(left)}`)
  }

  #clock(): number {
    return Math.floor(this.#options.now())
  }

  #hearClock(peer: PeerKey, clock: number | undefined): void {
    if (clock !== undefined) this.#options.onClock?.(peer, clock)
  }

  #context(): JudgeContext {
    const { identity, now, skew, cache, revocations, isNameTaken, mayUse } = this.#options
    return {
      mayUse,
      identity: identity.current,
      now: now(),
      skew,
      cache,
      revocations: revocations?.current ?? Revocations.none,
      isNameTaken: isNameTaken ?? (() => false)
    }
  }

  #take(issued: Uint8Array | undefined): void {
    if (issued === undefined) return
    const { identity, now, onRenewed } = this.#options
    // Several handshakes may bring one at once: each is compared with what the one before has left.
    const better = Either.getOrThrowWith(
      acceptIssued(identity.current, issued, now()),
      ({ code, message }) => refusedByUs(code, message)
    )
    if (better === undefined) return
    identity.current = better
    onRenewed?.(better)
  }
}

/** The connection encrypter of a member; the only one a node has beside what it spares others by. */
export const makeAdmission =
  (options: AdmissionOptions): ((components: EncrypterComponents) => AdmissionEncrypter) =>
  (components) => {
    const conversation = new MemberConversation(options)
    const common = {
      mesh: options.identity.current.mesh,
      admitted: options.admitted,
      gate: options.gate,
      onSession: options.onSession,
      now: options.now,
      timeout: options.timeout ?? defaultHandshakeTimeout,
      onRefused: options.onRefused ?? (() => undefined)
    }
    const whole = new AdmissionEncrypter(components, {
      ...common,
      conversation,
      onHandshake: options.onHandshake,
      noise: options.noise ?? {}
    })
    const { resumptions } = options
    if (resumptions !== undefined) {
      whole.resumer = new ResumptionEncrypter(components, {
        ...common,
        ...{ whole, resumptions, self: options.identity.current.peer },
        standing: (certificate) => conversation.standing(certificate),
        isWelcome: (certificate) => conversation.isStillWelcome(certificate),
        onClock: options.onClock,
        onResumption: options.onResumption
      })
    }
    return whole
  }
