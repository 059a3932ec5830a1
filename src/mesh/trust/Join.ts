/**
 * Entering a mesh with an invite: knock at its addresses one after the other until a member signs
 * a certificate. Done once, before the node itself starts, over connections of its own; what
 * remains is the identity, which the caller saves.
 */
import { yamux } from "@chainsafe/libp2p-yamux"
import type { ConnectionEncrypter } from "@libp2p/interface"
import { multiaddr } from "@multiformats/multiaddr"
import { Data, Effect, Either, Random } from "effect"
import { createLibp2p, type Libp2pOptions } from "libp2p"
import type { NodeName, PeerKey } from "../../model/Names.ts"
import { defaultHandshakeTimeout } from "./Admission.ts"
import {
  AdmissionEncrypter,
  type Conversation,
  type EncrypterComponents,
  type Refusal
} from "./AdmissionEncrypter.ts"
import { type RefusalCode, refusedByUs } from "./AdmissionRefused.ts"
import { AdmittedPeers } from "./AdmittedPeers.ts"
import { type VerifiedCertificate, verifyChain } from "./Certificate.ts"
import type { CertificateError } from "./CertificateError.ts"
import type { HandshakeChannel } from "./HandshakeChannel.ts"
import type { Invite } from "./Invite.ts"
import { claimInvite } from "./InviteClaim.ts"
import { decodeIssued } from "./Issue.ts"
import { makeIdentity, type NodeIdentity } from "./NodeIdentity.ts"
import { rootIdOf } from "./Root.ts"
import { Roots } from "./Roots.ts"
import { hearRoots, tellRoots } from "./RootTalk.ts"
import { chainError } from "./SignedChain.ts"
import { meshIdOf, peerKeyOf, type SigningKey } from "./SigningKey.ts"
import { trustDigestBytes } from "./TrustTalk.ts"

export interface JoinOptions {
  readonly invite: Invite
  /** The key that the node will have from now on. */
  readonly privateKey: SigningKey
  readonly name: NodeName
  /** Wall clock, ms. */
  readonly now: () => number
  /** For one address, from dialling to certificate (ms). Default twice the handshake's. */
  readonly timeout?: number
  /** How members are reached. */
  readonly transports: NonNullable<Libp2pOptions["transports"]>
}

/** For how long a member that is busy is asked again, ms, and how soon at the earliest. */
const busyPatience = 30_000
const leastPause = 50

/** One address that did not let us in. `unreachable`: nobody answered there. */
export interface FailedAttempt {
  readonly address: string
  readonly code: RefusalCode | "unreachable"
  readonly message: string
}

export class JoinError extends Data.TaggedError("JoinError")<{
  readonly message: string
  readonly attempts: ReadonlyArray<FailedAttempt>
}> {}

const isFirst = ({ mesh, rootPublicKey }: Invite): boolean => meshIdOf(rootPublicKey) === mesh

/** Of a mesh that has had other roots a joiner has to be told, whatever is in force. */
const knownRoots = (invite: Invite): Uint8Array =>
  isFirst(invite) ? Roots.founded(invite.rootPublicKey).digest() : new Uint8Array(trustDigestBytes)

/** What a member has told of roots must lead from the first one to that of the token. */
const rootsOf = (
  invite: Invite,
  told: ReadonlyArray<Uint8Array>
): Either.Either<Roots, CertificateError> => {
  const founded = isFirst(invite)
    ? Either.right(Roots.founded(invite.rootPublicKey).hear(told))
    : Roots.fromLog(invite.mesh, told)
  return Either.flatMap(founded, (roots) =>
    roots.isInForce(rootIdOf(invite.rootPublicKey))
      ? Either.right(roots)
      : Either.left(
          chainError("root_withdrawn", "the token was made under a root that counts no more")
        )
  )
}

/** The joiner's side of the handshake. It never listens, so it never answers. */
class JoinerConversation implements Conversation {
  readonly #options: JoinOptions
  /** Set when a member has signed. */
  identity: NodeIdentity | undefined

  constructor(options: JoinOptions) {
    this.#options = options
  }

