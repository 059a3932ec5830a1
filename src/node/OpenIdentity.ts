/**
 * Who this node is: the identity of an earlier run, or, with a token and none yet, the one a
 * member of the mesh signs for it now.
 */
import { Clock, Effect, Either } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { socketTransport } from "../mesh/host/SocketTransport.ts"
import {
  hasIdentity,
  identityPaths,
  loadIdentity,
  loadOrCreateNodeKey,
  saveIdentity
} from "../mesh/keys/DataDir.ts"
import { type DataDirError, ensureDirectory } from "../mesh/keys/KeyFile.ts"
import { type Invite, parseInvite } from "../mesh/trust/Invite.ts"
import { InviteError } from "../mesh/trust/InviteToken.ts"
import { type JoinError, joinMesh } from "../mesh/trust/Join.ts"
import type { NodeIdentity } from "../mesh/trust/NodeIdentity.ts"
import {
  isBeyondRenewal,
  isFromTheFuture,
  isRootKeyOfUse,
  renewSelf
} from "../mesh/trust/Renewal.ts"
import { rootIdOf } from "../mesh/trust/Root.ts"
import { saveBootstrap } from "./Bootstrap.ts"
import { whenNameIsFree } from "./NamePatience.ts"

export type IdentityProblem = DataDirError | InviteError | JoinError

/**
 * A token is only needed once. Given again to a member of the same mesh it is read, so that a
 * wrong one is still refused, and not used: a service manager may keep it in the command line. Only
 * a member that was away for so long that nobody renews its certificate joins with it again, or one that was
 * away while the root of the mesh was replaced.
 */
export const openIdentity = (
  config: NodeConfig["node"],
  token: string | undefined
): Effect.Effect<NodeIdentity, IdentityProblem> =>
  Effect.gen(function* () {
    const { dataDir, name } = config
    const now = yield* Clock.currentTimeMillis
    const known = yield* hasIdentity(dataDir)
    if (!known && token !== undefined) {
      return yield* enter(config, yield* parseInvite(token, now))
    }
    const identity = yield* Effect.flatMap(loadIdentity(dataDir), (stored) =>
      refreshed(dataDir, stored)
    )
    const invite = token === undefined ? undefined : yield* inviteAgain(identity, token, now)
    if (invite !== undefined && isBeyondRenewal(identity, now)) return yield* enter(config, invite)
    if (invite !== undefined && !identity.roots.isInForce(identity.certificate.root)) {
      return yield* enter(config, invite)
    }
    if (invite !== undefined && isOfAnUnknownRoot(identity, invite)) {
      const again = yield* Effect.either(enter(config, invite))
      if (Either.isRight(again)) return again.right
      yield* Effect.logWarning(
        `the token is of a root of the mesh that this node has not heard of, and it could not join with it; it goes on as it was: ${again.left.message}`
      )
      return identity
    }
    if (token !== undefined) {
      const file = identityPaths(dataDir).identity
      yield* Effect.logInfo(
        `this node is a member already and keeps the rights it has; the token was not used (to have the token's rights instead, stop the node, remove ${file}, and join again: its key stays)`
      )
    }
    if (identity.name !== name) {
      yield* Effect.logWarning(
        `the config calls this node ${name}, its certificate ${identity.name}; the certificate counts (a new name needs a new invite)`
      )
    }
    return identity
  })

/** Was the root replaced while this node was away? Then its own certificate may count for nothing by now. */
const isOfAnUnknownRoot = ({ roots }: NodeIdentity, { rootPublicKey }: Invite): boolean =>
  roots.get(rootIdOf(rootPublicKey)) === undefined

/** With the node's own key, the one it has or a new one. */
const enter = (
  { dataDir, name }: NodeConfig["node"],
  invite: Invite
): Effect.Effect<NodeIdentity, IdentityProblem> =>
  Effect.gen(function* () {
    if (invite.names !== undefined && !invite.names.includes(name)) {
      return yield* new InviteError({
        code: "wrong_name",
        message: `the token is for ${invite.names.join(" or ")}, and this node is called ${name}; set node.name, or ask for a token of its own`
      })
    }
    const privateKey = yield* loadOrCreateNodeKey(dataDir)
    yield* Effect.logInfo(`joining mesh ${invite.meshName} as ${name}`)
    const identity = yield* whenNameIsFree(
      name,
      joinMesh({ invite, privateKey, name, now: Date.now, transports: [socketTransport] })
    )
    yield* saveBootstrap(dataDir, invite.bootstrap)
    yield* saveIdentity(dataDir, identity)
    return identity
  })

/**
 * Makes the directory for a node that is about to join; for any other one it must be there, with
 * an identity in it, or the error says how to get one.
 */
export const prepareDataDir = (
  dataDir: string,
  isJoining: boolean
): Effect.Effect<void, DataDirError> =>
  Effect.flatMap(hasIdentity(dataDir), (known) =>
    known
      ? Effect.void
      : isJoining
        ? ensureDirectory(dataDir)
        : Effect.asVoid(loadIdentity(dataDir))
  )

/** An expired token of the own mesh is no reason to keep a member from starting. */
const inviteAgain = (
  { mesh }: NodeIdentity,
  token: string,
  now: number
): Effect.Effect<Invite | undefined, InviteError> =>
  Effect.suspend(() => parseInvite(token, now, { mesh })).pipe(
    Effect.catchIf(
      ({ code }) => code === "expired",
      () => Effect.succeed(undefined)
    )
  )

/**
 * What a node may do for itself before anybody sees it: renew a certificate that ran out while it
 * slept, and, with the root key at hand, its right to sign. The key may be here for this one start.
 */
const refreshed = (dataDir: string, identity: NodeIdentity): Effect.Effect<NodeIdentity> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const { certificate } = identity
    const isOver = certificate.notAfter <= now || isFromTheFuture(certificate, now)
    if (identity.authority === undefined || !(isOver || isRootKeyOfUse(identity, now))) {
      return identity
    }
    const renewed = renewSelf(identity, now)
    if (Either.isLeft(renewed)) {
      yield* Effect.logWarning(
        `the ${isOver ? "certificate, which is over or not valid yet," : "right to sign"} cannot be renewed here: ${renewed.left.message}`
      )
      return identity
    }
    yield* Effect.catchAll(saveIdentity(dataDir, renewed.right), ({ message }) =>
      Effect.logWarning(
        `the renewed certificate cannot be stored, and holds for this run: ${message}`
      )
    )
    return renewed.right
  })
