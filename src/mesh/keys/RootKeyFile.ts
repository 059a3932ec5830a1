/** The mesh's root key of a data directory, out of it and into it. */
import { existsSync, renameSync } from "node:fs"
import { Effect } from "effect"
import { rootIdOf } from "../trust/Root.ts"
import type { SigningKey } from "../trust/SigningKey.ts"
import { identityPaths, loadIdentity } from "./DataDir.ts"
import { attempt, DataDirError, readPrivateFile, remove, writePrivateFile } from "./KeyFile.ts"
import { openRootKey, type SealedKeyError, sealRootKey } from "./SealedKey.ts"
import { writeKeyFile } from "./SigningKeyFile.ts"

export interface ExportedRootKey {
  readonly meshName: string
  readonly text: string
}

export const exportRootKey = (
  dataDir: string,
  passphrase: string
): Effect.Effect<ExportedRootKey, DataDirError | SealedKeyError> =>
  Effect.gen(function* () {
    const { meshName, rootKey } = yield* loadIdentity(dataDir)
    const path = identityPaths(dataDir).rootKey
    if (rootKey === undefined) {
      return yield* new DataDirError({
        code: "no_identity",
        path,
        message: `there is no root key in ${dataDir}; it is where \`skein init\` ran, unless somebody took it to a safe place`
      })
    }
    return { meshName, text: yield* sealRootKey(rootKey, passphrase) }
  })

const maxSealedBytes = 8_192

/**
 * Done when what is on the disk has been opened again. Never in place of another file, which may be the
 * only copy of another root's key.
 */
export const writeSealed = (
  path: string,
  text: string,
  passphrase: string
): Effect.Effect<void, DataDirError | SealedKeyError> =>
  Effect.gen(function* () {
    if (existsSync(path)) {
      return yield* new DataDirError({
        code: "already_initialised",
        path,
        message: `${path} is there already, and may be the only copy of a key: name another file for --out, or move that one away`
      })
    }
    yield* writePrivateFile(path, new TextEncoder().encode(text))
    const written = yield* readPrivateFile(path, maxSealedBytes)
    yield* openRootKey(new TextDecoder().decode(written), passphrase)
  })

export const removeRootKey = (dataDir: string): Effect.Effect<void, DataDirError> => {
  const { nextRootKey, rootKey } = identityPaths(dataDir)
  return Effect.forEach([rootKey, nextRootKey], (path) => attempt(path, () => remove(path)), {
    discard: true
  })
}

/** The key of a root that is about to be added, beside that of the one there is. */
export const stageRootKey = (dataDir: string, key: SigningKey): Effect.Effect<void, DataDirError> =>
  Effect.zipRight(settleRootKey(dataDir), writeKeyFile(identityPaths(dataDir).nextRootKey, key))

/** It is added, and the identity that says so is on the disk: it takes the old one's place. */
export const settleRootKey = (dataDir: string): Effect.Effect<void, DataDirError> => {
  const { nextRootKey, rootKey } = identityPaths(dataDir)
  return attempt(rootKey, () => {
    if (existsSync(nextRootKey)) renameSync(nextRootKey, rootKey)
  })
}

/**
 * Only beside an identity of the same mesh, and in place of no key of a newer root, which may be the only
 * one there is. Answers what people call the mesh.
 */
export const importRootKey = (
  dataDir: string,
  text: string,
  passphrase: string
): Effect.Effect<string, DataDirError | SealedKeyError> =>
  Effect.gen(function* () {
    const { mesh, meshName, rootKey, roots } = yield* loadIdentity(dataDir)
    const key = yield* openRootKey(text, passphrase)
    const path = identityPaths(dataDir).rootKey
    const theirs = rootIdOf(key.publicKey.raw)
    const withdrawn = roots.whyWithdrawn(theirs)
    if (withdrawn !== undefined) {
      return yield* new DataDirError({
        code: "corrupted",
        path,
        message: `that key signs nothing any more: ${withdrawn}; nothing was changed`
      })
    }
    if (!roots.isInForce(theirs)) {
      return yield* new DataDirError({
        code: "corrupted",
        path,
        message: `that is the root key ${theirs}, and the node in ${dataDir} belongs to mesh ${meshName} (${mesh}), which has no such root as far as is known there: nothing was changed`
      })
    }
    const held = rootKey && rootIdOf(rootKey.publicKey.raw)
    if (held !== undefined && roots.isNewer(held, theirs)) {
      return yield* new DataDirError({
        code: "already_initialised",
        path,
        message: `${path} is the key of root ${held}, which is newer than root ${theirs}, and it would be lost: take it out first with \`skein root export --out FILE --remove\`; nothing was changed`
      })
    }
    yield* writeKeyFile(path, key)
    return meshName
  })
