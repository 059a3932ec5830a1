/**
 * What a node keeps of its identity between runs.
 *
 *     <data dir>/           0700
 *       root.key            the mesh's root key; only where `skein init` ran. It may be moved to
 *                           a safe place: this node then goes on by its delegation (a year), and
 *                           putting the key back for one start renews that.
 *       root.next.key       the key of a root that is just being added: root.key in a moment
 *       node.key            the node's own key
 *       identity.cbor       mesh, certificate chain, delegation
 *       lock                names the running process (see DataDirLock)
 *
 * Keys are PEM (PKCS #8), which `openssl pkey` reads. All files are 0600 and replaced atomically.
 */
import { join } from "node:path"
import { Effect, Either, Schema } from "effect"
import type { NodeName } from "../../model/Names.ts"
import { Bytes, decodeCbor, encodeCbor } from "../trust/Cbor.ts"
import { foundMesh } from "../trust/FoundMesh.ts"
import { MeshName } from "../trust/Invite.ts"
import { makeIdentity, type NodeIdentity } from "../trust/NodeIdentity.ts"
import { rootIdOf } from "../trust/Root.ts"
import { rootLimits } from "../trust/RootStatement.ts"
import { maxRoots, Roots } from "../trust/Roots.ts"
import { generateSigningKey, type SigningKey } from "../trust/SigningKey.ts"
import {
  corrupted,
  DataDirError,
  ensureDirectory,
  readPrivateFile,
  writePrivateFile
} from "./KeyFile.ts"
import { readKeyFile, writeKeyFile } from "./SigningKeyFile.ts"

export const identityPaths = (dataDir: string) => ({
  rootKey: join(dataDir, "root.key"),
  nextRootKey: join(dataDir, "root.next.key"),
  nodeKey: join(dataDir, "node.key"),
  identity: join(dataDir, "identity.cbor")
})

/** With all that the roots of a mesh can ever have said. */
const maxIdentityBytes = 64 * 1024 + 2 * maxRoots * rootLimits.bytes

const IdentityFile = Schema.Struct({
  version: Schema.Literal(1),
  meshName: MeshName,
  root: Bytes,
  chain: Bytes,
  delegations: Schema.Array(Bytes),
  /** What was said of roots since the first; absent: nothing. */
  roots: Schema.optional(Schema.Array(Bytes).pipe(Schema.maxItems(2 * maxRoots)))
})

type IdentityFile = typeof IdentityFile.Type

const rootsIn = ({ root, roots = [] }: IdentityFile): Roots => Roots.founded(root).hear(roots)

const noIdentity = (path: string, dataDir: string) =>
  new DataDirError({
    code: "no_identity",
    path,
    message: `no node identity in ${dataDir}; make a new mesh with \`skein init --data-dir ${dataDir}\`, or join one with \`skein join TOKEN\``
  })

/** Is an identity here (readable or not)? */
export const hasIdentity = (dataDir: string): Effect.Effect<boolean, DataDirError> =>
  Effect.map(
    readPrivateFile(identityPaths(dataDir).identity, maxIdentityBytes),
    (bytes) => bytes !== undefined
  )

/** The node's key; made on first use. A joiner needs it before it has an identity. */
export const loadOrCreateNodeKey = (dataDir: string): Effect.Effect<SigningKey, DataDirError> =>
  loadOrCreateKey(dataDir, identityPaths(dataDir).nodeKey)

const loadOrCreateKey = (dataDir: string, path: string): Effect.Effect<SigningKey, DataDirError> =>
  Effect.gen(function* () {
    yield* ensureDirectory(dataDir)
    const known = yield* readKeyFile(path)
    if (known !== undefined) return known
    const key = generateSigningKey()
    yield* writeKeyFile(path, key)
    return key
  })

/** Beside the key of another node an identity would be of no use, and cost that node its own. */
export const foreign = (dataDir: string): DataDirError =>
  new DataDirError({
    code: "corrupted",
    path: dataDir,
    message: `the data directory ${dataDir} now holds the key of another node, and is left alone: stop this node if that is meant, or bring its own directory back`
  })

/** After joining or renewing. Keys are written by `initMesh` and `loadOrCreateNodeKey`. */
export const saveIdentity = (
  dataDir: string,
  identity: NodeIdentity
): Effect.Effect<void, DataDirError> =>
  Effect.gen(function* () {
    const { identity: path, nodeKey } = identityPaths(dataDir)
    const key = yield* Effect.orElseSucceed(readKeyFile(nodeKey), () => undefined)
    if (key !== undefined && !key.publicKey.equals(identity.privateKey.publicKey)) {
      return yield* foreign(dataDir)
    }
    yield* writePrivateFile(path, encodeIdentity(identity))
  })