  async introduce(channel: HandshakeChannel, peer: PeerKey): Promise<VerifiedCertificate> {
    const { invite, privateKey, name, now } = this.#options
    const own = peerKeyOf(privateKey.publicKey.raw)
    const claim = claimInvite(invite, own, name)
    await channel.send({ type: "joiner", name, claim, roots: knownRoots(invite) })
    const answer = await channel.receive("welcome", "roots")
    let told: ReadonlyArray<Uint8Array> = []
    if (answer.type === "roots") {
      told = await hearRoots(channel, answer)
      await tellRoots(channel, [])
    }
    const welcome = answer.type === "welcome" ? answer : await channel.receive("welcome")
    const { chain, issued: bytes } = welcome
    if (bytes === undefined) {
      throw refusedByUs("protocol", "the peer let us in but sent no certificate")
    }
    const judged = Either.gen(function* () {
      const roots = yield* rootsOf(invite, told)
      const member = yield* verifyChain(chain, { roots, now: now(), peer })
      const issued = yield* decodeIssued(bytes)
      // By the clock too: a certificate that is over already would only fail at the next step.
      yield* verifyChain(issued.chain, { roots, now: now(), peer: own })
      const identity = yield* makeIdentity({
        privateKey,
        roots,
        meshName: invite.meshName,
        chain: issued.chain,
        delegations: issued.delegations
      })
      return { member, identity }
    })
    const { member, identity } = Either.getOrThrowWith(judged, ({ code, message }) =>
      refusedByUs(code, message)
    )
    await channel.send({ type: "accept" })
    this.identity = identity
    return member
  }

  async answer(): Promise<VerifiedCertificate> {
    throw refusedByUs("cannot_admit", "this node is only joining and takes no calls yet")
  }
}

const describeAttempts = (attempts: ReadonlyArray<FailedAttempt>): string =>
  attempts.map(({ address, code, message }) => `\n  ${address}: ${code}: ${message}`).join("")

const adviceFor = (attempts: ReadonlyArray<FailedAttempt>): string =>
  attempts.length > 0 && attempts.every(({ code }) => code !== "unreachable")
    ? "They were reached and refused; ask for a new invite if the reason does not say how to mend it."
    : "Check that one of these nodes is up and reachable from here, or ask for a new invite."

/** The identity that a member of the mesh signed for this key and name. */
export const joinMesh = (options: JoinOptions): Effect.Effect<NodeIdentity, JoinError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { invite, timeout = 2 * defaultHandshakeTimeout } = options
      const conversation = new JoinerConversation(options)
      let refusal: Refusal | undefined
      const encrypter = (components: EncrypterComponents): ConnectionEncrypter =>
        new AdmissionEncrypter(components, {
          mesh: invite.mesh,
          conversation,
          admitted: new AdmittedPeers(),
          gate: undefined,
          now: options.now,
          timeout: Math.min(timeout, defaultHandshakeTimeout),
          onRefused: (refused) => {
            refusal = refused
          },
          noise: {}
        })
      const libp2p = yield* Effect.acquireRelease(
        Effect.tryPromise({
          try: () =>
            createLibp2p({
              privateKey: options.privateKey,
              addresses: { listen: [] },
              transports: options.transports,
              connectionEncrypters: [encrypter],
              streamMuxers: [yamux()],
              connectionMonitor: { enabled: false },
              // Members live on private and loopback addresses; the token says where.
              connectionGater: { denyDialMultiaddr: () => false }
            }),
          catch: (cause) =>
            new JoinError({ message: `cannot join: ${String(cause)}`, attempts: [] })
        }),
        (node) => Effect.promise(async () => node.stop())
      )
      const attempts: Array<FailedAttempt> = []
      const knock = (address: string) =>
        Effect.tryPromise((signal) => {
          refusal = undefined
          return libp2p.dial(multiaddr(address), {
            signal: AbortSignal.any([signal, AbortSignal.timeout(timeout)])
          })
        }).pipe(
          Effect.as(undefined),
          Effect.catchAll(({ error }) =>
            Effect.succeed<FailedAttempt>({
              address,
              code: refusal?.code ?? "unreachable",
              message: refusal?.message ?? (error instanceof Error ? error.message : String(error))
            })
          )
        )
      /** Who is busy has not refused: it has said when there may be time. */
      const patiently = (
        address: string,
        patience: number
      ): Effect.Effect<FailedAttempt | undefined> =>
        Effect.gen(function* () {
          const failed = yield* knock(address)
          const wait = refusal?.retryAfter
          if (failed === undefined || wait === undefined || patience <= 0) return failed
          // By chance, so that those who were told the same do not come back together.
          const pause = Math.max(leastPause, wait) * (1 + (yield* Random.next))
          yield* Effect.sleep(pause)
          return yield* patiently(address, patience - pause)
        })
      for (const address of invite.bootstrap) {
        const failed = yield* patiently(address, busyPatience)
        // The certificate is ours from the moment it was signed, whatever befell the connection.
        if (conversation.identity !== undefined) return conversation.identity
        if (failed !== undefined) attempts.push(failed)
      }
      return yield* new JoinError({
        message: `no member of mesh ${invite.meshName} let this node in; tried:${describeAttempts(attempts)}\n${adviceFor(attempts)}`,
        attempts
      })
    })
  )
