/**
 * Who this node is: the identity of an earlier run, or, with a token and none yet, the one a
 * member of the mesh signs for it now.
 */
import { Clock, Effect } from "effect"
import type { NodeConfig } from "../config/NodeConfig.ts"
import {
  hasIdentity,
  loadIdentity,
  loadOrCreateNodeKey,
  saveIdentity
} from "../identity/DataDir.ts"
import { parseInvite } from "../identity/Invite.ts"
import type { InviteError } from "../identity/InviteToken.ts"
import { type JoinError, joinMesh } from "../identity/Join.ts"
import { type DataDirError, ensureDirectory } from "../identity/KeyFile.ts"
import type { NodeIdentity } from "../identity/NodeIdentity.ts"
import { renewSelf } from "../identity/Renewal.ts"
import { socketTransport } from "../link/SocketTransport.ts"
import { saveBootstrap } from "./Bootstrap.ts"
import { whenNameIsFree } from "./NamePatience.ts"

export type IdentityProblem = DataDirError | InviteError | JoinError

/**
 * A token is only needed once. Given again to a member of the same mesh it is read, so that a
 * wrong one is still refused, and not used: a service manager may keep it in the command line.
 */
export const openIdentity = (
  config: NodeConfig["node"],
  token: string | undefined
): Effect.Effect<NodeIdentity, IdentityProblem> =>
  Effect.gen(function* () {
    const { dataDir, name } = config
    const now = yield* Clock.currentTimeMillis
    const known = yield* hasIdentity(dataDir)
    if (known || token === undefined) {
      const identity = yield* Effect.flatMap(loadIdentity(dataDir), refreshed)
      if (token !== undefined) yield* belongsTo(identity, token, now)
      if (identity.name !== name) {
        yield* Effect.logWarning(
          `the config calls this node ${name}, its certificate ${identity.name}; the certificate counts (a new name needs a new invite)`
        )
      }
      return identity
    }
    const invite = yield* parseInvite(token, now)
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
const belongsTo = (
  identity: NodeIdentity,
  token: string,
  now: number
): Effect.Effect<void, InviteError> =>
  Effect.suspend(() => parseInvite(token, now, { mesh: identity.mesh })).pipe(
    Effect.catchIf(
      ({ code }) => code === "expired",
      () => Effect.void
    ),
    Effect.zipRight(Effect.logInfo("this node is a member already; the token was not needed"))
  )

/** A node that slept past its certificate's end and may sign renews it before anybody sees it. */
const refreshed = (identity: NodeIdentity): Effect.Effect<NodeIdentity> =>
  Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    if (identity.certificate.notAfter > now || identity.authority === undefined) return identity
    return yield* Effect.catchAll(renewSelf(identity, now), (error) =>
      Effect.as(
        Effect.logWarning(`the expired certificate cannot be renewed here: ${error.message}`),
        identity
      )
    )
  })