const encodeIdentity = (identity: NodeIdentity): Uint8Array =>
  encodeCbor({
    version: 1,
    meshName: identity.meshName,
    root: identity.roots.founder,
    chain: identity.chain,
    delegations: identity.delegations,
    ...(identity.roots.log.length > 0 && { roots: identity.roots.log })
  })

/**
 * Is this identity what the directory holds? False when it holds none, or an older one of the same
 * node. Fails when it holds what is not this node's.
 */
export const isStored = (
  dataDir: string,
  identity: NodeIdentity
): Effect.Effect<boolean, DataDirError> =>
  Effect.gen(function* () {
    const { privateKey, rootKey } = identity
    const path = identityPaths(dataDir).identity
    const bytes = yield* readPrivateFile(path, maxIdentityBytes)
    if (bytes === undefined) return false
    if (Buffer.from(bytes).equals(encodeIdentity(identity))) return true
    const stored = Either.gen(function* () {
      const file = yield* decodeCbor(IdentityFile, bytes, "the stored identity")
      return yield* makeIdentity({ ...file, roots: rootsIn(file), privateKey, rootKey })
    })
    const known = yield* Either.mapLeft(stored, ({ message }) => corrupted(path, message))
    return known.certificate.notAfter > identity.certificate.notAfter
  })

/**
 * The identity of an earlier run, proven to belong together but perhaps expired: see
 * `renewSelf` and renewal in place.
 */
export const loadIdentity = (dataDir: string): Effect.Effect<NodeIdentity, DataDirError> =>
  Effect.gen(function* () {
    const paths = identityPaths(dataDir)
    const bytes = yield* readPrivateFile(paths.identity, maxIdentityBytes)
    if (bytes === undefined) return yield* noIdentity(paths.identity, dataDir)
    const privateKey = yield* readKeyFile(paths.nodeKey)
    if (privateKey === undefined) {
      return yield* corrupted(
        paths.nodeKey,
        "it is missing, while the certificate made out to it is here"
      )
    }
    const [kept, next] = [yield* readKeyFile(paths.rootKey), yield* readKeyFile(paths.nextRootKey)]
    const identity = Either.gen(function* () {
      const file = yield* decodeCbor(IdentityFile, bytes, "the stored identity")
      const roots = rootsIn(file)
      // A rotation ended before the key was in its place; one that was not begun has added no root.
      const isAdded = next !== undefined && roots.isInForce(rootIdOf(next.publicKey.raw))
      return yield* makeIdentity({ ...file, roots, privateKey, rootKey: isAdded ? next : kept })
    })
    return yield* Either.mapLeft(identity, ({ message }) => corrupted(paths.identity, message))
  })

export interface InitOptions {
  readonly dataDir: string
  readonly meshName: string
  readonly nodeName: NodeName
  /** Wall clock, ms. */
  readonly now: number
}

/**
 * A new mesh and its first node, which holds every right. Keys already lying in the directory
 * (a root key made elsewhere, or by an `init` that was killed) are used, never overwritten.
 */
export const initMesh = (options: InitOptions): Effect.Effect<NodeIdentity, DataDirError> =>
  Effect.gen(function* () {
    const { dataDir, meshName, nodeName, now } = options
    const paths = identityPaths(dataDir)
    yield* Effect.mapError(
      Schema.validate(MeshName)(meshName),
      ({ message }) => new DataDirError({ code: "invalid_name", path: dataDir, message })
    )
    if (yield* hasIdentity(dataDir)) {
      return yield* new DataDirError({
        code: "already_initialised",
        path: paths.identity,
        message: `${dataDir} already holds a node identity; start it with \`skein up\`, or choose another data directory for a new mesh`
      })
    }
    const rootKey = yield* loadOrCreateKey(dataDir, paths.rootKey)
    const privateKey = yield* loadOrCreateNodeKey(dataDir)
    // The root may sign anything for keys that were just read: only a bug makes this fail.
    const identity = Either.getOrThrow(foundMesh({ rootKey, privateKey, meshName, nodeName, now }))
    yield* saveIdentity(dataDir, identity)
    return identity
  })
