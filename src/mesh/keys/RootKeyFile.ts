/** The mesh's root key of a data directory, out of it and into it. */
import { Effect } from "effect"
import { meshIdOf } from "../trust/SigningKey.ts"
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

/** Done when what is on the disk has been opened again. */
export const writeSealed = (
  path: string,
  text: string,
  passphrase: string
): Effect.Effect<void, DataDirError | SealedKeyError> =>
  Effect.gen(function* () {
    yield* writePrivateFile(path, new TextEncoder().encode(text))
    const written = yield* readPrivateFile(path, maxSealedBytes)
    yield* openRootKey(new TextDecoder().decode(written), passphrase)
  })

export const removeRootKey = (dataDir: string): Effect.Effect<void, DataDirError> => {
  const path = identityPaths(dataDir).rootKey
  return attempt(path, () => remove(path))
}

/** Only beside an identity of the same mesh. Answers what people call that. */
export const importRootKey = (
  dataDir: string,
  text: string,
  passphrase: string
): Effect.Effect<string, DataDirError | SealedKeyError> =>
  Effect.gen(function* () {
    const { mesh, meshName } = yield* loadIdentity(dataDir)
    const key = yield* openRootKey(text, passphrase)
    const path = identityPaths(dataDir).rootKey
    const theirs = meshIdOf(key.publicKey.raw)
    if (theirs !== mesh) {
      return yield* new DataDirError({
        code: "corrupted",
        path,
        message: `that is the root key of mesh ${theirs}, and the node in ${dataDir} belongs to mesh ${meshName} (${mesh}): nothing was changed`
      })
    }
    yield* writeKeyFile(path, key)
    return meshName
  })
